//! What a function asks for: one request a region.

use barscope_device::{ConfigHeader, Region, Space};

const PAGE: u64 = 0x1000;

/// A region that wants an address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    /// Index of the function.
    pub function: usize,
    /// Its BAR, or its expansion ROM.
    pub region: Region,
    /// Memory or I/O.
    pub space: Space,
    /// The room that it takes, a power of two: for memory at least a page.
    pub size: u64,
    /// Whether its address has 64 bits.
    pub wide: bool,
}

impl Request {
    /// Those of the function with this header.
    pub(super) fn all_of(function: usize, header: &ConfigHeader) -> impl Iterator<Item = Self> {
        let bars = header.bars.iter().map(move |bar| {
            let size = if bar.space == Space::Memory { bar.size.max(PAGE) } else { bar.size };
            Self { function, region: bar.region(), space: bar.space, size, wide: bar.wide }
        });
        let rom = header.rom.map(move |size| Self {
            function,
            region: Region::Rom,
            space: Space::Memory,
            size: u64::from(size).max(PAGE),
            wide: false,
        });
        bars.chain(rom)
    }

    pub(super) fn is_io(&self) -> bool {
        self.space == Space::Io
    }

    pub(super) fn is_narrow(&self) -> bool {
        self.space == Space::Memory && !self.wide
    }

    pub(super) fn is_wide(&self) -> bool {
        self.wide
    }
}
