//! Message-signalled interrupts: the MSI capability with a 64-bit address, without masking.
//!
//! PCI Local Bus 3.0, section 6.8.1.

use crate::config::ConfigSpace;

const CAPABILITY_ID: u8 = 0x05;
const LENGTH: usize = 14;
/// Message Control and the registers behind it, as offsets in the capability.
const CONTROL: usize = 0x02;
const ADDRESS_LOW: usize = 0x04;
const ADDRESS_HIGH: usize = 0x08;
const DATA: usize = 0x0c;

const CONTROL_ENABLE: u16 = 1 << 0;
/// Bits 3:1: log2 of the vectors that the function has.
const CONTROL_CAPABLE_SHIFT: u32 = 1;
/// Bits 6:4: log2 of the vectors that software gave it.
const CONTROL_ENABLED_SHIFT: u32 = 4;
const CONTROL_ENABLED_MASK: u16 = 0b111 << CONTROL_ENABLED_SHIFT;
const CONTROL_64_BIT: u16 = 1 << 7;

/// A function's MSI capability: where it lies and what it offers.
pub(crate) struct MsiCapability {
    offset: usize,
    vectors: u8,
}

impl MsiCapability {
    /// Adds the capability to configuration space.
    ///
    /// # Panics
    /// If `vectors` is no power of two up to 32.
    pub(crate) fn add(config: &mut ConfigSpace, vectors: u8) -> Self {
        assert!(vectors.is_power_of_two() && vectors <= 32, "MSI takes 1, 2, 4, 8, 16 or 32 vectors");
        let offset = config.add_capability(CAPABILITY_ID, LENGTH);
        let control = CONTROL_64_BIT | (vectors.trailing_zeros() as u16) << CONTROL_CAPABLE_SHIFT;
        config.define(offset + CONTROL, &control.to_le_bytes());
        config.make_writable(offset + CONTROL, &(CONTROL_ENABLE | CONTROL_ENABLED_MASK).to_le_bytes());
        config.make_writable(offset + ADDRESS_LOW, &0xffff_fffc_u32.to_le_bytes());
        config.make_writable(offset + ADDRESS_HIGH, &u32::MAX.to_le_bytes());
        config.make_writable(offset + DATA, &u16::MAX.to_le_bytes());
        Self { offset, vectors }
    }

    /// Where messages go now; `None` while MSI is disabled.
    pub(crate) fn target(&self, config: &ConfigSpace) -> Option<MsiTarget> {
        let control = config.u16(self.offset + CONTROL);
        if control & CONTROL_ENABLE == 0 {
            return None;
        }
        let low = u64::from(config.u32(self.offset + ADDRESS_LOW));
        let high = u64::from(config.u32(self.offset + ADDRESS_HIGH));
        let given = 1 << ((control & CONTROL_ENABLED_MASK) >> CONTROL_ENABLED_SHIFT);
        Some(MsiTarget {
            address: high << 32 | low,
            data: config.u16(self.offset + DATA),
            vectors: u16::from(self.vectors).min(given),
        })
    }
}

/// What software programmed MSI with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MsiTarget {
    address: u64,
    data: u16,
    /// How many vectors it gave the function: a power of two.
    vectors: u16,
}

impl MsiTarget {
    /// Address and data of the message for vector `index`: the index replaces the low bits of the
    /// data. With fewer vectors than the function has, indices share them.
    pub(crate) fn message(&self, index: u16) -> (u64, u32) {
        let index_bits = self.vectors - 1;
        (self.address, u32::from(self.data & !index_bits | index & index_bits))
    }
}

#[cfg(test)]
mod tests;
