//! The expansion ROM's base address register.
//!
//! PCI Local Bus 3.0, section 6.2.5.2.

use crate::address::Space;
use crate::bad_header::BadHeader;
use crate::config::ConfigSpace;
use crate::config::{COMMAND, COMMAND_MEMORY_SPACE};
use crate::effect::Decode;

const OFFSET: usize = 0x30;
/// The function decodes the ROM while this bit and Memory Space are set.
const ENABLE: u32 = 1 << 0;
/// Bits 31:11 hold the address.
const SMALLEST: u32 = 1 << 11;
const LARGEST: u32 = 1 << 24;

/// Checks that a ROM can have this size in bytes.
pub(crate) fn check(size: u32) -> Result<(), BadHeader> {
    let holds = size.is_power_of_two() && (SMALLEST..=LARGEST).contains(&size);
    if holds { Ok(()) } else { Err(BadHeader::RomSize(size)) }
}

/// An expansion ROM of some size in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rom(u32);

impl Rom {
    /// Lays out its register: address bits from the size up, and the enable bit.
    pub(crate) fn define(size: u32, config: &mut ConfigSpace) -> Self {
        config.make_writable(OFFSET, &(!(size - 1) | ENABLE).to_le_bytes());
        Self(size)
    }

    /// What it claims with configuration space as it is.
    pub(crate) fn decode(self, config: &ConfigSpace) -> Option<Decode> {
        let register = config.u32(OFFSET);
        let enabled = register & ENABLE != 0 && config.u16(COMMAND) & COMMAND_MEMORY_SPACE != 0;
        let base = u64::from(register & !ENABLE);
        enabled.then_some(Decode { space: Space::Memory, base, size: self.0.into() })
    }
}

#[cfg(test)]
mod tests {
    use crate::access_size::AccessSize::{Dword, Word};
    use crate::address::{Region, Space};
    use crate::effect::Decode;
    use crate::fixture::Fixture;
    use crate::probe::Probe;

    const ROM: u64 = 0x30;
    const COMMAND: u64 = 0x04;

    #[test]
    fn sizing_reports_the_size_and_leaves_the_low_bits_zero() {
        let mut fixture = Fixture::new(Probe::new().with_rom(0x800));

        fixture.config_write(ROM, Dword, 0xffff_fffe);

        assert_eq!(fixture.config_read(ROM, Dword), 0xffff_f800);
    }

    #[test]
    fn it_takes_both_enable_bits_to_decode() {
        let mut fixture = Fixture::new(Probe::with_bars(&[]).with_rom(0x1000));
        let decoded = Decode { space: Space::Memory, base: 0xfe10_0000, size: 0x1000 };

        for (enable, command, expected) in
            [(0, 0, None), (1, 0, None), (0, 2, None), (1, 2, Some(decoded)), (1, 1, None)]
        {
            fixture.config_write(ROM, Dword, 0xfe10_0000 | enable);
            fixture.config_write(COMMAND, Word, command);
            let decoding = fixture.function().decoding();
            assert_eq!(decoding.first().copied(), expected.map(|decode| (Region::Rom, decode)));
        }
    }

    #[test]
    fn a_function_without_one_has_zeros_there() {
        let mut fixture = Fixture::new(Probe::new());

        fixture.config_write(ROM, Dword, 0xffff_ffff);

        assert_eq!(fixture.config_read(ROM, Dword), 0);
    }

    #[test]
    #[should_panic(expected = "ROM: size 0x400 is no power of two from 2 KiB")]
    fn a_rom_below_2_kib_is_refused() {
        Fixture::new(Probe::new().with_rom(0x400));
    }
}
