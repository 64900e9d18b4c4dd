//! A function as a device describes it: identity, BARs, interrupts, capabilities. All of it is data; what
//! configuration space makes of it lies with each part.

use serde::{Deserialize, Serialize};

use crate::address::{BarIndex, Region, Space};

/// A function's identity and parts, from which configuration space is built. Capabilities come in the
/// order of the fields.
///
/// `..ConfigHeader::default()` stands for nothing: no BARs, no interrupts, no capabilities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigHeader {
    /// Vendor ID.
    pub vendor: u16,
    /// Device ID.
    pub device: u16,
    /// Revision ID.
    pub revision: u8,
    /// Class code, 24 bits: base class in 23:16, subclass in 15:8, programming interface in 7:0.
    pub class: u32,
    /// Subsystem vendor ID.
    pub subsystem_vendor: u16,
    /// Subsystem ID.
    pub subsystem: u16,
    /// Base address registers, in ascending order of index.
    pub bars: Vec<BarSpec>,
    /// Size of the expansion ROM in bytes: a power of two from 2 KiB to 16 MiB.
    pub rom: Option<u32>,
    /// The INTx pin that it uses.
    pub interrupt_pin: Option<InterruptPin>,
    /// Whether it can be put to sleep: D0 and D3hot, without No_Soft_Reset.
    pub power_management: bool,
    /// Message-signalled interrupts.
    pub msi: Option<MsiSpec>,
    /// Message-signalled interrupts with a table in a BAR.
    pub msix: Option<MsixSpec>,
    /// Whether it is a PCI Express endpoint, with Function Level Reset.
    pub express: bool,
    /// Content of the vendor-specific capability; none if empty.
    pub vendor_specific: Vec<u8>,
    /// Device Serial Number, in extended configuration space.
    pub serial_number: Option<u64>,
}

/// A base address register, as a device asks for it.
///
/// The size is a power of two: from 16 bytes to 2 GiB for 32-bit memory, from 16 bytes up for 64-bit
/// memory, from 4 to 256 bytes for I/O ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarSpec {
    /// Its number. A 64-bit BAR takes the next one as well.
    pub index: BarIndex,
    /// Size in bytes.
    pub size: u64,
    /// Its address space.
    pub space: Space,
    /// Whether it is 64 bits wide.
    pub wide: bool,
    /// Whether it is prefetchable: reads have no side effects and writes may be merged.
    pub prefetchable: bool,
}

impl BarSpec {
    /// Memory below 4 GiB, `size` bytes.
    pub const fn memory32(index: BarIndex, size: u64) -> Self {
        Self { index, size, space: Space::Memory, wide: false, prefetchable: false }
    }

    /// Memory anywhere, `size` bytes.
    pub const fn memory64(index: BarIndex, size: u64) -> Self {
        Self { index, size, space: Space::Memory, wide: true, prefetchable: false }
    }

    /// `size` I/O ports.
    pub const fn io(index: BarIndex, size: u64) -> Self {
        Self { index, size, space: Space::Io, wide: false, prefetchable: false }
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
}

/// An interrupt pin of a function. A device with a single function uses INTA#.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum InterruptPin {
    /// INTA#.
    A = 1,
    /// INTB#.
    B,
    /// INTC#.
    C,
    /// INTD#.
    D,
}

/// The MSI capability of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsiSpec {
    /// Vectors: a power of two up to 32.
    pub vectors: u8,
    /// Whether the address has 64 bits, not 32.
    pub wide: bool,
    /// Whether vectors can be masked one by one.
    pub masking: bool,
}

impl MsiSpec {
    /// `vectors` with a 64-bit address, without masking.
    pub const fn new(vectors: u8) -> Self {
        Self { vectors, wide: true, masking: false }
    }
}

/// The MSI-X capability of a function, and the place of its table and pending bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsixSpec {
    /// Vectors, 1 to 2048.
    pub vectors: u16,
    /// The BAR that holds table and pending bits.
    pub bar: BarIndex,
    /// Offset of the table in that BAR: a multiple of 8.
    pub table: u32,
    /// Offset of the pending bits in that BAR: a multiple of 8.
    pub pending: u32,
}
