//! PCI: which functions there are on bus 0, and what a driver needs of one.

mod bars;
mod config;

pub use bars::{Bar, ROM, Windows};
pub use config::{Address, Config};

use crate::bug::{self, Bug};

const ID: u16 = 0x00;
const COMMAND: u16 = 0x04;
const CLASS: u16 = 0x08;
const HEADER_TYPE: u16 = 0x0c;
const CAPABILITIES: u16 = 0x34;
const INTERRUPT: u16 = 0x3c;

/// Bits of the Command register.
pub mod command {
    /// I/O BARs are decoded.
    pub const IO_SPACE: u32 = 1 << 0;
    /// Memory BARs are decoded.
    pub const MEMORY_SPACE: u32 = 1 << 1;
    /// The function may access memory: DMA, and messages.
    pub const BUS_MASTER: u32 = 1 << 2;
}

/// The half of the dword at [`COMMAND`] that is not Status, whose bits a one would clear.
const COMMAND_MASK: u32 = 0xffff;
const STATUS_CAPABILITIES: u32 = 1 << (16 + 4);
const MULTI_FUNCTION: u32 = 1 << (16 + 7);
const HEADER_TYPE_MASK: u32 = 0x7f << 16;

const NOBODY: u32 = 0xffff_ffff;
const DEVICES: u8 = 32;
const FUNCTIONS: u8 = 8;
/// How many functions [`enumerate`] has room for.
const FOUND_MAX: usize = 16;
/// More capabilities than this are a list that runs in a circle.
const CAPABILITIES_MAX: usize = 48;

/// What enumeration finds of a function.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Where it is.
    pub address: Address,
    /// Vendor in the low half, device in the high.
    pub id: u32,
    /// Class code, subclass, programming interface, revision, from high to low.
    pub class: u32,
    /// Whether it is an endpoint: header type 0.
    pub endpoint: bool,
}

/// The functions on bus 0 that answer through `config`; not more than [`FOUND_MAX`].
pub fn enumerate(config: Config) -> [Option<Found>; FOUND_MAX] {
    let mut all = [None; FOUND_MAX];
    let mut places = all.iter_mut();
    for device in 0..DEVICES {
        for function in 0..FUNCTIONS {
            let address = Address { device, function };
            let id = config.read(address, ID);
            if id == NOBODY {
                // Function 0 has to be there if any is.
                if function == 0 {
                    break;
                }
                continue;
            }
            let header = config.read(address, HEADER_TYPE);
            let class = config.read(address, CLASS);
            let Some(place) = places.next() else { return all };
            *place = Some(Found { address, id, class, endpoint: header & HEADER_TYPE_MASK == 0 });
            if function == 0 && header & MULTI_FUNCTION == 0 {
                break;
            }
        }
    }
    all
}

/// All functions on the bus, and where their BARs may go.
pub struct Bus {
    /// How they are reached.
    pub config: Config,
    /// What there is.
    pub found: [Option<Found>; FOUND_MAX],
    /// What is free.
    pub windows: Windows,
}

impl Bus {
    /// Takes the first endpoint with this ID into use.
    pub fn claim(&mut self, id: u32) -> Option<Function> {
        let mut endpoints = self.found.iter().flatten().filter(|found| found.endpoint);
        let found = endpoints.find(|found| found.id == id)?;
        Some(Function::claim(self.config, found.address, &mut self.windows))
    }

