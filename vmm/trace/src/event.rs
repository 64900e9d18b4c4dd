//! What a trace holds, in order: one [`Event`] a slot.

use barscope_device::{InterruptLoss, Refused, Region};
use serde::{Deserialize, Serialize};

pub use crate::definition::Id;
use crate::definition::MemoryType;

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

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The guest accessed a device.
    Access(AccessEvent),
    /// A register changed its value.
    Change {
        /// The function's definition.
        function: Id,
        /// Where the register lies.
        region: Region,
        /// Its offset in the region.
        offset: u64,
        /// Value before.
        old: u64,
        /// Value after.
        new: u64,
        /// Sequence number of the access that led to it.
        cause: u64,
    },
    /// A device works on something until the device clock reaches `until`.
    Busy {
        /// The function's definition.
        function: Id,
        /// Device time in nanoseconds.
        until: u64,
        /// Sequence number of the access that led to it.
        cause: u64,
    },
    /// A message-signalled interrupt.
    Msi {
        /// The function's definition.
        function: Id,
        /// Which of the function's vectors.
        index: u16,
        /// Message address.
        address: u64,
        /// Message data; its low byte is the vector.
        data: u32,
        /// Whether KVM took it.
        delivered: bool,
        /// Sequence number of the access that led to it.
        cause: u64,
    },
    /// An interrupt cause that reached no processor and won't.
    InterruptLost {
        /// The function's definition.
        function: Id,
        /// Which of the function's vectors.
        index: u16,
        /// Why; `None` in traces from before that was recorded.
        why: Option<InterruptLoss>,
        /// Sequence number of the access that led to it.
        cause: u64,
    },
    /// An interrupt cause that is held back until its mask goes.
    InterruptMasked {
        /// The function's definition.
        function: Id,
        /// Which of the function's vectors.
        index: u16,
        /// Sequence number of the access that led to it.
        cause: u64,
    },
    /// A function's interrupt pin changed its level.
    Intx {
        /// The function's definition.
        function: Id,
        /// Whether the pin is asserted now.
        asserted: bool,
        /// The global system interrupt that it is wired to: an input of the IOAPIC.
        gsi: u8,
        /// Sequence number of the access that led to it.
        cause: u64,
    },
    /// A device cut the address of the transfer that follows to the address bits that it has.
    AddressCut {
        /// The function's definition.
        function: Id,
        /// What software asked for.
        asked: u64,
        /// How many bits of an address count.
        bits: u8,
        /// Sequence number of the access that led to it.
        cause: u64,
    },
    /// A DMA transfer.
    Dma {
        /// The function's definition.
        function: Id,
        /// From device to memory.
        to_memory: bool,
        /// Guest physical address.
        address: u64,
        /// Length in bytes.
        length: u64,
        /// Whether it happened.
        outcome: DmaOutcome,
        /// Sequence number of the access that led to it.
        cause: u64,
    },
    /// A route into a function's region appeared, went away, or could not be made.
    Route {
        /// The route's definition.
        route: Id,
        /// What became of it.
        change: RouteChange,
        /// Sequence number of the access that led to it, 0 for the machine's own.
        cause: u64,
    },
    /// Accesses to a route are served another way from here on: what is not trapped is not seen one by
    /// one.
    Backing {
        /// The route's definition.
        route: Id,
        /// How.
        backing: Backing,
        /// Sequence number of the access that led to it.
        cause: u64,
    },
    /// The guest wrote pages of a directly mapped route, some time between record `since` and this one.
    PagesWritten {
        /// The route's definition.
        route: Id,
        /// Offset of the first page in the region, in bytes.
        offset: u64,
        /// Number of consecutive pages of 4 KiB.
        pages: u64,
        /// Sequence number of the last record before which they were certainly not written.
        since: u64,
    },
    /// The guest rang a doorbell that KVM takes by itself, some time since the record before.
    Doorbell {
        /// The route's definition.
        route: Id,
        /// Offset of the register in the region.
        offset: u64,
        /// How often.
        count: u64,
    },
    /// The guest made a mapping.
    Map {
        /// The mapping's definition.
        mapping: Id,
    },
    /// The guest undid a mapping.
    Unmap {
        /// The mapping's definition.
        mapping: Id,
    },
    /// A point that the guest or the bench named.
    Mark {
        /// The text's definition.
        text: Id,
    },
    /// A scenario begins.
    ScenarioBegin {
        /// The definition of its name.
        name: Id,
    },
    /// A scenario ended.
    ScenarioEnd {
        /// Whether what it checked held.
        passed: bool,
        /// The definition of its one-line summary.
        summary: Id,
    },
    /// The guest counted something that a trace of device accesses can't see.
    Count {
        /// What.
        what: Counted,
        /// How many.
        value: u64,
        /// Faulting virtual address, or 0.
        address: u64,
        /// Page-fault error code, or 0.
        error_code: u32,
        /// RIP of the faulting instruction, or 0.
        rip: u64,
    },
    /// An interrupt handler begins.
    IsrEnter {
        /// The interrupt's vector.
        vector: u8,
    },
    /// An interrupt handler is done.
    IsrExit {
        /// The interrupt's vector.
        vector: u8,
    },
    /// The virtual device clock jumped because the guest was idle.
    ClockJump {
        /// Device time in nanoseconds that it jumped to.
        to: u64,
    },
    /// KVM could not emulate an instruction that touched device memory; the guest got `#UD`, and the device
    /// saw nothing.
    NotEmulated {
        /// Current privilege level of the vCPU, 0 to 3.
        cpl: u8,
        /// The instruction's definition, or 0.
        instruction: Id,
        /// The definition of the walk of its memory operand, or 0.
        walk: Id,
        /// The definition of the route that its memory operand leads to, or 0.
        route: Id,
        /// Guest physical address of the first byte of its memory operand that a device decodes; `None` if
        /// the operand's address could not be told.
        gpa: Option<u64>,
        /// What the instruction does with that operand.
        operand: MemoryOperand,
    },
    /// The guest asked for something malformed, or the host met something worth knowing.
    Warning {
        /// The text's definition.
        text: Id,
    },
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

