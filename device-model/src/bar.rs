//! Base address registers: what they ask for, how they are sized, what they decode.
//!
//! PCI Local Bus 3.0, section 6.2.5.1.

use serde::{Deserialize, Serialize};

use crate::address::{BarIndex, Region, Space};
use crate::bad_header::BadHeader;
use crate::config::ConfigSpace;
use crate::config::{COMMAND, COMMAND_IO_SPACE, COMMAND_MEMORY_SPACE};
use crate::effect::Decode;

/// BAR0 in configuration space.
const FIRST: usize = 0x10;
/// Type bit: I/O ports.
const IO: u64 = 1 << 0;
/// Type bits 2:1: a 64-bit address.
const WIDE: u64 = 0b10 << 1;
/// Type bits 2:1: an address below 1 MiB, which PCI 3.0 reserves.
const BELOW_1_MIB: u64 = 0b01 << 1;
/// Address bits of a memory BAR below 1 MiB.
const BELOW_1_MIB_BITS: u64 = 0xf_ffff;
/// Type bit: prefetchable.
const PREFETCHABLE: u64 = 1 << 3;
/// Bits that carry the type rather than the address.
const MEMORY_TYPE_BITS: u64 = 0xf;
const IO_TYPE_BITS: u64 = 0x3;
/// Address lines for ports that a PC has.
const PORTS: u64 = 0xffff;

/// A base address register, as a device asks for it.
///
/// The size is a power of two: from 16 bytes to 2 GiB for 32-bit memory (to 1 MiB below 1 MiB), from 16 bytes up
/// for 64-bit memory, from 4 bytes to 64 KiB for I/O ports, of which PCI Local Bus 3.0 allows 256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BarSpec {
    /// Its number. A 64-bit BAR takes the next one as well.
    pub index: BarIndex,
    /// Size in bytes.
    pub size: u64,
    /// Its address space.
    pub space: Space,
    /// Whether it is 64 bits wide.
    #[serde(default)]
    pub wide: bool,
    /// Whether it has to lie below 1 MiB, as PCI 2.1 had it. A machine with memory there can't map it.
    #[serde(default)]
    pub below_1_mib: bool,
    /// For I/O ports, whether all 32 address bits can be written, as on machines with more than 64 KiB of
    /// ports. A PC has 16.
    #[serde(default)]
    pub wide_ports: bool,
    /// Whether it is prefetchable: reads have no side effects and writes may be merged.
    #[serde(default)]
    pub prefetchable: bool,
}

impl BarSpec {
    /// Memory below 4 GiB, `size` bytes.
    pub const fn memory32(index: BarIndex, size: u64) -> Self {
        Self {
            index,
            size,
            space: Space::Memory,
            wide: false,
            below_1_mib: false,
            wide_ports: false,
            prefetchable: false,
        }
    }

    /// Memory anywhere, `size` bytes.
    pub const fn memory64(index: BarIndex, size: u64) -> Self {
        let mut bar = Self::memory32(index, size);
        bar.wide = true;
        bar
    }

    /// `size` I/O ports.
    pub const fn io(index: BarIndex, size: u64) -> Self {
        let mut bar = Self::memory32(index, size);
        bar.space = Space::Io;
        bar
    }

    /// The same BAR, prefetchable.
    pub const fn with_prefetch(mut self) -> Self {
        self.prefetchable = true;
        self
    }

    /// The region that accesses through it reach.
    pub const fn region(&self) -> Region {
        Region::Bar(self.index)
    }

    /// Lays out its register, or both halves of it, among six at `bars`.
    ///
    /// Only address bits from the size up are writable: software writes ones and reads the size back.
    pub(crate) fn define(&self, config: &mut ConfigSpace, bars: usize) {
        let offset = bars + self.place();
        let address_bits = !(self.size - 1);
        let (kind, writable) = match self.space {
            Space::Io => {
                let reach = if self.wide_ports { u64::from(u32::MAX) } else { PORTS };
                (IO, address_bits & reach & !IO_TYPE_BITS)
            }
            Space::Memory => {
                let wide = if self.wide { WIDE } else { 0 };
                let below = if self.below_1_mib { BELOW_1_MIB } else { 0 };
                let prefetchable = if self.prefetchable { PREFETCHABLE } else { 0 };
                let reach = if self.below_1_mib { BELOW_1_MIB_BITS } else { u64::MAX };
                (wide | below | prefetchable, address_bits & reach & !MEMORY_TYPE_BITS)
            }
        };
        config.define(offset, &(kind as u32).to_le_bytes());
        if self.wide {
            config.make_writable(offset, &writable.to_le_bytes());
        } else {
            config.make_writable(offset, &(writable as u32).to_le_bytes());
        }
    }

    /// What it claims with configuration space as it is: `None` while the Command register says so,
    /// or where the range would end at 2^64, as it does half-way through sizing a 64-bit BAR.
    pub(crate) fn decode(&self, config: &ConfigSpace) -> Option<Decode> {
        let (enable, type_bits) = match self.space {
            Space::Memory => (COMMAND_MEMORY_SPACE, MEMORY_TYPE_BITS),
            Space::Io => (COMMAND_IO_SPACE, IO_TYPE_BITS),
        };
        if config.u16(COMMAND) & enable == 0 {
            return None;
        }
        let low = u64::from(config.u32(FIRST + self.place()));
        let high = if self.wide { u64::from(config.u32(FIRST + self.place() + 4)) } else { 0 };
        let base = (high << 32 | low) & !type_bits;
        base.checked_add(self.size)?;
        Some(Decode { space: self.space, base, size: self.size })
    }

    /// Its offset among the six registers.
    fn place(&self) -> usize {
        4 * usize::from(self.index.get())
    }

    /// The size range that its kind allows, both ends included.
    const fn sizes(&self) -> (u64, u64) {
        match (self.space, self.wide) {
            (Space::Io, _) => (4, 1 << 16),
            (Space::Memory, true) => (16, 1 << 63),
            (Space::Memory, false) if self.below_1_mib => (16, 1 << 20),
            (Space::Memory, false) => (16, 1 << 31),
        }
    }
}

/// Checks that BARs can exist, each and together.
pub(crate) fn check(bars: &[BarSpec]) -> Result<(), BadHeader> {
    let mut free = 0;
    for bar in bars {
        let (index, size) = (bar.index, bar.size);
        let (smallest, largest) = bar.sizes();
        if !size.is_power_of_two() || !(smallest..=largest).contains(&size) {
            return Err(BadHeader::BarSize { bar: index, size, smallest, largest });
        }
        if bar.space == Space::Io && (bar.wide || bar.below_1_mib || bar.prefetchable) {
            return Err(BadHeader::BarSpace(index));
        }
        if bar.space == Space::Memory && bar.wide_ports {
            return Err(BadHeader::BarPorts(index));
        }
        if bar.wide && bar.below_1_mib {
            return Err(BadHeader::BarKind(index));
        }
        if index.get() < free {
            return Err(BadHeader::BarOrder(index));
        }
        free = index.get() + 1 + u8::from(bar.wide);
        if free > 6 {
            return Err(BadHeader::BarCount(index));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
