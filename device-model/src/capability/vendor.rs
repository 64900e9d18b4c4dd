//! The vendor-specific capability: read-only bytes that mean something to the device's driver.
//!
//! PCI Local Bus 3.0, appendix H.

use crate::config::ConfigSpace;

const CAPABILITY_ID: u8 = 0x09;
/// The list's two bytes, and the capability's length.
const HEAD: usize = 3;

/// Adds it to configuration space.
///
/// # Panics
/// If `content` doesn't fit there.
pub(crate) fn define(content: &[u8], config: &mut ConfigSpace) {
    let length = HEAD + content.len();
    let offset = config.add_capability(CAPABILITY_ID, length);
    // No capability that fits is longer than 192 bytes.
    config.define(offset + 2, &[length as u8]);
    config.define(offset + HEAD, content);
}

#[cfg(test)]
mod tests {
    use crate::access_size::AccessSize::{Byte, Dword};
    use crate::fixture::Fixture;
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
}
