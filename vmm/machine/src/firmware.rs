//! What a PC's firmware leaves behind for a kernel: BARs with addresses, and functions that decode them.
//!
//! As QEMU's SeaBIOS does it (`src/fw/pciinit.c`): expansion ROMs have an address, but are disabled; the Command
//! register is 0x0103, which is I/O Space, Memory Space and SERR# Enable.

use barscope_device::{AccessSize, Region};

use crate::placement::{Placed, Placement};

/// What SeaBIOS leaves in the Command register.
const COMMAND: u16 = 0x0103;
const COMMAND_OFFSET: u64 = 0x04;
const FIRST_BAR: u64 = 0x10;
const ROM: u64 = 0x30;

/// A write to a function's configuration space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    /// Index of the function.
    pub function: usize,
    /// Offset of the register.
    pub offset: u64,
    /// Its size.
    pub size: AccessSize,
    /// What is written.
    pub value: u64,
}

/// All writes that firmware makes to this many functions: addresses in the order of functions and regions, then
/// Command registers.
pub fn writes(placement: &Placement, functions: usize) -> impl Iterator<Item = Write> + '_ {
    let addresses = placement.regions().iter().flat_map(registers);
    let commands = (0..functions).map(|function| Write {
        function,
        offset: COMMAND_OFFSET,
        size: AccessSize::Word,
        value: COMMAND.into(),
    });
    addresses.chain(commands)
}

/// The writes that give a region its address.
fn registers(placed: &Placed) -> impl Iterator<Item = Write> {
    let Placed { function, region, wide, base } = *placed;
    let offset = match region {
        Region::Bar(index) => FIRST_BAR + 4 * u64::from(index.get()),
        Region::Rom | Region::Config => ROM,
    };
    let low = Write { function, offset, size: AccessSize::Dword, value: base & 0xffff_ffff };
    let high = Write { function, offset: offset + 4, size: AccessSize::Dword, value: base >> 32 };
    [Some(low), wide.then_some(high)].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use barscope_device::{BarIndex, BarSpec, Bdf, ConfigHeader};

    use super::*;
    use crate::placement::Asking;

    /// Function, offset and value of each write.
    fn written(header: &ConfigHeader) -> Vec<(usize, u64, u64)> {
        let asking = Asking { bdf: Bdf::from_routing_id(0x20), name: "any", header };
        let placement = Placement::new(&[asking], 48).unwrap();
        writes(&placement, 1).map(|write| (write.function, write.offset, write.value)).collect()
    }

    #[test]
    fn addresses_come_before_the_command_register_that_lets_them_be_decoded() {
        let header = ConfigHeader {
            bars: vec![BarSpec::memory32(BarIndex::BAR0, 0x1000), BarSpec::io(BarIndex::BAR1, 8)],
            ..ConfigHeader::default()
        };
        assert_eq!(written(&header), [(0, 0x10, 0xf000_0000), (0, 0x14, 0xc000), (0, 0x04, 0x0103)]);
    }

    #[test]
    fn a_64_bit_address_is_written_in_halves() {
        let bars = vec![BarSpec::memory64(BarIndex::BAR2, 1 << 40)];
        let header = ConfigHeader { bars, ..ConfigHeader::default() };
        assert_eq!(written(&header), [(0, 0x18, 0), (0, 0x1c, 0x100), (0, 0x04, 0x0103)]);
    }

    #[test]
    fn a_rom_has_an_address_and_stays_disabled() {
        let bars = vec![BarSpec::memory32(BarIndex::BAR0, 0x1000)];
        let header = ConfigHeader { bars, rom: Some(0x800), ..ConfigHeader::default() };
        assert_eq!(written(&header), [(0, 0x10, 0xf000_0000), (0, 0x30, 0xf000_1000), (0, 0x04, 0x0103)]);
    }
}
