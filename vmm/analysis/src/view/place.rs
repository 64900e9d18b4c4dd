//! Where an access or a change is: a function's region, an offset, and the register there.

use std::fmt;
use std::sync::Arc;

use barscope_device::{Bdf, Field, Region, Register, header_registers};
use barscope_trace::definition::Function;

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
        Some(match self.register_and_rest()? {
            (name, None) => name.to_owned(),
            (name, Some(within)) => format!("{name}+{within:#x}"),
        })
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
        let first = match self.register() {
            Some(register) if register.offset == self.offset && u64::from(size) >= register.size => {
                describe_value(register, value)
            }
            _ => String::new(),
        };
        let more =
            self.others(size).map(|(register, shift)| (register, describe_value(register, value >> shift)));
        let more = more.filter(|(_, words)| !words.is_empty());
        let more = more.map(|(register, words)| format!("{} {words}", register.name));
        Some(first).filter(|words| !words.is_empty()).into_iter().chain(more).collect::<Vec<_>>().join(", ")
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
        f.pad(&format!("{}+{:#05x}", self.region, self.offset))
    }
}

/// What `value` means by a register's fields: names of set bits, `FIELD=VALUE` for wider ones that are not
/// zero, in words where the map has some. Empty if there is nothing to say.
pub fn describe_value(register: &Register, value: u64) -> String {
    let words = register.fields.iter().filter_map(|field| {
        let held = field.extract(value);
        let whole = u64::from(field.width) >= 8 * register.size || field.name == register.name;
        match (field.value_name(held), held) {
            (Some(name), _) if whole => Some(name.to_owned()),
            (Some(name), _) => Some(format!("{}={name}", field.name)),
            (None, 0) => None,
            (None, _) if field.width == 1 => Some(field.name.to_string()),
            (None, _) if whole => None,
            (None, _) => Some(format!("{}={held:#x}", field.name)),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}
