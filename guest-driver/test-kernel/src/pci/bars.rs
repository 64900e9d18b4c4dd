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
    /// Whether its addresses are ports.
    pub ports: bool,
}

/// By index; the upper half of a 64-bit BAR and one that did not fit are `None`.
pub type Bars = [Option<Bar>; COUNT];

/// A BAR that wants an address.
#[derive(Clone, Copy)]
struct Wanted {
    kind: Kind,
    /// Its size, a power of two: how many address bits are not writable.
    bits: u8,
}

impl Wanted {
    fn size(self) -> u64 {
        1 << self.bits
    }

    fn at(self, address: u64) -> Bar {
        Bar { address, size: self.size(), wide: self.kind == Kind::Wide, ports: self.kind == Kind::Ports }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ports,
    Narrow,
    Wide,
    Rom,
}

/// What a function's BARs want, by index.
#[derive(Clone, Copy)]
pub struct AllWanted([Option<Wanted>; COUNT]);

/// Where BARs may go.
#[derive(Clone, Copy)]
pub struct Windows {
    below_4_gib: Window,
    above_4_gib: Window,
    ports: Window,
    roms: Window,
}

/// Addresses from the first one up to the end, without it.
type Part = (u64, u64);

/// How many parts a window has room to note; what can't be noted is not given out.
const PARTS: usize = 12;

/// Addresses that are given out: what is free of them.
#[derive(Clone, Copy)]
struct Window {
    free: [Option<Part>; PARTS],
}

impl Windows {
    /// The windows of the bench, and of QEMU's q35. Where 64-bit BARs may go, ACPI says, or else as in the bench
    /// without large ones.
    pub const fn new(above_4_gib: Option<Part>) -> Self {
        let above_4_gib = match above_4_gib {
            Some(part) => part,
            None => (0x8_0000_0000, 0x10_0000_0000),
        };
        Self {
            below_4_gib: Window::new(&[(0xfe00_0000, 0xfea0_0000), (0xf000_0000, 0xfe00_0000)]),
            above_4_gib: Window::new(&[above_4_gib]),
            ports: Window::new(&[(0xc000, 0x1_0000)]),
            roms: Window::new(&[(0xfea0_0000, 0xfec0_0000)]),
        }
    }

    fn allocate(&mut self, wanted: Wanted) -> Option<u64> {
        let size = wanted.size();
        match wanted.kind {
            Kind::Ports => self.ports.allocate(size),
            Kind::Wide => self.above_4_gib.allocate(size),
            Kind::Narrow => self.below_4_gib.allocate(size).or_else(|| self.roms.allocate(size)),
            Kind::Rom => self.roms.allocate(size).or_else(|| self.below_4_gib.allocate(size)),
        }
    }
}

impl Window {
    const fn new(parts: &[Part]) -> Self {
        let mut free = [None; PARTS];
        let mut index = 0;
        while index < parts.len() {
            free[index] = Some(parts[index]);
            index += 1;
        }
        Self { free }
    }

