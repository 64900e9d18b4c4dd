//! What a function did besides answering an access.

use serde::{Deserialize, Serialize};

use crate::address::{Region, Space};
use crate::backing::Backing;
use crate::dma::DmaError;
use crate::interrupt::VectorIndex;

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
        index: VectorIndex,
        /// Message address.
        address: u64,
        /// Message data.
        data: u32,
    },
    /// The interrupt pin is asserted, or no longer. It is a level: it lasts.
    Intx {
        /// Which of both.
        asserted: bool,
    },
    /// An interrupt cause arose and is held back: by the mask of its vector, by the mask of all vectors,
    /// or by Interrupt Disable. It leaves when that goes, if it is still pending then.
    InterruptMasked {
        /// Which vector; for the interrupt pin, which cause.
        index: VectorIndex,
    },
    /// An interrupt cause arose that reached no processor and won't.
    InterruptLost {
        /// Which vector; where none is enabled, which cause.
        index: VectorIndex,
        /// Why.
        why: InterruptLoss,
    },
    /// A device cut the address of the next transfer to the address bits that it has.
    AddressCut {
        /// What software asked for.
        asked: u64,
        /// How many bits of an address count: below 64.
        bits: u8,
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
    /// Accesses to a region are to be served another way from here on.
    Backing {
        /// Which.
        region: Region,
        /// How.
        backing: Backing,
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

/// Why an interrupt cause reached no processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InterruptLoss {
    /// Neither MSI-X nor MSI is enabled, and the function has no pin.
    NothingEnabled,
    /// MSI-X or MSI is enabled, but a message is a memory write of the function, and Bus Master Enable is off.
    BusMasterOff,
    /// The function is in D3hot.
    Asleep,
    /// The message's address isn't one that interrupts have: it was a memory write like any other, and the
    /// [`Effect::Dma`] that follows.
    MemoryWrite,
}

impl InterruptLoss {
    /// In one word.
    pub const fn name(self) -> &'static str {
        match self {
            InterruptLoss::NothingEnabled => "nothing-enabled",
            InterruptLoss::BusMasterOff => "bus-master-off",
            InterruptLoss::Asleep => "asleep",
            InterruptLoss::MemoryWrite => "memory-write",
        }
    }
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
