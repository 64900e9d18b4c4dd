//! What a PC's firmware leaves behind for a kernel: BARs with addresses, and functions that decode them.
//!
//! As QEMU's SeaBIOS does it (`src/fw/pciinit.c`): the largest first, so that none wastes room; memory BARs
//! at least a page apart, so that each can be mapped alone; expansion ROMs with an address, but disabled; the
//! Command register 0x0103, which is I/O Space, Memory Space and SERR# Enable. A 64-bit BAR gets an address
//! above 4 GiB only if there is no room for it below, where a 32-bit kernel can reach it. What finds no room
//! at all keeps address 0, and its function doesn't decode BARs of that kind.

use std::cmp::Reverse;
use std::ops::RangeInclusive;

use barscope_device::{AccessSize, ConfigHeader, Region, Space};

use crate::layout;

/// What SeaBIOS leaves in the Command register.
const COMMAND: u16 = 0x0103;
const COMMAND_IO_SPACE: u16 = 1 << 0;
const COMMAND_MEMORY_SPACE: u16 = 1 << 1;
const COMMAND_OFFSET: u64 = 0x04;
const FIRST_BAR: u64 = 0x10;
const ROM: u64 = 0x30;
const PAGE: u64 = 0x1000;

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

/// A region that wants an address.
#[derive(Clone, Copy, Debug)]
struct Request {
    function: usize,
    region: Region,
    space: Space,
    size: u64,
    wide: bool,
}

/// A range of addresses that is given out from its start.
struct Window {
    next: u64,
    last: u64,
}

impl Window {
    fn new(range: &RangeInclusive<u64>) -> Self {
        Self { next: *range.start(), last: *range.end() }
    }

    /// An address for `size` bytes, a multiple of that; `None` if there is no room.
    fn take(&mut self, size: u64) -> Option<u64> {
        let base = self.next.checked_next_multiple_of(size)?;
        let last = base.checked_add(size - 1).filter(|last| *last <= self.last)?;
        self.next = last.saturating_add(1);
        Some(base)
    }
}

/// All writes that firmware makes, for functions with these headers: addresses in the order of functions and
/// regions, then Command registers.
pub fn writes(headers: &[&ConfigHeader]) -> Vec<Write> {
    let mut requests: Vec<_> = (0..).zip(headers).flat_map(|(index, header)| wanted(index, header)).collect();
    // What has no choice comes first; equals stay in their order.
    requests.sort_by_key(|request| (request.wide, Reverse(request.size)));
    let mut low = Window::new(&layout::PCI_MEMORY_32);
    let mut high = Window::new(&layout::PCI_MEMORY_64);
    let mut ports = Window::new(&layout::PCI_IO);
    let mut command = vec![COMMAND; headers.len()];
    let mut given = Vec::new();
    for request in requests {
        let base = match request.space {
            Space::Io => ports.take(request.size),
            Space::Memory if request.wide => low.take(request.size).or_else(|| high.take(request.size)),
            Space::Memory => low.take(request.size),
        };
        match (base, request.space) {
            (Some(base), _) => given.push((request, base)),
            // A ROM stays disabled anyway.
            (None, _) if request.region == Region::Rom => {}
            (None, Space::Io) => command[request.function] &= !COMMAND_IO_SPACE,
            (None, Space::Memory) => command[request.function] &= !COMMAND_MEMORY_SPACE,
        }
    }
    given.sort_by_key(|(request, _)| (request.function, request.region));
    let addresses = given.into_iter().flat_map(|(request, base)| registers(request, base));
    let commands = command.into_iter().enumerate().map(|(function, command)| Write {
        function,
        offset: COMMAND_OFFSET,
        size: AccessSize::Word,
        value: command.into(),
    });
    addresses.chain(commands).collect()
}

