//! Message-signalled interrupts: the MSI capability, in each of its four shapes.
//!
//! PCI Local Bus 3.0, section 6.8.1.

use super::messages::Messages;
use crate::config::ConfigSpace;
use crate::header::MsiSpec;
use crate::vector::VectorIndex;

const CAPABILITY_ID: u8 = 0x05;
/// Message Control and the address, as offsets in the capability.
const CONTROL: usize = 0x02;
const ADDRESS_LOW: usize = 0x04;
const ADDRESS_HIGH: usize = 0x08;

const CONTROL_ENABLE: u16 = 1 << 0;
/// Bits 3:1: log2 of the vectors that the function has.
const CONTROL_CAPABLE_SHIFT: u32 = 1;
/// Bits 6:4: log2 of the vectors that software gave it.
const CONTROL_ENABLED_SHIFT: u32 = 4;
const CONTROL_ENABLED_MASK: u16 = 0b111 << CONTROL_ENABLED_SHIFT;
const CONTROL_64_BIT: u16 = 1 << 7;
const CONTROL_MASKING: u16 = 1 << 8;

/// The capability, at an offset.
pub(crate) struct Msi {
    offset: usize,
    spec: MsiSpec,
}

impl Msi {
    /// Adds it to configuration space.
    ///
    /// # Panics
    /// If the vectors are no power of two up to 32.
    pub(crate) fn define(spec: MsiSpec, config: &mut ConfigSpace) -> Self {
        let vectors = spec.vectors;
        assert!(vectors.is_power_of_two() && vectors <= 32, "MSI takes 1, 2, 4, 8, 16 or 32 vectors");
        let data = if spec.wide { 0x0c } else { 0x08 };
        let length = if spec.masking { data + 0x0c } else { data + 0x02 };
        let msi = Self { offset: config.add_capability(CAPABILITY_ID, length), spec };
        let control = (vectors.trailing_zeros() as u16) << CONTROL_CAPABLE_SHIFT
            | if spec.wide { CONTROL_64_BIT } else { 0 }
            | if spec.masking { CONTROL_MASKING } else { 0 };
        config.define(msi.offset + CONTROL, &control.to_le_bytes());
        config.make_writable(msi.offset + CONTROL, &(CONTROL_ENABLE | CONTROL_ENABLED_MASK).to_le_bytes());
        config.make_writable(msi.offset + ADDRESS_LOW, &0xffff_fffc_u32.to_le_bytes());
        if spec.wide {
            config.make_writable(msi.offset + ADDRESS_HIGH, &u32::MAX.to_le_bytes());
        }
        config.make_writable(msi.data(), &u16::MAX.to_le_bytes());
        if spec.masking {
            let all = u32::MAX >> (32 - u32::from(vectors));
            config.make_writable(msi.mask_bits(), &all.to_le_bytes());
            config.make_reported(msi.pending_bits(), &all.to_le_bytes());
        }
        msi
    }

    /// Whether software has enabled it.
    pub(crate) fn enabled(&self, config: &ConfigSpace) -> bool {
        config.u16(self.offset + CONTROL) & CONTROL_ENABLE != 0
    }

    fn data(&self) -> usize {
        self.offset + if self.spec.wide { 0x0c } else { 0x08 }
    }

    fn mask_bits(&self) -> usize {
        self.data() + 0x04
    }

    fn pending_bits(&self) -> usize {
        self.data() + 0x08
    }
}

impl Messages for Msi {
    fn vectors(&self, config: &ConfigSpace) -> u32 {
        let control = config.u16(self.offset + CONTROL);
        let given = 1 << ((control & CONTROL_ENABLED_MASK) >> CONTROL_ENABLED_SHIFT);
        u32::from(self.spec.vectors).min(given)
    }

    fn masked(&self, config: &ConfigSpace) -> u32 {
        if self.spec.masking { config.u32(self.mask_bits()) } else { 0 }
    }

    fn pending(&self, config: &ConfigSpace) -> u32 {
        if self.spec.masking { config.u32(self.pending_bits()) } else { 0 }
    }

    fn set_pending(&mut self, config: &mut ConfigSpace, pending: u32) {
        if self.spec.masking {
            config.assign(self.pending_bits(), u32::MAX.to_le_bytes(), pending.to_le_bytes());
        }
    }

    /// The vector's number replaces the low bits of the data.
    fn message(&self, config: &ConfigSpace, vector: VectorIndex) -> (u64, u32) {
        let low = u64::from(config.u32(self.offset + ADDRESS_LOW));
        let high = if self.spec.wide { u64::from(config.u32(self.offset + ADDRESS_HIGH)) } else { 0 };
        let vector_bits = self.vectors(config) - 1;
        let data = u32::from(config.u16(self.data())) & !vector_bits | u32::from(vector.get()) & vector_bits;
        (high << 32 | low, data)
    }
}

#[cfg(test)]
mod tests;
