//! Message-signalled interrupts: the MSI capability, in each of its four shapes.
//!
//! PCI Local Bus 3.0, section 6.8.1.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Layout;
use super::messages::Messages;
use crate::bad_header::BadHeader;
use crate::bar::BarSpec;
use crate::config::ConfigSpace;
use crate::config::registers::register;
use crate::interrupt_set::InterruptSet;
use crate::register::{Access, Field, Register};
use crate::vector::VectorIndex;

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
const CONTROL_EXTENDED_CAPABLE: u16 = 1 << 9;
const CONTROL_EXTENDED_ENABLE: u16 = 1 << 10;

const CONTROL_FIELDS: &[Field] = &[
    Field::bit("ENABLE", 0, "interrupts leave as messages"),
    Field::new("CAPABLE", 1, 3, "log2 of the vectors that the function has"),
    Field::new("ENABLED", 4, 3, "log2 of the vectors that software gave it"),
    Field::bit("WIDE", 7, "the address has 64 bits"),
    Field::bit("MASKING", 8, "vectors can be masked one by one"),
    Field::bit("EXTENDED_CAPABLE", 9, "the data can have 32 bits"),
    Field::bit("EXTENDED_ENABLE", 10, "it has"),
];

/// Up to what depends on the address's width.
static REGISTERS: [Register; 3] = [
    register("MSI", 0, 2, Access::ReadOnly, &[], "MSI: identifier, next capability"),
    register("MSI_CONTROL", 2, 2, Access::ReadWrite, CONTROL_FIELDS, ""),
    register("MSI_ADDRESS", 4, 4, Access::ReadWrite, &[], ""),
];
static HIGH: [Register; 1] =
    [register("MSI_ADDRESS_HIGH", 8, 4, Access::ReadWrite, &[], "bits 63:32 of the address")];
/// From the data on.
static DATA: [Register; 1] = [register("MSI_DATA", 0, 2, Access::ReadWrite, &[], "low byte: the vector")];
static EXTENDED: [Register; 1] =
    [register("MSI_EXTENDED_DATA", 2, 2, Access::ReadWrite, &[], "bits 31:16 of the data")];
static MASKING: [Register; 2] = [
    register("MSI_MASK", 4, 4, Access::ReadWrite, &[], "a bit for each vector that is held back"),
    register("MSI_PENDING", 8, 4, Access::ReadOnly, &[], "a bit for each vector that waits"),
];

/// The MSI capability of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MsiSpec {
    /// Vectors: a power of two up to 32.
    pub vectors: u8,
    /// Whether the address has 64 bits, not 32.
    pub wide: bool,
    /// Whether vectors can be masked one by one.
    pub masking: bool,
    /// Whether the data has 32 bits, not 16 (PCI Express Base 5.0, section 7.7.1.2).
    #[serde(default)]
    pub extended_data: bool,
}

impl MsiSpec {
    /// `vectors` with a 64-bit address, without masking.
    pub const fn new(vectors: u8) -> Self {
        Self { vectors, wide: true, masking: false, extended_data: false }
    }

    /// Offset of the data in the capability.
    const fn data(&self) -> usize {
        if self.wide { 0x0c } else { 0x08 }
    }

    const fn mask_bits(&self) -> usize {
        self.data() + 0x04
    }

    const fn pending_bits(&self) -> usize {
        self.data() + 0x08
    }
}

impl fmt::Display for MsiSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MSI ({} vector{})", self.vectors, if self.vectors == 1 { "" } else { "s" })
    }
}

impl Layout for MsiSpec {
    fn id(&self) -> u16 {
        0x05
    }

