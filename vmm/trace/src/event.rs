//! What a trace holds, in order: [`Event`]s. The table in `event/table.rs` states each kind of them once.

mod schema;
mod stored;
mod table;

use barscope_device::{Refused, Region};
use serde::{Deserialize, Serialize};

pub use barscope_device::Backing;

pub use schema::{Bits, Field, Kind, Role, Type, Value, Visitor};
pub(crate) use stored::{RECORD_WORDS, Words};
pub use table::{AccessEvent, EventKind, KINDS};

pub use crate::definition::Id;

/// Something that happened. Sequence numbers are dense from 1: a gap is a lost event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place in the order of everything.
    pub seq: u64,
    /// Nanoseconds of the host's monotonic clock since the trace began.
    pub host_ns: u64,
    /// Nanoseconds of the device clock.
    pub device_ns: u64,
    /// The vCPU that it happened on; `None` for what a device did by itself.
    pub vcpu: Option<u8>,
    /// What it was.
    pub kind: EventKind,
}

/// What an event refers to; the fields of its kind by their roles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// Function's definition.
    pub function: Option<Id>,
    /// Route's definition.
    pub route: Option<Id>,
    /// Mapping's definition.
    pub mapping: Option<Id>,
    /// Page walk's definition.
    pub walk: Option<Id>,
    /// Instruction's definition.
    pub instruction: Option<Id>,
    /// Process's definition.
    pub process: Option<Id>,
    /// Text's definition.
    pub text: Option<Id>,
    /// Region of the function.
    pub region: Option<Region>,
    /// Offset in the region, in bytes.
    pub offset: Option<u64>,
    /// Sequence number of the access that led to it, 0 for none.
    pub cause: u64,
}

impl EventKind {
    /// What the table states of the kind.
    #[inline]
    pub fn kind(&self) -> &'static Kind {
        Kind::of_code(self.code()).unwrap_or(&KINDS[0])
    }
}

/// What an instruction does with an operand in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryOperand {
    /// It reads it.
    pub reads: bool,
    /// It writes it, after the read if it does both.
    pub writes: bool,
    /// Size in bytes; 0 if unknown.
    pub size: u8,
}

/// The address that an access carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Guest physical address of a memory access.
    Memory(u64),
    /// An I/O port; for CONFIG_DATA, `routing_id` and `offset` say what CONFIG_ADDRESS selected.
    Port {
        /// The port.
        port: u16,
        /// Bus, device and function in a 16-bit routing identifier; 0 unless for configuration space.
        routing_id: u16,
        /// Offset in the region.
        offset: u16,
    },
}

impl Default for Target {
    fn default() -> Self {
        Target::Memory(0)
    }
}

/// What became of an access.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The device answered.
    #[default]
    Ok,
    /// Nothing decodes the address: reads give all-ones, writes are dropped.
    Unclaimed,
    /// It crosses the end of what decodes its first byte: all-ones, dropped.
    Straddles,
    /// See [`Refused::Reserved`].
    Reserved,
    /// See [`Refused::Width`].
    Width,
    /// See [`Refused::Alignment`].
    Alignment,
    /// See [`Refused::WriteOnly`].
    WriteOnly,
    /// See [`Refused::ReadOnly`].
    ReadOnly,
    /// See [`Refused::Busy`].
    Busy,
    /// See [`Refused::Range`].
    Range,
}

impl Outcome {
    /// In one word.
    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Unclaimed => "unclaimed",
            Outcome::Straddles => "straddles",
            Outcome::Reserved => "reserved",
            Outcome::Width => "width",
            Outcome::Alignment => "alignment",
            Outcome::WriteOnly => "write-only",
            Outcome::ReadOnly => "read-only",
            Outcome::Busy => "busy",
            Outcome::Range => "range",
        }
    }
}

impl From<Refused> for Outcome {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Reserved => Outcome::Reserved,
            Refused::Width => Outcome::Width,
            Refused::Alignment => Outcome::Alignment,
            Refused::WriteOnly => Outcome::WriteOnly,
            Refused::ReadOnly => Outcome::ReadOnly,
            Refused::Busy => Outcome::Busy,
            Refused::Range => Outcome::Range,
        }
    }
}

/// What became of a DMA transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DmaOutcome {
    /// It happened.
    Done,
    /// Bus Master Enable was off.
    BusMasterOff,
    /// It lies outside guest memory, in part at least.
    OutOfBounds,
}

impl DmaOutcome {
    /// In one word.
    pub const fn name(self) -> &'static str {
        match self {
            DmaOutcome::Done => "done",
            DmaOutcome::BusMasterOff => "bus-master-off",
            DmaOutcome::OutOfBounds => "out-of-bounds",
        }
    }
}

/// What became of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteChange {
    /// Accesses in its range reach its region from here on.
    Added,
    /// They no longer do.
    Removed,
    /// It overlaps another one, memory, or ports that the machine has itself, and stays unmapped until that is
    /// no longer so.
    Refused,
}

impl RouteChange {
    /// In one word.
    pub const fn name(self) -> &'static str {
        match self {
            RouteChange::Added => "added",
            RouteChange::Removed => "removed",
            RouteChange::Refused => "refused",
        }
    }
}

/// What was counted; see `barscope_guest_abi::counted`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counted {
    /// Entries into the kernel while a program ran.
    KernelEntries,
    /// A page fault that was resolved by mapping a page.
    FaultResolved,
    /// A page fault that stopped the program.
    FaultFatal,
}

impl Counted {
    /// In one word.
    pub const fn name(self) -> &'static str {
        match self {
            Counted::KernelEntries => "kernel-entries",
            Counted::FaultResolved => "fault-resolved",
            Counted::FaultFatal => "fault-fatal",
        }
    }
}
