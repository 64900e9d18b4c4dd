//! Whether register maps can hold: a register that another one covers, that lies where a search by offset
//! doesn't look, or past its region's end can never be reached, and a trace would name accesses wrongly.

use std::collections::{BTreeMap, BTreeSet};

use super::{Field, Register, RegisterMap};
use crate::access_size::AccessSize;
use crate::address::Region;
use crate::text::{NAME_RULE, is_name};

/// A register map that can't hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMap {
    /// A map of a region that the function lacks.
    #[error("{0} has a register map, but the function has no {0}")]
    NoRegion(Region),
    /// Two maps of one region: only the first would be looked at.
    #[error("{0} has two register maps")]
    TwoMaps(Region),
    /// A register that lies below the one before it, or begins in it.
    #[error("{region}: {register} at {offset:#x} begins before {before} ends, at {end:#x}")]
    OutOfOrder {
        /// Their region.
        region: Region,
        /// The register.
        register: String,
        /// Its offset.
        offset: u64,
        /// The register before it in the map.
        before: String,
        /// Offset of its end.
        end: u64,
    },
    /// A register that doesn't end in its region.
    #[error("{region}: {register} at {offset:#x}, {size:#x} bytes, ends past the region's {region_size:#x}")]
    PastTheEnd {
        /// The region.
        region: Region,
        /// The register.
        register: String,
        /// Its offset.
        offset: u64,
        /// Its size in bytes.
        size: u64,
        /// The region's size in bytes.
        region_size: u64,
    },
    /// A name that nobody could ask for.
    #[error("{region}: {register:?} is no register's name: {NAME_RULE}")]
    Name {
        /// The region.
        region: Region,
        /// The name.
        register: String,
    },
    /// Two registers of one name.
    #[error("{region}: {register} is at {first:#x} and at {offset:#x}: give one of them another name")]
    TwoRegisters {
        /// Their region.
        region: Region,
        /// Their name.
        register: String,
        /// The first one's offset.
        first: u64,
        /// The second one's.
        offset: u64,
    },
    /// A register of a size that no access has.
    #[error("{region}: {register} has {size} bytes; a register has 1, 2, 4 or 8, and memory at least 1")]
    Size {
        /// The region.
        region: Region,
        /// The register.
        register: String,
        /// Its size in bytes.
        size: u64,
    },
    /// A reset value that the register can't hold.
    #[error("{region}: {register} can't hold its reset value {reset:#x}")]
    Reset {
        /// The region.
        region: Region,
        /// The register.
        register: String,
        /// The value.
        reset: u64,
    },
    /// A range of memory with a reset value, which only registers have.
    #[error("{region}: {register} is memory, which has no reset value")]
    MemoryReset {
        /// The region.
        region: Region,
        /// The range.
        register: String,
    },
    /// A field that can't be.
    #[error("{region}: {register}.{}: {source}", field.escape_debug())]
    Field {
        /// The region.
        region: Region,
        /// The field's register.
        register: String,
        /// The field.
        field: String,
        /// The reason.
        source: BadField,
    },
}

/// A fault of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadField {
    /// A name that nobody could ask for.
    #[error("that is no field's name: {NAME_RULE}")]
    Name,
    /// A second field of its name.
    #[error("the register has two fields of this name; give one of them another name")]
    TwoFields,
    /// It has no bits.
    #[error("a field has at least one bit")]
    Empty,
    /// It ends above the register's highest bit.
    #[error("it ends past bit {0}, the register's highest")]
    PastTheEnd(u64),
    /// It begins below the end of the field before it.
    #[error("it begins before the end of the field before it: fields come lowest first, apart")]
    OutOfOrder,
    /// A named value that the field can't have.
    #[error("it can't have the value {0:#x}, which has a name")]
    Value(u64),
    /// A value with two names.
    #[error("its value {0:#x} has two names; leave one out")]
    TwoNames(u64),
    /// A value whose name nobody could ask for.
    #[error("the name of its value {0:#x} is none: {NAME_RULE}")]
    ValueName(u64),
    /// A value that has the name of another one.
    #[error("its value {0:#x} has the name of another one; give one of them another name")]
    TwoValues(u64),
    /// A field of plain bytes.
    #[error("memory has no fields")]
    OfMemory,
}

/// Checks the maps of a function with this header.
pub(crate) fn check(maps: &[RegisterMap], region_size: impl Fn(Region) -> Option<u64>) -> Result<(), BadMap> {
    for (index, map) in maps.iter().enumerate() {
        let size = region_size(map.region);
        map.check(size.ok_or(BadMap::NoRegion(map.region))?)?;
        if maps[..index].iter().any(|before| before.region == map.region) {
            return Err(BadMap::TwoMaps(map.region));
        }
    }
    Ok(())
}

/// Where in a map a fault is: the indices of a register, of one of its fields, and of one of that field's values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) register: usize,
    pub(crate) field: Option<usize>,
    pub(crate) value: Option<usize>,
}

