//! The vendor-specific capability: bytes that mean something to the device's driver.
//!
//! PCI Local Bus 3.0, appendix H.

use serde::{Deserialize, Serialize};

use super::Layout;
use crate::bad_header::BadHeader;
use crate::bar::BarSpec;
use crate::config::ConfigSpace;
use crate::config::registers::register;
use crate::masked_bytes::MaskedBytes;
use crate::register::{Access, Register};

/// The list's two bytes, and the capability's length.
const HEAD: usize = 3;

static REGISTERS: [Register; 2] = [
    register("VENDOR", 0, 2, Access::ReadOnly, &[], "vendor-specific: identifier, next capability"),
    register("VENDOR_LENGTH", 2, 1, Access::ReadOnly, &[], "of the capability, in bytes"),
];

/// A vendor-specific capability of a function, which may have several.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VendorSpec {
    /// Bytes behind the capability's length.
    pub content: MaskedBytes,
    /// The length that it states, where that is another than it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stated_length: Option<u8>,
}

impl VendorSpec {
    /// Read-only bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self { content: MaskedBytes::read_only(bytes), stated_length: None }
    }
}

impl Layout for VendorSpec {
    fn id(&self) -> u16 {
        0x09
    }

    fn name(&self) -> &'static str {
        "vendor-specific"
    }

    fn length(&self) -> usize {
        HEAD + self.content.len()
    }

    fn is_unique(&self) -> bool {
        false
    }

    fn check(&self, _: &[BarSpec]) -> Result<(), BadHeader> {
        self.content.check(self.name())
    }

    fn define(&self, config: &mut ConfigSpace, offset: usize) {
        // None that fits is longer than 192 bytes.
        config.define(offset + 2, &[self.stated_length.unwrap_or(self.length() as u8)]);
        self.content.define(config, offset + HEAD);
    }

    fn registers(&self) -> Vec<Register> {
        REGISTERS.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::VendorSpec;
    use crate::access_size::AccessSize::{Byte, Dword};
    use crate::fixture::Fixture;
    use crate::masked_bytes::MaskedBytes;
    use crate::probe::Probe;

    #[test]
    fn it_says_its_length_and_is_read_only() {
        let mut fixture = Fixture::new(Probe::with_every_capability());
        let offset = fixture.capability(0x09).unwrap();

        fixture.config_write(offset + 4, Dword, 0);

        assert_eq!(fixture.config_read(offset + 2, Byte), 8);
        assert_eq!(fixture.config_read(offset + 3, Byte), u64::from(b'b'));
        assert_eq!(fixture.config_read(offset + 4, Dword), u64::from(u32::from_le_bytes(*b"ench")));
    }

    #[test]
    fn bits_that_the_mask_names_can_be_written() {
        let content = MaskedBytes::new([0, 0x11, 0x22, 0x33, 0x44], [0, 0xff, 0x0f]);
        let mut fixture = Fixture::new(
            Probe::new().with_capabilities([VendorSpec { content, stated_length: Some(0xff) }.into()]),
        );

        fixture.config_write(0x44, Dword, 0xaaaa_aaaa);

        assert_eq!(fixture.config_read(0x42, Byte), 0xff);
        assert_eq!(fixture.config_read(0x44, Dword), 0x4433_2aaa);
    }
}