    /// Gives the BARs of all endpoints but those `in_use` addresses, the largest first, so that none wastes room; then
    /// has `visit` use each of these functions, and how many BARs it asked addresses for.
    pub fn place_others<E>(
        &self,
        in_use: &[Option<&Function>],
        mut visit: impl FnMut(&Function, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        let config = self.config;
        let endpoints = self.found.iter().flatten().filter(|found| found.endpoint);
        let others = endpoints.map(|found| found.address);
        let others =
            others.filter(|address| in_use.iter().flatten().all(|function| function.address != *address));
        let mut all = [None; FOUND_MAX];
        for (place, address) in all.iter_mut().zip(others) {
            switch_off(config, address);
            *place = Some((address, bars::size(config, address)));
        }
        let mut windows = self.windows;
        for bits in (0..u64::BITS as u8).rev() {
            for (address, wanted) in all.into_iter().flatten() {
                wanted.give(config, address, bits, &mut windows);
            }
        }
        all.into_iter().flatten().try_for_each(|(address, wanted)| {
            let function = Function::with(config, address, wanted.placed(config, address));
            visit(&function, wanted.count())
        })
    }
}

/// Has a function decode nothing.
fn switch_off(config: Config, address: Address) {
    let content = config.read(address, COMMAND) & COMMAND_MASK;
    config.write(address, COMMAND, content & !(command::IO_SPACE | command::MEMORY_SPACE));
}

/// A function, as a driver uses it.
pub struct Function {
    config: Config,
    address: Address,
    bars: bars::Bars,
    /// What firmware left in Interrupt Line and the bytes beside it.
    interrupt: u32,
}

impl Function {
    /// Takes the endpoint at `address` into use: switches its decoders off, finds the sizes of its
    /// BARs and gives them addresses from `windows`.
    fn claim(config: Config, address: Address, windows: &mut Windows) -> Self {
        switch_off(config, address);
        Self::with(config, address, bars::assign(config, address, windows))
    }

    fn with(config: Config, address: Address, bars: bars::Bars) -> Self {
        Self { config, address, bars, interrupt: config.read(address, INTERRUPT) }
    }

    /// The BARs that have addresses, with their numbers.
    pub fn bars(&self) -> impl Iterator<Item = (usize, Bar)> {
        self.bars.iter().enumerate().filter_map(|(index, bar)| Some((index, (*bar)?)))
    }

    /// The BAR `index`, if it has one; [`ROM`] for the expansion ROM.
    pub fn bar(&self, index: usize) -> Option<Bar> {
        *self.bars.get(index)?
    }

    /// Gives the BAR `index` another address, a multiple of its size. Mappings of the old one lead nowhere
    /// then.
    #[inline(never)]
    pub fn move_bar(&self, index: usize, address: u64) {
        if let Some(bar) = self.bar(index) {
            bars::place(self.config, self.address, index, Bar { address, ..bar });
        }
    }

    /// Writes back what a reset took: the addresses of the BARs, Interrupt Line. Lets it decode.
    #[inline(never)]
    pub fn restore(&self) {
        for (index, bar) in self.bars.iter().enumerate() {
            if let Some(bar) = *bar {
                bars::place(self.config, self.address, index, bar);
            }
        }
        self.write(INTERRUPT, self.interrupt);
        self.enable();
    }

    /// Lets it decode its memory BARs and be a bus master.
    #[inline(never)]
    pub fn enable(&self) {
        self.set_command(command::MEMORY_SPACE | command::BUS_MASTER, true);
    }

    /// Switches `bits` of the Command register, as in [`command`].
    #[inline(never)]
    pub fn set_command(&self, bits: u32, on: bool) {
        let kept = if bug::is(Bug::StatusWrittenBack) && !on { !0 } else { COMMAND_MASK };
        let others = self.read(COMMAND) & kept & !bits;
        self.write(COMMAND, if on { others | bits } else { others });
    }

    /// Switches the decoding of the expansion ROM.
    #[inline(never)]
    pub fn set_rom(&self, on: bool) {
        if let Some(rom) = self.bar(ROM) {
            bars::set_rom(self.config, self.address, rom, on);
        }
    }

    /// What its interrupt pin is wired to, as firmware says: an input of the IOAPIC.
    pub fn interrupt_line(&self) -> u8 {
        self.interrupt as u8
    }

    /// Offset of its capability `id` in configuration space.
    pub fn capability(&self, id: u8) -> Option<u16> {
        if self.read(COMMAND) & STATUS_CAPABILITIES == 0 {
            return None;
        }
        let mut offset = self.read(CAPABILITIES) as u16 & 0xfc;
        for _ in 0..CAPABILITIES_MAX {
            if offset == 0 {
                return None;
            }
            let header = self.read(offset);
            if header as u8 == id {
                return Some(offset);
            }
            offset = (header >> 8) as u16 & 0xfc;
        }
        None
    }

    /// The dword at `offset` of its configuration space.
    pub fn read(&self, offset: u16) -> u32 {
        self.config.read(self.address, offset)
    }

    /// Writes the dword at `offset` of its configuration space.
    pub fn write(&self, offset: u16, value: u32) {
        self.config.write(self.address, offset, value);
    }
}