    fn name(&self) -> &'static str {
        "MSI"
    }

    fn length(&self) -> usize {
        match (self.masking, self.extended_data) {
            (true, _) => self.pending_bits() + 0x04,
            (false, true) => self.data() + 0x04,
            (false, false) => self.data() + 0x02,
        }
    }

    fn check(&self, _: &[BarSpec]) -> Result<(), BadHeader> {
        let vectors = self.vectors;
        let holds = vectors.is_power_of_two() && vectors <= 32;
        BadHeader::unless(holds, "MSI's number of vectors", vectors, "1, 2, 4, 8, 16 or 32 vectors")
    }

    fn define(&self, config: &mut ConfigSpace, offset: usize) {
        let control = (self.vectors.trailing_zeros() as u16) << CONTROL_CAPABLE_SHIFT
            | if self.wide { CONTROL_64_BIT } else { 0 }
            | if self.masking { CONTROL_MASKING } else { 0 }
            | if self.extended_data { CONTROL_EXTENDED_CAPABLE } else { 0 };
        config.define(offset + CONTROL, &control.to_le_bytes());
        let extended = if self.extended_data { CONTROL_EXTENDED_ENABLE } else { 0 };
        let writable = CONTROL_ENABLE | CONTROL_ENABLED_MASK | extended;
        config.make_writable(offset + CONTROL, &writable.to_le_bytes());
        config.make_writable(offset + ADDRESS_LOW, &0xffff_fffc_u32.to_le_bytes());
        if self.wide {
            config.make_writable(offset + ADDRESS_HIGH, &u32::MAX.to_le_bytes());
        }
        config.make_writable(offset + self.data(), &u16::MAX.to_le_bytes());
        if self.extended_data {
            config.make_writable(offset + self.data() + 2, &u16::MAX.to_le_bytes());
        }
        if self.masking {
            let all = u32::MAX >> (32 - u32::from(self.vectors));
            config.make_writable(offset + self.mask_bits(), &all.to_le_bytes());
            config.make_reported(offset + self.pending_bits(), &all.to_le_bytes());
        }
    }

    fn registers(&self) -> Vec<Register> {
        let high: &[Register] = if self.wide { &HIGH } else { &[] };
        let extended: &[Register] = if self.extended_data { &EXTENDED } else { &[] };
        let masking: &[Register] = if self.masking { &MASKING } else { &[] };
        let mut registers = [&REGISTERS, high].concat();
        registers.extend(DATA.iter().chain(extended).chain(masking).cloned().map(|mut register| {
            register.offset += self.data() as u64;
            register
        }));
        registers
    }
}

/// The capability, at an offset.
pub(crate) struct Msi {
    offset: usize,
    spec: MsiSpec,
}

impl Msi {
    pub(super) fn new(spec: MsiSpec, offset: usize) -> Self {
        Self { offset, spec }
    }

    /// Whether software has enabled it.
    pub(crate) fn enabled(&self, config: &ConfigSpace) -> bool {
        config.u16(self.offset + CONTROL) & CONTROL_ENABLE != 0
    }

    /// The register at `place` of a capability that can mask vectors: a bit for each.
    fn bits(&self, config: &ConfigSpace, place: usize) -> InterruptSet {
        let mut set = InterruptSet::EMPTY;
        if self.spec.masking {
            set.insert_mask(config.u32(self.offset + place).into());
        }
        set
    }
}

impl Messages for Msi {
    fn vectors(&self, config: &ConfigSpace) -> u16 {
        let control = config.u16(self.offset + CONTROL);
        let given = 1 << ((control & CONTROL_ENABLED_MASK) >> CONTROL_ENABLED_SHIFT);
        u16::from(self.spec.vectors).min(given)
    }

    fn masked(&self, config: &ConfigSpace) -> InterruptSet {
        self.bits(config, self.spec.mask_bits())
    }

    fn pending(&self, config: &ConfigSpace) -> InterruptSet {
        self.bits(config, self.spec.pending_bits())
    }

    fn set_pending(&mut self, config: &mut ConfigSpace, pending: InterruptSet) {
        if self.spec.masking {
            let bits = (pending.word(0) as u32).to_le_bytes();
            config.assign(self.offset + self.spec.pending_bits(), u32::MAX.to_le_bytes(), bits);
        }
    }

    /// The vector's number replaces the low bits of the data.
    fn message(&self, config: &ConfigSpace, vector: VectorIndex) -> (u64, u32) {
        let low = u64::from(config.u32(self.offset + ADDRESS_LOW));
        let high = if self.spec.wide { u64::from(config.u32(self.offset + ADDRESS_HIGH)) } else { 0 };
        let vector_bits = u32::from(self.vectors(config) - 1);
        let place = self.offset + self.spec.data();
        let extended = config.u16(self.offset + CONTROL) & CONTROL_EXTENDED_ENABLE != 0;
        let data = if extended { config.u32(place) } else { config.u16(place).into() };
        let data = data & !vector_bits | u32::from(vector.get()) & vector_bits;
        (high << 32 | low, data)
    }
}

#[cfg(test)]
mod tests;
