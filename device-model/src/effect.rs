//! What a function did besides answering an access.

use crate::address::{Region, Space};
use crate::dma::DmaError;

/// What a device did besides answering, in order. The dispatcher records each and sends interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A register changed its value.
    Change {
        /// Where it lies.
        region: Region,
        /// Its offset.
        offset: u64,
        /// Value before.
        old: u64,
        /// Value after.
        new: u64,
    },
    /// A message-signalled interrupt leaves the function.
    Msi {
        /// Which of the function's vectors.
        index: u16,
        /// Message address.
        address: u64,
        /// Message data.
        data: u32,
    },
    /// An interrupt cause arose that no enabled mechanism could carry.
    InterruptLost {
        /// Which of the function's vectors.
        index: u16,
    },
    /// A DMA transfer, done or refused.
    Dma {
        /// From device to memory.
        to_memory: bool,
        /// Guest physical address.
        address: u64,
        /// Length in bytes.
        length: u64,
        /// Whether it happened.
        outcome: Result<(), DmaError>,
    },
    /// A timer was set: the device is busy until then.
    Busy {
        /// Device time in nanoseconds.
        until: u64,
    },
    /// A region is decoded elsewhere from here on: a BAR moved, or decoding went on or off.
    Decode {
        /// Which.
        region: Region,
        /// What it decoded before, if anything.
        from: Option<Decode>,
        /// What it decodes now, if anything.
        to: Option<Decode>,
    },
}

/// A range of addresses that a function claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decode {
    /// Memory or I/O.
    pub space: Space,
    /// Bus address or port of the first byte.
    pub base: u64,
    /// Size in bytes.
    pub size: u64,
}

/// An [`Effect`], when it happened and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occurrence {
    /// Device time in nanoseconds; a timer's deadline for what a timer did.
    pub at: u64,
    /// Sequence number of the access that led to it.
    pub cause: u64,
    /// What happened.
    pub effect: Effect,
}