    /// BARs are aligned to their size.
    fn allocate(&mut self, size: u64) -> Option<u64> {
        let (index, part, address) = self.free.iter().enumerate().find_map(|(index, part)| {
            let part = (*part)?;
            let address = part.0.checked_next_multiple_of(size)?;
            (address.checked_add(size)? <= part.1).then_some((index, part, address))
        })?;
        let end = address + size;
        let (_, rest) = self.free.split_at_mut_checked(index)?;
        if part.0 < address {
            // What lies before it comes before what lies after it.
            rest.rotate_right(1);
            if let [before, after, ..] = rest {
                (*before, *after) = (Some((part.0, address)), Some((end, part.1)));
            }
        } else if let Some(place) = rest.first_mut() {
            *place = Some((end, part.1));
        }
        Some(address)
    }
}

/// Finds the sizes of the BARs and gives them addresses, one by one. The function's decoders are off.
pub fn assign(config: Config, function: Address, windows: &mut Windows) -> Bars {
    let mut bars = [None; COUNT];
    let mut is_upper_half = false;
    for (index, bar) in bars.iter_mut().enumerate() {
        let wanted =
            if is_upper_half { upper_half(config, function, index) } else { wanted(config, function, index) };
        is_upper_half = matches!(wanted, Some(Wanted { kind: Kind::Wide, .. }));
        *bar = wanted.and_then(|wanted| give(config, function, index, wanted, windows));
    }
    bars
}

/// Finds the sizes of the BARs. The function's decoders are off.
pub fn size(config: Config, function: Address) -> AllWanted {
    let mut all = [None; COUNT];
    let mut is_upper_half = false;
    for (index, place) in all.iter_mut().enumerate() {
        *place =
            if is_upper_half { upper_half(config, function, index) } else { wanted(config, function, index) };
        is_upper_half = matches!(*place, Some(Wanted { kind: Kind::Wide, .. }));
    }
    AllWanted(all)
}

impl AllWanted {
    /// Gives those of 2 to the power of `bits` bytes their addresses.
    pub fn give(self, config: Config, function: Address, bits: u8, windows: &mut Windows) {
        for (index, wanted) in self.0.into_iter().enumerate() {
            if let Some(wanted) = wanted.filter(|wanted| wanted.bits == bits) {
                give(config, function, index, wanted, windows);
            }
        }
    }

    /// The BARs with the addresses that their registers hold. One that holds 0 has none.
    pub fn placed(self, config: Config, function: Address) -> Bars {
        let mut bars = [None; COUNT];
        for (index, (bar, wanted)) in bars.iter_mut().zip(self.0).enumerate() {
            *bar = wanted.and_then(|wanted| {
                let read = |index| u64::from(config.read(function, register(index)));
                let high = if wanted.kind == Kind::Wide { read(index + 1) << 32 } else { 0 };
                let address = high | read(index) & !(wanted.size() - 1);
                (address != 0).then(|| wanted.at(address))
            });
        }
        bars
    }

    /// How many there are.
    pub fn count(self) -> usize {
        self.0.iter().flatten().count()
    }
}

/// Asks the upper half of a 64-bit BAR, as any register in turn; what it says was part of what the lower one wants.
fn upper_half(config: Config, function: Address, index: usize) -> Option<Wanted> {
    writable_bits(config, function, register(index), ALL_ONES);
    None
}

/// What BAR `index` wants, if there is one. Keeps its content.
fn wanted(config: Config, function: Address, index: usize) -> Option<Wanted> {
    let ones = if index == ROM { ROM_ADDRESS } else { ALL_ONES };
    let low = writable_bits(config, function, register(index), ones);
    if low == 0 {
        return None;
    }
    let mut high = ALL_ONES;
    let (kind, address_bits) = if index == ROM {
        (Kind::Rom, ROM_ADDRESS)
    } else if low & IO != 0 {
        (Kind::Ports, IO_ADDRESS)
    } else if low & TYPE == TYPE_64_BIT {
        high = writable_bits(config, function, register(index + 1), ALL_ONES);
        (Kind::Wide, MEMORY_ADDRESS)
    } else {
        (Kind::Narrow, MEMORY_ADDRESS)
    };
    // The lowest writable bit is the size, whatever the bits above it are. Counted by shifts, since `tzcnt` isn't
    // among the instructions that every KVM emulates.
    let mask = u64::from(high) << 32 | u64::from(low & address_bits);
    let mut bits = 0;
    while bits < 63 && core::hint::black_box(mask >> bits) & 1 == 0 {
        bits += 1;
    }
    Some(Wanted { kind, bits })
}

/// Gives BAR `index` an address.
fn give(
    config: Config,
    function: Address,
    index: usize,
    wanted: Wanted,
    windows: &mut Windows,
) -> Option<Bar> {
    let bar = wanted.at(windows.allocate(wanted)?);
    place(config, function, index, bar);
    Some(bar)
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