impl RegisterMap {
    /// Checks that every register of a region of `size` bytes can be reached and asked for by name, and every field.
    ///
    /// # Errors
    /// [`BadMap`] if registers don't ascend, overlap, or end past the region; if one has a size that no
    /// access has, or a reset value that it can't hold; if its fields don't ascend, overlap, or end past
    /// the register; if a name is none, or another one's.
    pub fn check(&self, size: u64) -> Result<(), BadMap> {
        self.fault(size).map_or(Ok(()), |(_, bad)| Err(bad))
    }

    /// The first fault that [`RegisterMap::check`] finds, and where.
    pub(crate) fn fault(&self, size: u64) -> Option<(Place, BadMap)> {
        let mut names = BTreeMap::new();
        let mut before = None;
        for (index, register) in self.registers.iter().enumerate() {
            let place = Place { register: index, ..Place::default() };
            let found = self.register_fault(register, size, before).map(|bad| (place, bad));
            let found = found.or_else(|| {
                let first = names.insert(&*register.name, register.offset)?;
                let (region, offset) = (self.region, register.offset);
                Some((
                    place,
                    BadMap::TwoRegisters { region, register: register.name.to_string(), first, offset },
                ))
            });
            let found = found.or_else(|| {
                let (field, value, source) = register.field_fault()?;
                let names = (register.name.to_string(), register.fields[field].name.to_string());
                let bad = BadMap::Field { region: self.region, register: names.0, field: names.1, source };
                Some((Place { field: Some(field), value, ..place }, bad))
            });
            if found.is_some() {
                return found;
            }
            before = Some(register);
        }
        None
    }

    /// A fault of a register that comes after another one, but for its fields and who shares its name.
    fn register_fault(&self, register: &Register, size: u64, before: Option<&Register>) -> Option<BadMap> {
        let region = self.region;
        let name = || register.name.to_string();
        let &Register { offset, size: bytes, reset, memory, .. } = register;
        if !is_name(&register.name) {
            return Some(BadMap::Name { region, register: name() });
        }
        if bytes == 0 || (!memory && AccessSize::new(bytes).is_none()) {
            return Some(BadMap::Size { region, register: name(), size: bytes });
        }
        if offset.checked_add(bytes).is_none_or(|end| end > size) {
            return Some(BadMap::PastTheEnd {
                region,
                register: name(),
                offset,
                size: bytes,
                region_size: size,
            });
        }
        // The one before was checked: its end is a number.
        if let Some((before, end)) = before.map(|before| (before, before.offset + before.size))
            && offset < end
        {
            let before = before.name.to_string();
            return Some(BadMap::OutOfOrder { region, register: name(), offset, before, end });
        }
        if memory && reset != 0 {
            return Some(BadMap::MemoryReset { region, register: name() });
        }
        let holds = bytes >= 8 || reset >> (8 * bytes) == 0;
        (!holds).then(|| BadMap::Reset { region, register: name(), reset })
    }
}

impl Register {
    /// The first of its fields that can't be, and the value in it that is at fault.
    fn field_fault(&self) -> Option<(usize, Option<usize>, BadField)> {
        let bits = 8 * self.size.min(8);
        let mut free = 0;
        let mut names = BTreeSet::new();
        for (index, field) in self.fields.iter().enumerate() {
            let (lsb, width) = (u64::from(field.lsb), u64::from(field.width));
            let bad = if self.memory {
                Some(BadField::OfMemory)
            } else if !is_name(&field.name) {
                Some(BadField::Name)
            } else if width == 0 {
                Some(BadField::Empty)
            } else if lsb + width > bits {
                Some(BadField::PastTheEnd(bits - 1))
            } else if lsb < free {
                Some(BadField::OutOfOrder)
            } else {
                (!names.insert(&*field.name)).then_some(BadField::TwoFields)
            };
            if let Some(bad) = bad {
                return Some((index, None, bad));
            }
            if let Some((value, bad)) = field.value_fault() {
                return Some((index, Some(value), bad));
            }
            free = lsb + width;
        }
        None
    }
}

impl Field {
    /// The first of its values that can't be.
    fn value_fault(&self) -> Option<(usize, BadField)> {
        let largest = self.mask() >> self.lsb;
        let (mut values, mut names) = (BTreeSet::new(), BTreeSet::new());
        self.values.iter().enumerate().find_map(|(index, (value, name))| {
            let bad = if *value > largest {
                BadField::Value(*value)
            } else if !values.insert(*value) {
                BadField::TwoNames(*value)
            } else if !is_name(name) {
                BadField::ValueName(*value)
            } else if !names.insert(&**name) {
                BadField::TwoValues(*value)
            } else {
                return None;
            };
            Some((index, bad))
        })
    }
}

#[cfg(test)]
mod tests;