/// One access, or one part of an access that KVM hands over in parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccessEvent {
    /// The route's definition; 0 if none claims the address.
    pub route: Id,
    /// Where it went.
    pub target: Target,
    /// A write, or a read.
    pub write: bool,
    /// Size in bytes: 1, 2, 4 or 8.
    pub size: u8,
    /// The value written or read, zero-extended.
    pub value: u64,
    /// Current privilege level of the vCPU, 0 to 3.
    pub cpl: u8,
    /// Half of a read-modify-write instruction.
    pub read_modify_write: bool,
    /// KVM gathered it: it reached the device later than it was made, and nobody knows by whom.
    pub coalesced: bool,
    /// What the device answered.
    pub outcome: Outcome,
    /// The page walk's definition; 0 if unresolved, or for a port.
    pub walk: Id,
    /// The instruction's definition; 0 if unresolved.
    pub instruction: Id,
    /// Counts executed instructions that accessed devices: parts of one instruction share it.
    pub instance: u32,
    /// Byte offset of this part within the instruction's memory operand (saturates at 255).
    pub fragment: u8,
    /// Time that the dispatcher and the device took, in host nanoseconds (saturates at 2^24 - 1).
    pub service_ns: u32,
    /// The call stack's definition; 0 if none was taken.
    pub stack: Id,
    /// The memory type that the page table asks for through PAT; `None` if that isn't known.
    pub pat: Option<MemoryType>,
    /// The memory type that the access had, which MTRRs and the hypervisor decide as well; `None` if that isn't
    /// known. Never UC-.
    pub effective: Option<MemoryType>,
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

/// How accesses to a route are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backing {
    /// Each access reaches the device and is recorded.
    Trapped,
    /// The guest reaches memory: only written pages are seen, afterwards.
    Direct,
    /// Writes to some registers are only counted.
    Doorbell,
    /// Writes are gathered and arrive later.
    Coalesced,
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

/// What the guest counted; see `barscope_guest_abi::counted`.
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
