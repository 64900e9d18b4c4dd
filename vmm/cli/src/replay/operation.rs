//! What is done to a device in a replay, and what it does besides answering, in the words of both kinds of recordings.

use std::fmt;

use barscope_device::{Bdf, Region};
use barscope_trace::EventKind;
use barscope_trace::event::DmaOutcome;
use barscope_vmm::perform::Request;

/// Something done to a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// An access of a region.
    Access {
        /// The function.
        bdf: Bdf,
        /// Its region.
        region: Region,
        /// The offset there.
        offset: u64,
        /// What is asked.
        request: Request,
    },
    /// The 4 bytes at an offset of BAR0 are read until these bits are clear.
    Poll {
        /// The function.
        bdf: Bdf,
        /// The offset.
        offset: u64,
        /// The bits.
        bits: u64,
    },
    /// Reads guest memory: address and length.
    ReadMemory(u64, usize),
    /// Writes guest memory.
    WriteMemory(u64, Vec<u8>),
    /// Device time passes, in nanoseconds.
    Wait(u64),
}

/// What an operation gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing to compare.
    Nothing,
    /// A value.
    Value(u64),
    /// Bytes of memory.
    Bytes(Vec<u8>),
}

/// What a device did besides answering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Its interrupt pin has another level.
    Pin(Bdf, bool),
    /// It sent a message.
    Message {
        /// The function.
        bdf: Bdf,
        /// Which of its vectors.
        index: u16,
        /// Message address.
        address: u64,
        /// Message data.
        data: u32,
    },
    /// It moved memory, or was to.
    Dma {
        /// The function.
        bdf: Bdf,
        /// From device to memory.
        to_memory: bool,
        /// Guest physical address.
        address: u64,
        /// Length in bytes.
        length: u64,
        /// Whether it happened.
        outcome: DmaOutcome,
    },
    /// A register has another value.
    Change {
        /// The function.
        bdf: Bdf,
        /// Region of the register.
        region: Region,
        /// Its offset there.
        offset: u64,
        /// Value before.
        old: u64,
        /// Value after.
        new: u64,
    },
}

/// Which deeds a recording tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// None.
    Nothing,
    /// Levels of the pin.
    Pins,
    /// All of them.
    All,
}

impl Deed {
    /// What an event of the function at `bdf` says, if it is a deed.
    pub fn of(bdf: Bdf, kind: &EventKind) -> Option<Self> {
        Some(match *kind {
            EventKind::Intx { asserted, .. } => Deed::Pin(bdf, asserted),
            EventKind::Msi { index, address, data, .. } => Deed::Message { bdf, index, address, data },
            EventKind::Dma { to_memory, address, length, outcome, .. } => {
                Deed::Dma { bdf, to_memory, address, length, outcome }
            }
            // Configuration space is compared where it is read.
            EventKind::Change { region, offset, old, new, .. } if region != Region::Config => {
                Deed::Change { bdf, region, offset, old, new }
            }
            _ => return None,
        })
    }

    /// Whether such a recording tells it.
    pub fn is_told(&self, told: Told) -> bool {
        match told {
            Told::Nothing => false,
            Told::Pins => matches!(self, Deed::Pin(..)),
            Told::All => true,
        }
    }

    /// The place that it is about.
    pub fn place(&self) -> Where {
        match *self {
            Deed::Pin(bdf, _) => Where::Pin(bdf),
            Deed::Message { bdf, .. } => Where::Messages(bdf),
            Deed::Dma { bdf, .. } => Where::Dma(bdf),
            Deed::Change { bdf, region, offset, .. } => Where::At(bdf, region, offset),
        }
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Deed::Pin(_, true) => write!(f, "the pin is asserted"),
            Deed::Pin(_, false) => write!(f, "the pin is deasserted"),
            Deed::Message { index, address, data, .. } => {
                write!(f, "message {index}: {data:#x} to {address:#x}")
            }
            Deed::Dma { to_memory, address, length, outcome, .. } => {
                let way = if *to_memory { "to" } else { "from" };
                write!(f, "DMA of {length} bytes {way} {address:#x}, {}", outcome.name())
            }
            Deed::Change { old, new, .. } => write!(f, "{old:#x} -> {new:#x}"),
        }
    }
}

/// What a difference is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Where {
    /// A place in a function.
    At(Bdf, Region, u64),
    /// A function's interrupt pin.
    Pin(Bdf),
    /// A function's messages.
    Messages(Bdf),
    /// A function's DMA.
    Dma(Bdf),
    /// Guest memory.
    Memory(u64),
}
