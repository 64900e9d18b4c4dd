//! Effects: consequences of a call besides its answer.

use serde::{Deserialize, Serialize};

use crate::address::{Region, Space};
use crate::backing::Backing;
use crate::dma::DmaError;
use crate::vector::VectorIndex;

/// A consequence of a call besides its answer. The dispatcher records each, in order, and applies it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A register changed its value.
    Change {
        /// The register's region.
        region: Region,
        /// The register's offset in its region.
        offset: u64,
        /// Value before.
        old: u64,
        /// Value after.
        new: u64,
    },
    /// A message-signalled interrupt leaves the function.
    Msi {
        /// The function's vector.
        index: VectorIndex,
        /// Message address.
        address: u64,
        /// Message data.
        data: u32,
    },
    /// The interrupt pin is asserted, or no longer. It is a level: it lasts.
    Intx {
        /// The level from now on.
        asserted: bool,
    },
    /// An interrupt cause arose and is held back: by the mask of its vector, by the mask of all vectors,
    /// or by Interrupt Disable. It leaves when that goes, if it is still pending then.
    InterruptMasked {
        /// The vector; for the interrupt pin, the number of the cause.
        index: VectorIndex,
    },
    /// An interrupt cause arose that reached no processor and won't.
    InterruptLost {
        /// The vector; where none is enabled, the number of the cause.
        index: VectorIndex,
        /// The reason.
        why: InterruptLoss,
    },
    /// A device cut the address of the next transfer to the address bits that it has.
    AddressCut {
        /// The address that software asked for.
        asked: u64,
        /// Number of address bits that count: below 64.
        bits: u8,
    },
    /// A DMA transfer, done or refused.
    Dma {
        /// Direction: from device to memory, or the other way.
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
        /// The region.
        region: Region,
        /// Its backing from now on.
        backing: Backing,
    },
    /// A region is decoded elsewhere from here on: a BAR moved, or decoding went on or off.
    Decode {
        /// The region.
        region: Region,
        /// Addresses that it decoded before, if any.
        from: Option<Decode>,
        /// Addresses that it decodes now, if any.
        to: Option<Decode>,
    },
}

/// The reason why an interrupt cause reached no processor.
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
    /// All of them.
    pub const ALL: [InterruptLoss; 4] = [
        InterruptLoss::NothingEnabled,
        InterruptLoss::BusMasterOff,
        InterruptLoss::Asleep,
        InterruptLoss::MemoryWrite,
    ];

    /// The reason in one word.
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

/// An [`Effect`] with its timestamp and its cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimestampedEffect {
    /// Device time in nanoseconds; a timer's deadline for what a timer did.
    pub at: u64,
    /// Sequence number of the access that led to it.
    pub cause: u64,
    /// The effect.
    pub effect: Effect,
}