/// The regions of a function, with the room that each wants.
fn wanted(function: usize, header: &ConfigHeader) -> impl Iterator<Item = Request> + '_ {
    let bars = header.bars.iter().map(move |bar| {
        let size = if bar.space == Space::Memory { bar.size.max(PAGE) } else { bar.size };
        Request { function, region: bar.region(), space: bar.space, size, wide: bar.wide }
    });
    let rom = header.rom.map(move |size| Request {
        function,
        region: Region::Rom,
        space: Space::Memory,
        size: u64::from(size).max(PAGE),
        wide: false,
    });
    bars.chain(rom)
}

/// The writes that put a region at `base`.
fn registers(request: Request, base: u64) -> impl Iterator<Item = Write> {
    let Request { function, region, wide, .. } = request;
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
    use barscope_device::{BarIndex, BarSpec};

    use super::*;

    fn header(bars: &[BarSpec]) -> ConfigHeader {
        ConfigHeader { bars: bars.to_vec(), ..ConfigHeader::default() }
    }

    /// Function, offset and value of each write, Command registers aside.
    fn addresses(headers: &[&ConfigHeader]) -> Vec<(usize, u64, u64)> {
        let writes = writes(headers).into_iter().filter(|write| write.offset != COMMAND_OFFSET);
        writes.map(|write| (write.function, write.offset, write.value)).collect()
    }

    fn commands(headers: &[&ConfigHeader]) -> Vec<u64> {
        let writes = writes(headers).into_iter().filter(|write| write.offset == COMMAND_OFFSET);
        writes.map(|write| write.value).collect()
    }

    #[test]
    fn the_largest_comes_first_in_each_window() {
        let first = header(&[
            BarSpec::memory32(BarIndex::BAR0, 0x1000),
            BarSpec::io(BarIndex::BAR1, 8),
            BarSpec::memory64(BarIndex::BAR2, 0x10_0000),
        ]);
        let second =
            header(&[BarSpec::memory32(BarIndex::BAR0, 0x1_0000), BarSpec::io(BarIndex::BAR4, 0x20)]);

        assert_eq!(
            addresses(&[&first, &second]),
            [
                (0, 0x10, 0xf001_0000),
                (0, 0x14, 0xc020),
                (0, 0x18, 0xf010_0000),
                (0, 0x1c, 0),
                (1, 0x10, 0xf000_0000),
                (1, 0x20, 0xc000),
            ]
        );
    }

    #[test]
    fn each_memory_bar_has_a_page_of_its_own() {
        let small = header(&[
            BarSpec::memory32(BarIndex::BAR0, 16),
            BarSpec::memory32(BarIndex::BAR1, 16),
            BarSpec::io(BarIndex::BAR2, 4),
        ]);

        assert_eq!(
            addresses(&[&small, &small]),
            [
                (0, 0x10, 0xf000_0000),
                (0, 0x14, 0xf000_1000),
                (0, 0x18, 0xc000),
                (1, 0x10, 0xf000_2000),
                (1, 0x14, 0xf000_3000),
                (1, 0x18, 0xc004),
            ]
        );
    }

    #[test]
    fn a_64_bit_bar_goes_above_4_gib_only_without_room_below() {
        // The window below has 236 MiB.
        let wide =
            header(&[BarSpec::memory64(BarIndex::BAR0, 1 << 30), BarSpec::memory64(BarIndex::BAR2, 1 << 26)]);
        let narrow = header(&[BarSpec::memory32(BarIndex::BAR0, 1 << 26)]);

        assert_eq!(
            addresses(&[&wide, &narrow]),
            [
                (0, 0x10, 0x0000_0000),
                (0, 0x14, 0x8),
                (0, 0x18, 0xf400_0000),
                (0, 0x1c, 0),
                (1, 0x10, 0xf000_0000),
            ]
        );
    }

    #[test]
    fn a_rom_has_an_address_and_stays_disabled() {
        let with_rom =
            ConfigHeader { rom: Some(0x800), ..header(&[BarSpec::memory32(BarIndex::BAR0, 0x1000)]) };

        assert_eq!(addresses(&[&with_rom]), [(0, 0x10, 0xf000_0000), (0, 0x30, 0xf000_1000)]);
    }

    #[test]
    fn functions_decode_what_has_an_address() {
        let too_large = header(&[BarSpec::memory32(BarIndex::BAR0, 1 << 31), BarSpec::io(BarIndex::BAR1, 8)]);
        let fits = header(&[BarSpec::memory32(BarIndex::BAR0, 0x1000)]);
        let wide = header(&[BarSpec::memory64(BarIndex::BAR0, 1 << 62)]);

        assert_eq!(commands(&[&too_large, &fits, &wide]), [0x0101, 0x0103, 0x0101]);
        assert_eq!(addresses(&[&too_large, &fits, &wide]), [(0, 0x14, 0xc000), (1, 0x10, 0xf000_0000)]);
    }

    #[test]
    fn ports_run_out_as_memory_does() {
        let ports: Vec<_> = (0..6).map(|index| BarSpec::io(BarIndex::new(index).unwrap(), 256)).collect();
        let many = header(&ports);
        let all = vec![&many; 11];

        // 64 times 256 ports from 0xc000 on.
        assert_eq!(addresses(&all).len(), 64);
        assert_eq!(addresses(&all)[63], (10, 0x1c, 0xff00));
        assert_eq!(commands(&all)[9..], [0x0103, 0x0102]);
    }

    /// Headers with any BARs.
    fn headers() -> impl proptest::strategy::Strategy<Value = Vec<ConfigHeader>> {
        use proptest::prelude::*;
        let bar = |index: BarIndex| {
            let spec = prop_oneof![
                (2_u32..=8).prop_map(move |bits| BarSpec::io(index, 1 << bits)),
                (4_u32..=31).prop_map(move |bits| BarSpec::memory32(index, 1 << bits)),
                (4_u32..=40).prop_map(move |bits| BarSpec::memory64(index, 1 << bits)),
            ];
            proptest::option::of(spec)
        };
        let rom = proptest::option::of((11_u32..=24).prop_map(|bits| 1 << bits));
        let header = (bar(BarIndex::BAR0), bar(BarIndex::BAR2), bar(BarIndex::BAR4), rom).prop_map(
            |(a, b, c, rom)| ConfigHeader {
                bars: [a, b, c].into_iter().flatten().collect(),
                rom,
                ..ConfigHeader::default()
            },
        );
        proptest::collection::vec(header, 0..8)
    }

    proptest::proptest! {
        #[test]
        fn regions_lie_apart_aligned_and_inside_their_window(headers in headers()) {
            let all: Vec<_> = headers.iter().collect();
            let mut taken = Vec::new();
            for write in writes(&all) {
                let header = &headers[write.function];
                let bar = header.bars.iter().find(|bar| FIRST_BAR + 4 * u64::from(bar.index.get()) == write.offset);
                let (size, wide, space) = match (bar, write.offset) {
                    (Some(bar), _) => (bar.size, bar.wide, bar.space),
                    (None, ROM) => (header.rom.unwrap().into(), false, Space::Memory),
                    _ => continue,
                };
                let upper = |other: &&Write| (other.function, other.offset) == (write.function, write.offset + 4);
                let high = if wide { writes(&all).iter().find(upper).unwrap().value } else { 0 };
                let base = high << 32 | write.value;
                let last = base + size - 1;
                let windows = [&layout::PCI_MEMORY_32, &layout::PCI_MEMORY_64, &layout::PCI_IO];
                let window = windows.into_iter().find(|window| window.contains(&base)).unwrap();
                proptest::prop_assert!(base % size == 0 && window.contains(&last), "{base:#x}, {size:#x}");
                proptest::prop_assert_eq!(space == Space::Io, *window == layout::PCI_IO);
                taken.push((base, last));
            }
            taken.sort_unstable();
            proptest::prop_assert!(taken.windows(2).all(|pair| pair[0].1 < pair[1].0), "{taken:x?}");
        }
    }
}
