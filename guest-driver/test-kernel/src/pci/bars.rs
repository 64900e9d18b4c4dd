//! Base Address Registers: their sizes, and addresses for them (PCI Local Bus 3.0, section 6.2.5.1).

use super::{Address, Config};

const FIRST: u16 = 0x10;
const COUNT: usize = 7;
/// Index of the expansion ROM's register among those of the BARs, which it is like.
pub const ROM: usize = 6;
const ROM_REGISTER: u16 = 0x30;
/// Of the ROM's register: decoding is on.
const ROM_ENABLE: u32 = 1 << 0;
const ROM_ADDRESS: u32 = !0x7ff;
const ALL_ONES: u32 = 0xffff_ffff;

const IO: u32 = 1 << 0;
const TYPE: u32 = 3 << 1;
const TYPE_64_BIT: u32 = 2 << 1;
const MEMORY_ADDRESS: u32 = !0xf;
const IO_ADDRESS: u32 = 0xfffc;

/// A BAR that has an address.
#[derive(Clone, Copy)]
pub struct Bar {
    /// Bus address, or first port.
    pub address: u64,
    /// In bytes, a power of two.
    pub size: u64,
    /// Whether it is 64 bits wide: two registers.
    pub wide: bool,
}

/// By index; the upper half of a 64-bit BAR and one that did not fit are `None`.
pub type Bars = [Option<Bar>; COUNT];

/// Where BARs may go.
pub struct Windows {
    below_4_gib: Window,
    above_4_gib: Window,
    ports: Window,
    roms: Window,
}

struct Window {
    next: u64,
    end: u64,
}

impl Windows {
    /// The windows of the bench, and of QEMU's q35.
    pub const fn new() -> Self {
        Self {
            below_4_gib: Window { next: 0xfe00_0000, end: 0xfea0_0000 },
            above_4_gib: Window { next: 0x8_0000_0000, end: 0x10_0000_0000 },
            ports: Window { next: 0xc000, end: 0x1_0000 },
            roms: Window { next: 0xfea0_0000, end: 0xfec0_0000 },
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

/// Finds the sizes of the BARs and gives them addresses. The function's decoders are off.
pub fn assign(config: Config, function: Address, windows: &mut Windows) -> Bars {
    let mut bars = [None; COUNT];
    let mut is_upper_half = false;
    for (index, bar) in bars.iter_mut().enumerate() {
        let ones = if index == ROM { ROM_ADDRESS } else { ALL_ONES };
        let low = writable_bits(config, function, register(index), ones);
        if is_upper_half || low == 0 {
            is_upper_half = false;
            continue;
        }
        let mut high = ALL_ONES;
        let (window, address_bits) = if index == ROM {
            (&mut windows.roms, ROM_ADDRESS)
        } else if low & IO != 0 {
            (&mut windows.ports, IO_ADDRESS)
        } else if low & TYPE == TYPE_64_BIT {
            is_upper_half = true;
            high = writable_bits(config, function, register(index + 1), ALL_ONES);
            (&mut windows.above_4_gib, MEMORY_ADDRESS)
        } else {
            (&mut windows.below_4_gib, MEMORY_ADDRESS)
        };
        // The lowest writable bit is the size, whatever the bits above it are.
        let mask = u64::from(high) << 32 | u64::from(low & address_bits);
        let size = mask & mask.wrapping_neg();
        let Some(address) = window.allocate(size) else { continue };
        let assigned = Bar { address, size, wide: is_upper_half };
        place(config, function, index, assigned);
        *bar = Some(assigned);
    }
    bars
}

/// Writes the address of `bar` to the register, or the two, of BAR `index`.
pub fn place(config: Config, function: Address, index: usize, bar: Bar) {
    config.write(function, register(index), bar.address as u32);
    if bar.wide {
        config.write(function, register(index + 1), (bar.address >> 32) as u32);
    }
}

/// Switches the decoding of the expansion ROM, which is at `rom`.
pub fn set_rom(config: Config, function: Address, rom: Bar, on: bool) {
    config.write(function, ROM_REGISTER, rom.address as u32 | if on { ROM_ENABLE } else { 0 });
}

/// Offset of BAR `index` in configuration space.
fn register(index: usize) -> u16 {
    if index == ROM { ROM_REGISTER } else { FIRST + 4 * index as u16 }
}

/// What the register reads as after `ones` were written to it; keeps its content.
fn writable_bits(config: Config, function: Address, offset: u16, ones: u32) -> u32 {
    let content = config.read(function, offset);
    config.write(function, offset, ones);
    let bits = config.read(function, offset);
    config.write(function, offset, content);
    bits
}
