//! A capability that is not modelled, given by its bytes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Layout;
use crate::bad_header::BadHeader;
use crate::bar::BarSpec;
use crate::config::ConfigSpace;
use crate::config::registers::register;
use crate::masked_bytes::MaskedBytes;
use crate::register::{Access, Register};

/// Identifier, and offset of the next one.
const HEAD: usize = 2;
/// Identifiers of the types beside this one.
const TYPED: [(u16, &str); 6] = [
    (0x01, "power management"),
    (0x05, "MSI"),
    (0x09, "vendor-specific"),
    (0x10, "PCI Express"),
    (0x11, "MSI-X"),
    (0x13, "Advanced Features"),
];

/// A capability with any identifier, as bytes with a writable mask. A function may have several of one
/// identifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtherSpec {
    /// Its identifier.
    pub id: u8,
    /// Bytes behind the identifier and the offset of the next capability.
    pub content: MaskedBytes,
}

impl fmt::Display for OtherSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "capability {:#04x} ({} bytes)", self.id, self.length())
    }
}

impl Layout for OtherSpec {
    fn id(&self) -> u16 {
        self.id.into()
    }

    fn name(&self) -> &'static str {
        "a capability that is not modelled"
    }

    fn length(&self) -> usize {
        HEAD + self.content.len()
    }

    fn is_unique(&self) -> bool {
        false
    }

    fn check(&self, _: &[BarSpec]) -> Result<(), BadHeader> {
        if let Some(&(id, name)) = TYPED.iter().find(|(id, _)| *id == self.id()) {
            return Err(BadHeader::Typed { id, name });
        }
        self.content.check(self.name())
    }

    fn define(&self, config: &mut ConfigSpace, offset: usize) {
        self.content.define(config, offset + HEAD);
    }

    fn registers(&self) -> Vec<Register> {
        let mut head = register("", 0, 2, Access::ReadOnly, &[], "identifier, next capability");
        head.name = format!("CAPABILITY_{:02X}", self.id).into();
        vec![head]
    }
}

#[cfg(test)]
mod tests {
    use super::OtherSpec;
    use crate::access_size::AccessSize::{Dword, Word};
    use crate::fixture::Fixture;
    use crate::masked_bytes::MaskedBytes;
    use crate::probe::Probe;

    #[test]
    fn it_is_listed_and_takes_what_its_mask_allows() {
        let content = MaskedBytes::new([0x00, 0x80, 1, 2, 3, 4], [0xff, 0x7f]);
        let other = OtherSpec { id: 0x03, content };
        let mut fixture = Fixture::new(Probe::new().with_capabilities([other.into()]));

        fixture.config_write(0x40, Dword, 0xffff_ffff);
        fixture.config_write(0x44, Dword, 0xffff_ffff);

        assert_eq!(fixture.capability(0x03), Some(0x40));
        assert_eq!(fixture.config_read(0x42, Word), 0xffff);
        assert_eq!(fixture.config_read(0x44, Dword), 0x0403_0201);
        let registers = fixture.function().configuration_registers();
        assert_eq!(
            registers.last().map(|register| (register.offset, &*register.name)),
            Some((0x40, "CAPABILITY_03"))
        );
    }

    #[test]
    #[should_panic(expected = "capability 0x10 is PCI Express, which has a type of its own")]
    fn what_has_a_type_of_its_own_is_refused() {
        let other = OtherSpec { id: 0x10, content: MaskedBytes::read_only([0; 10]) };
        Fixture::new(Probe::new().with_capabilities([other.into()]));
    }

    #[test]
    #[should_panic(expected = "has 1 bytes, and a mask for 2")]
    fn a_mask_for_more_bytes_than_there_are_is_refused() {
        let other = OtherSpec { id: 0x03, content: MaskedBytes::new([0], [0xff, 0xff]) };
        Fixture::new(Probe::new().with_capabilities([other.into()]));
    }
}
