//! Device Serial Number: an extended capability, which only ECAM reaches.
//!
//! PCI Express Base 5.0, section 7.9.3.

use crate::config::ConfigSpace;

/// Where the list of extended capabilities begins. This is the only one.
const OFFSET: usize = 0x100;
/// Identifier 0x0003 in bits 15:0, version 1 in bits 19:16, no next capability.
const HEAD: u32 = 0x0001_0003;

/// Lays it out in configuration space.
pub(crate) fn define(number: u64, config: &mut ConfigSpace) {
    config.define(OFFSET, &HEAD.to_le_bytes());
    config.define(OFFSET + 4, &number.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use crate::access_size::AccessSize::{Dword, Qword};
    use crate::fixture::Fixture;
    use crate::probe::Probe;

    #[test]
    fn it_is_the_only_extended_capability() {
        let mut fixture = Fixture::new(Probe::with_every_capability());

        assert_eq!(fixture.config_read(0x100, Dword), 0x0001_0003);
        assert_eq!(fixture.config_read(0x104, Qword), 0x1ab0_0000_0000_0001);
        assert_eq!(fixture.config_read(0x10c, Dword), 0);
    }
}
