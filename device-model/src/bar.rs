//! Base address registers: what they ask for, how they are sized, what they decode.
//!
//! PCI Local Bus 3.0, section 6.2.5.1.

use crate::address::Space;
use crate::config::ConfigSpace;
use crate::config::{COMMAND, COMMAND_IO_SPACE, COMMAND_MEMORY_SPACE};
use crate::effect::Decode;
use crate::header::BarSpec;

/// BAR0 in configuration space.
const FIRST: usize = 0x10;
/// Type bit: I/O ports.
const IO: u64 = 1 << 0;
/// Type bits 2:1: a 64-bit address.
const WIDE: u64 = 0b10 << 1;
/// Type bit: prefetchable.
const PREFETCHABLE: u64 = 1 << 3;
/// Bits that carry the type rather than the address.
const MEMORY_TYPE_BITS: u64 = 0xf;
const IO_TYPE_BITS: u64 = 0x3;

impl BarSpec {
    /// Lays out its register, or both halves of it.
    ///
    /// Only address bits from the size up are writable: software writes ones and reads the size back.
    pub(crate) fn define(&self, config: &mut ConfigSpace) {
        let address_bits = !(self.size - 1);
        let (kind, writable) = match self.space {
            // A PC has 16 address lines for ports.
            Space::Io => (IO, address_bits & 0xffff & !IO_TYPE_BITS),
            Space::Memory => {
                let wide = if self.wide { WIDE } else { 0 };
                let prefetchable = if self.prefetchable { PREFETCHABLE } else { 0 };
                (wide | prefetchable, address_bits & !MEMORY_TYPE_BITS)
            }
        };
        config.define(self.offset(), &(kind as u32).to_le_bytes());
        if self.wide {
            config.make_writable(self.offset(), &writable.to_le_bytes());
        } else {
            config.make_writable(self.offset(), &(writable as u32).to_le_bytes());
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
        let low = u64::from(config.u32(self.offset()));
        let high = if self.wide { u64::from(config.u32(self.offset() + 4)) } else { 0 };
        let base = (high << 32 | low) & !type_bits;
        base.checked_add(self.size)?;
        Some(Decode { space: self.space, base, size: self.size })
    }

    fn offset(&self) -> usize {
        FIRST + 4 * usize::from(self.index.get())
    }

    /// The size range that its kind allows, both ends included.
    const fn sizes(&self) -> (u64, u64) {
        match (self.space, self.wide) {
            (Space::Io, _) => (4, 256),
            (Space::Memory, false) => (16, 1 << 31),
            (Space::Memory, true) => (16, 1 << 63),
        }
    }
}

/// Checks that BARs can exist, each and together.
///
/// # Panics
/// If one can't: a device asks for it, so that is our mistake.
pub(crate) fn check(bars: &[BarSpec]) {
    let mut free = 0;
    for bar in bars {
        let (smallest, largest) = bar.sizes();
        assert!(
            bar.size.is_power_of_two() && (smallest..=largest).contains(&bar.size),
            "{}: size {:#x} is no power of two from {smallest:#x} to {largest:#x}",
            bar.region(),
            bar.size,
        );
        assert!(
            bar.space == Space::Memory || !(bar.wide || bar.prefetchable),
            "{}: only memory can be 64-bit or prefetchable",
            bar.region(),
        );
        assert!(bar.index.get() >= free, "{}: out of order, or taken by the BAR before", bar.region());
        free = bar.index.get() + 1 + u8::from(bar.wide);
        assert!(free <= 6, "{}: there are 6 BARs", bar.region());
    }
}

#[cfg(test)]
mod tests;
