//! Whether register maps can hold: a register that another one covers, that lies where a search by offset
//! doesn't look, or past its region's end can never be reached, and a trace would name accesses wrongly.

use super::{Field, Register, RegisterMap};
use crate::access_size::AccessSize;
use crate::address::Region;

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
    /// A field that can't be.
    #[error("{region}: {register}.{field}: {source}")]
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

impl RegisterMap {
    /// Checks that every register of a region of `size` bytes can be reached, and every field.
    ///
    /// # Errors
    /// [`BadMap`] if registers don't ascend, overlap, or end past the region; if one has a size that no
    /// access has, or a reset value that it can't hold; if its fields don't ascend, overlap, or end past
    /// the register.
    pub fn check(&self, size: u64) -> Result<(), BadMap> {
        let region = self.region;
        let mut before: Option<(&Register, u64)> = None;
        for register in self.registers.iter() {
            let name = || register.name.to_string();
            let &Register { offset, size: bytes, reset, .. } = register;
            if bytes == 0 || (!register.memory && AccessSize::new(bytes).is_none()) {
                return Err(BadMap::Size { region, register: name(), size: bytes });
            }
            let end = offset.checked_add(bytes).filter(|&end| end <= size);
            let Some(end) = end else {
                return Err(BadMap::PastTheEnd {
                    region,
                    register: name(),
                    offset,
                    size: bytes,
                    region_size: size,
                });
            };
            if let Some((before, end)) = before.filter(|(_, end)| offset < *end) {
                let before = before.name.to_string();
                return Err(BadMap::OutOfOrder { region, register: name(), offset, before, end });
            }
            if bytes < 8 && reset >> (8 * bytes) != 0 {
                return Err(BadMap::Reset { region, register: name(), reset });
            }
            register.check_fields().map_err(|(field, source)| BadMap::Field {
                region,
                register: name(),
                field: field.name.to_string(),
                source,
            })?;
            before = Some((register, end));
        }
        Ok(())
    }
}

impl Register {
    /// Checks its fields; the first that can't be.
    fn check_fields(&self) -> Result<(), (&Field, BadField)> {
        let bits = 8 * self.size.min(8);
        let mut free = 0;
        for field in self.fields.iter() {
            let (lsb, width) = (u64::from(field.lsb), u64::from(field.width));
            let bad = if self.memory {
                Some(BadField::OfMemory)
            } else if width == 0 {
                Some(BadField::Empty)
            } else if lsb + width > bits {
                Some(BadField::PastTheEnd(bits - 1))
            } else if lsb < free {
                Some(BadField::OutOfOrder)
            } else {
                let largest = u64::MAX >> (64 - width);
                field
                    .values
                    .iter()
                    .find(|(value, _)| *value > largest)
                    .map(|(value, _)| BadField::Value(*value))
            };
            if let Some(bad) = bad {
                return Err((field, bad));
            }
            free = lsb + width;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
