//! Base Address Registers: their sizes, and addresses for them (PCI Local Bus 3.0, section 6.2.5.1).

use super::{Address, Config};

const FIRST: u16 = 0x10;
const COUNT: usize = 6;
const ALL_ONES: u32 = 0xffff_ffff;

const IO: u32 = 1 << 0;
const TYPE: u32 = 3 << 1;
const TYPE_64_BIT: u32 = 2 << 1;
const MEMORY_ADDRESS: u32 = !0xf;

/// A memory BAR that has an address.
#[derive(Clone, Copy)]
pub struct Bar {
    /// Bus address.
    pub address: u64,
    /// In bytes, a power of two.
    pub size: u64,
    /// Whether it is 64 bits wide: two registers.
    pub wide: bool,
}

/// By index; the upper half of a 64-bit BAR, an I/O BAR and one that did not fit are `None`.
pub type Bars = [Option<Bar>; COUNT];

/// Where BARs may go.
pub struct Windows {
    below_4_gib: Window,
    above_4_gib: Window,
}

struct Window {
    next: u64,
    end: u64,
}

impl Windows {
    /// The windows of the bench, and of QEMU's q35.
    pub const fn new() -> Self {
        Self {
            below_4_gib: Window { next: 0xfe00_0000, end: 0xfec0_0000 },
            above_4_gib: Window { next: 0x8_0000_0000, end: 0x10_0000_0000 },
        }
    }
}

impl Window {
    /// BARs are aligned to their size.
    fn allocate(&mut self, size: u64) -> Option<u64> {
        let address = self.next.checked_next_multiple_of(size)?;
        let end = address.checked_add(size)?;
        if end > self.end {
            return None;
        }
        self.next = end;
        Some(address)
    }
}

/// Finds the sizes of the memory BARs and gives them addresses. The function's decoders are off.
pub fn assign(config: Config, function: Address, windows: &mut Windows) -> Bars {
    let mut bars = [None; COUNT];
    let mut is_upper_half = false;
    for (index, bar) in bars.iter_mut().enumerate() {
        let offset = register(index);
        if is_upper_half {
            is_upper_half = false;
            continue;
        }
        let low = writable_bits(config, function, offset);
        if low == 0 || low & IO != 0 {
            continue;
        }
        is_upper_half = low & TYPE == TYPE_64_BIT;
        let high = if is_upper_half { writable_bits(config, function, offset + 4) } else { ALL_ONES };
        // The lowest writable bit is the size, whatever the bits above it are.
        let mask = u64::from(high) << 32 | u64::from(low & MEMORY_ADDRESS);
        let size = mask & mask.wrapping_neg();
        let window = if is_upper_half { &mut windows.above_4_gib } else { &mut windows.below_4_gib };
        let Some(address) = window.allocate(size) else { continue };
        let assigned = Bar { address, size, wide: is_upper_half };
        place(config, function, index, assigned);
        *bar = Some(assigned);
    }
    bars
}

/// Writes the address of `bar` to the register, or the two, of BAR `index`. The function's decoders are
/// off.
pub fn place(config: Config, function: Address, index: usize, bar: Bar) {
    config.write(function, register(index), bar.address as u32);
    if bar.wide {
        config.write(function, register(index + 1), (bar.address >> 32) as u32);
    }
}

/// Offset of BAR `index` in configuration space.
fn register(index: usize) -> u16 {
    FIRST + 4 * index as u16
}

/// What the register reads as after all-ones were written to it; keeps its content.
fn writable_bits(config: Config, function: Address, offset: u16) -> u32 {
    let content = config.read(function, offset);
    config.write(function, offset, ALL_ONES);
    let bits = config.read(function, offset);
    config.write(function, offset, content);
    bits
}
