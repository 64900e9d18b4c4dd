//! Where an access or a change is: a function's region, an offset, and the register there.

use std::fmt;
use std::sync::Arc;

use barscope_device::{Bdf, Field, Region, Register, header_registers};
use barscope_trace::definition::Function;

use crate::digits::{decimal, hex, prefixed_hex};

/// A place in a PCI function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The function's address; `None` for a register of the host bridge itself (CONFIG_ADDRESS).
    pub bdf: Option<Bdf>,
    /// The function; `None` if there is none at this address.
    pub function: Option<Arc<Function>>,
    /// The region.
    pub region: Region,
    /// Offset of the first byte in the region.
    pub offset: u64,
}

impl Place {
    /// The model's name, or nothing.
    pub fn device(&self) -> &str {
        self.function.as_ref().map_or("", |function| &function.name)
    }

    /// The register, or range of device memory, that its first byte belongs to.
    pub fn register(&self) -> Option<&Register> {
        let registers = self.registers();
        let after = registers.partition_point(|register| register.offset <= self.offset);
        registers[..after].last().filter(|register| register.contains(self.offset))
    }

    /// The registers of its region.
    fn registers(&self) -> &[Register] {
        let maps = self.function.as_ref().map(|function| &function.register_maps);
        match maps.and_then(|maps| maps.iter().find(|map| map.region == self.region)) {
            Some(map) => &map.registers,
            // All functions have those, also where there is none.
            None if self.is_configuration() && self.bdf.is_some() => header_registers(),
            None => &[],
        }
    }

    /// The register's name; with the offset in it, if the place isn't its start: `MEMORY+0x10`.
    pub fn register_name(&self) -> Option<String> {
        let mut name = String::new();
        self.push_register_name(&mut name);
        Some(name).filter(|name| !name.is_empty())
    }

    /// The register's name, and the offset in it if the place isn't its start.
    pub(crate) fn register_and_rest(&self) -> Option<(&str, Option<u64>)> {
        let (name, start, memory) = match self.register() {
            Some(register) => (&*register.name, register.offset, register.memory),
            None if self.bdf.is_none() && self.is_configuration() => ("CONFIG_ADDRESS", 0, false),
            None => return None,
        };
        let within = self.offset - start;
        Some((name, Some(within).filter(|within| memory || *within > 0)))
    }

    /// Whether it is in configuration space.
    pub fn is_configuration(&self) -> bool {
        self.region == Region::Config
    }

    /// What `value` of `size` bytes at this place means by the register's fields; see [`describe_value`]. In
    /// configuration space, where one access may reach several registers, of all of them: `MEMORY_SPACE, STATUS
    /// CAPABILITIES`.
    pub fn describe(&self, value: u64, size: u8) -> String {
        let mut text = String::new();
        self.push_description(&mut text, value, size);
        text
    }

    /// The same, appended.
    pub(crate) fn push_description(&self, text: &mut String, value: u64, size: u8) {
        let start = text.len();
        if let Some(register) = self.register()
            && register.offset == self.offset
            && u64::from(size) >= register.size
        {
            push_value_description(text, register, value);
        }
        for (register, shift) in self.others(size) {
            let before = text.len();
            if before > start {
                text.push_str(", ");
            }
            text.push_str(&register.name);
            text.push(' ');
            let after_name = text.len();
            push_value_description(text, register, value >> shift);
            if text.len() == after_name {
                text.truncate(before);
            }
        }
    }

    /// `BAR0+0x008`, appended.
    pub(crate) fn push_name(&self, text: &mut String) {
        match self.region {
            Region::Bar(index) => {
                text.push_str("BAR");
                decimal(text, index.get().into());
            }
            Region::Rom => text.push_str("ROM"),
            Region::Config => text.push_str("CONFIG"),
        }
        text.push_str("+0x");
        hex(text, self.offset, 3);
    }

    /// What [`Place::register_name`] gives, appended.
    pub(crate) fn push_register_name(&self, text: &mut String) {
        let Some((name, within)) = self.register_and_rest() else { return };
        text.push_str(name);
        if let Some(within) = within {
            text.push('+');
            prefixed_hex(text, within);
        }
    }

    /// The fields that `value` of `size` bytes at this place has, with what each holds.
    pub fn fields(&self, value: u64, size: u8) -> Vec<(&Field, u64)> {
        match self.register() {
            Some(register) if register.offset == self.offset => register
                .fields
                .iter()
                .filter(|field| u16::from(field.lsb) + u16::from(field.width) <= 8 * u16::from(size))
                .map(|field| (field, field.extract(value)))
                .collect(),
            _ => Vec::new(),
        }
    }

    /// The registers of configuration space that `size` bytes from here hold in whole, the first one aside, each
    /// with the bit that it begins at.
    fn others(&self, size: u8) -> impl Iterator<Item = (&Register, u64)> {
        let all = if self.is_configuration() { self.registers() } else { &[] };
        let end = self.offset.saturating_add(size.into());
        let within = move |register: &&Register| {
            register.offset > self.offset && register.offset.saturating_add(register.size) <= end
        };
        all.iter().filter(within).map(|register| (register, 8 * (register.offset - self.offset)))
    }
}

/// `BAR0+0x008`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut name = String::new();
        self.push_name(&mut name);
        f.pad(&name)
    }
}

/// What `value` means by a register's fields: names of set bits, `FIELD=VALUE` for wider ones that are not
/// zero, in words where the map has some. Empty if there is nothing to say.
pub fn describe_value(register: &Register, value: u64) -> String {
    let mut text = String::new();
    push_value_description(&mut text, register, value);
    text
}

fn push_value_description(text: &mut String, register: &Register, value: u64) {
    let start = text.len();
    for field in register.fields.iter() {
        let held = field.extract(value);
        let whole = u64::from(field.width) >= 8 * register.size || field.name == register.name;
        let name = field.value_name(held);
        let bit = field.width == 1;
        if name.is_none() && (held == 0 || whole && !bit) {
            continue;
        }
        if text.len() > start {
            text.push(' ');
        }
        match name {
            Some(name) if whole => text.push_str(name),
            Some(name) => {
                text.push_str(&field.name);
                text.push('=');
                text.push_str(name);
            }
            None if bit => text.push_str(&field.name),
            None => {
                text.push_str(&field.name);
                text.push('=');
                prefixed_hex(text, held);
            }
        }
    }
}
