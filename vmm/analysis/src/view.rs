//! Events with everything resolved that they refer to: what printers print and assertions look at.

mod absence;
mod code;
mod instruction;
mod place;
mod viewer;

use std::collections::BTreeMap;
use std::sync::Arc;

use barscope_trace::definition::{Function, Mapping, MemoryType, Path, Process, Route, Walk};
use barscope_trace::event::{Backing, Counted, DmaOutcome, Id, MemoryOperand, Outcome, RouteChange};
use device_model::{Bdf, InterruptLoss};

pub use absence::{Absence, Why};
pub use code::{Code, disassemble};
pub use place::{Place, describe_value};
pub use viewer::Viewer;
pub(crate) use viewer::unclaimed_configuration;

/// An event, resolved.
#[derive(Clone, Debug)]
pub struct View {
    /// Its place in the order of everything.
    pub seq: u64,
    /// Nanoseconds of the host's monotonic clock since the trace began.
    pub host_ns: u64,
    /// Nanoseconds of the device clock.
    pub device_ns: u64,
    /// The vCPU that it happened on; `None` for what a device did by itself.
    pub vcpu: Option<u8>,
    /// The scenario that it is part of; its beginning and its end belong to it.
    pub scenario: Option<Arc<str>>,
    /// What of it isn't certain, since records before it are missing.
    pub uncertain: Uncertain,
    /// Another function of the trace has the same name as the one that it is about.
    pub alike: bool,
    /// What happened.
    pub what: What,
}

/// What of a view isn't known, mostly since it may depend on records that are missing. Whatever they were, the rest is
/// as it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uncertain {
    /// The scenario, and the name of one that ends.
    pub scenario: bool,
    /// Whether an access is in a handler.
    pub handler: bool,
    /// The cause of an access or of a handler's beginning. What a device did has its cause recorded.
    pub cause: bool,
    /// The text of a mark, a warning or a summary, and the name of a scenario that begins: the trace doesn't keep it.
    pub text: bool,
}

impl View {
    /// The access, if it is one.
    pub fn access(&self) -> Option<&AccessView> {
        match &self.what {
            What::Access(access) => Some(access),
            _ => None,
        }
    }

    /// The sequence number of the access that led to it: directly for what a device did, by way of
    /// the interrupt for what its handler does.
    pub fn cause(&self) -> Option<u64> {
        let cause = match &self.what {
            What::Access(access) => return access.caused_by,
            What::IsrEnter { caused_by, .. } => return *caused_by,
            What::Change { cause, .. }
            | What::Busy { cause, .. }
            | What::Msi { cause, .. }
            | What::InterruptLost { cause, .. }
            | What::InterruptMasked { cause, .. }
            | What::Intx { cause, .. }
            | What::AddressCut { cause, .. }
            | What::Dma { cause, .. }
            | What::Route { cause, .. }
            | What::Backing { cause, .. } => *cause,
            _ => 0,
        };
        (cause != 0).then_some(cause)
    }

    /// Whether [`View::cause`] is certain: records that are missing might say otherwise, and nobody knows who made
    /// an access that KVM gathered.
    pub fn knows_cause(&self) -> bool {
        !self.uncertain.cause && self.access().is_none_or(|access| !access.coalesced)
    }

    /// The function that it is about, as people call it: by its address too if others have the name.
    pub fn whose(&self) -> Option<String> {
        let function = self.function()?;
        Some(if self.alike { format!("{} {}", function.bdf, function.name) } else { function.name.clone() })
    }

    /// The function that it is about: that was accessed, or did something.
    pub fn function(&self) -> Option<&Function> {
        match &self.what {
            What::Access(AccessView { place, .. }) | What::NotEmulated { place, .. } => {
                place.as_ref()?.function.as_deref()
            }
            What::Change { place, .. } | What::Doorbell { place, .. } => place.function.as_deref(),
            What::Busy { function, .. }
            | What::Msi { function, .. }
            | What::InterruptLost { function, .. }
            | What::InterruptMasked { function, .. }
            | What::Intx { function, .. }
            | What::AddressCut { function, .. }
            | What::Dma { function, .. }
            | What::Route { function, .. }
            | What::Backing { function, .. }
            | What::PagesWritten { function, .. } => function.as_deref(),
            _ => None,
        }
    }

    /// Something a device did because of an access, other than answering it.
    pub fn is_effect(&self) -> bool {
        matches!(
            self.what,
            What::Change { .. }
                | What::Busy { .. }
                | What::Msi { .. }
                | What::InterruptLost { .. }
                | What::InterruptMasked { .. }
                | What::Intx { .. }
                | What::AddressCut { .. }
                | What::Dma { .. }
                | What::Route { .. }
                | What::Backing { .. }
                | What::PagesWritten { .. }
                | What::Doorbell { .. }
        )
    }
}

/// What happened, resolved. Fields are those of [`barscope_trace::event::EventKind`] where not said otherwise.
#[derive(Clone, Debug)]
pub enum What {
    /// The guest accessed a device.
    Access(AccessView),
    /// A register changed its value.
    Change {
        /// The register's place.
        place: Place,
        /// Value before.
        old: u64,
        /// Value after.
        new: u64,
        /// The access that led to it, or 0.
        cause: u64,
    },
    /// A device works on something.
    Busy {
        /// The device.
        function: Option<Arc<Function>>,
        /// For how long, in nanoseconds of device time.
        duration: u64,
        /// The access that led to it, or 0.
        cause: u64,
    },
    /// A message-signalled interrupt.
    Msi {
        /// The device.
        function: Option<Arc<Function>>,
        /// Which of its vectors.
        index: u16,
        /// Message address.
        address: u64,
        /// Message data.
        data: u32,
        /// Whether KVM took it.
        delivered: bool,
        /// The access that led to it, or 0.
        cause: u64,
    },
    /// An interrupt cause that reached no processor and won't.
    InterruptLost {
        /// The device.
        function: Option<Arc<Function>>,
        /// Which of its vectors.
        index: u16,
        /// Why, if that was recorded.
        why: Option<InterruptLoss>,
        /// The access that led to it, or 0.
        cause: u64,
    },
    /// An interrupt cause that is held back until its mask goes.
    InterruptMasked {
        /// The device.
        function: Option<Arc<Function>>,
        /// Which of its vectors.
        index: u16,
        /// The access that led to it, or 0.
        cause: u64,
    },
    /// The interrupt pin changed its level.
    Intx {
        /// The device.
        function: Option<Arc<Function>>,
        /// Whether the pin is asserted now.
        asserted: bool,
        /// The global system interrupt that it is wired to.
        gsi: u8,
        /// The access that led to it, or 0.
        cause: u64,
    },
    /// A device cut the address of the transfer that follows to the address bits that it has.
    AddressCut {
        /// The device.
        function: Option<Arc<Function>>,
        /// What software asked for.
        asked: u64,
        /// How many bits of an address count.
        bits: u8,
        /// The access that led to it, or 0.
        cause: u64,
    },
    /// A DMA transfer.
    Dma {
        /// The device.
        function: Option<Arc<Function>>,
        /// From device to memory.
        to_memory: bool,
        /// Guest physical address.
        address: u64,
        /// Length in bytes.
        length: u64,
        /// Whether it happened.
        outcome: DmaOutcome,
        /// The access that led to it, or 0.
        cause: u64,
    },
    /// A route into a function's region appeared, went away, or could not be made.
    Route {
        /// The function that it leads to.
        function: Option<Arc<Function>>,
        /// The route; `None` if its definition is missing.
        route: Option<Arc<Route>>,
        /// What became of it.
        change: RouteChange,
        /// The access that led to it, or 0.
        cause: u64,
    },
    /// Accesses to a route are served another way from here on.
    Backing {
        /// The function that it leads to.
        function: Option<Arc<Function>>,
        /// The route; `None` if its definition is missing.
        route: Option<Arc<Route>>,
        /// How.
        backing: Backing,
        /// The access that led to it, or 0.
        cause: u64,
    },
    /// The guest wrote pages that it reaches directly.
    PagesWritten {
        /// The function that they belong to.
        function: Option<Arc<Function>>,
        /// The route; `None` if its definition is missing.
        route: Option<Arc<Route>>,
        /// Offset of the first page in the region.
        offset: u64,
        /// Number of pages of 4 KiB.
        pages: u64,
        /// The last record before which they were certainly not written.
        since: u64,
    },
    /// The guest rang a doorbell that KVM takes by itself.
    Doorbell {
        /// The register's place.
        place: Place,
        /// How often.
        count: u64,
    },
    /// The guest made a mapping.
    Map {
        /// Its definition's id.
        id: Id,
        /// The mapping; `None` if its definition is missing.
        mapping: Option<Arc<Mapping>>,
    },
    /// The guest undid a mapping.
    Unmap {
        /// Its definition's id.
        id: Id,
        /// The mapping; `None` if its definition is missing.
        mapping: Option<Arc<Mapping>>,
    },
    /// A named point.
    Mark {
        /// Its name.
        text: Arc<str>,
    },
    /// A scenario begins.
    ScenarioBegin {
        /// Its name.
        name: Arc<str>,
    },
    /// A scenario ended.
    ScenarioEnd {
        /// Its name; empty if it never began.
        name: Arc<str>,
        /// Whether what it checked held.
        passed: bool,
        /// One line on it.
        summary: Arc<str>,
    },
    /// The guest counted something.
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
        /// The access that led to the interrupt.
        caused_by: Option<u64>,
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
    /// KVM could not emulate an instruction that touched device memory: the device saw nothing of it.
    NotEmulated {
        /// Current privilege level, 0 to 3.
        cpl: u8,
        /// The instruction, if it was found.
        code: Option<Arc<Code>>,
        /// The walk of its memory operand, if it was found.
        walk: Option<Arc<Walk>>,
        /// The mapping that the operand's address belongs to, if the guest announced it.
        mapping: Option<Arc<Mapping>>,
        /// The process whose address space it was in, if the guest told whose that is and it was in ring 3.
        process: Option<Arc<Process>>,
        /// Guest physical address of the first byte of its memory operand that a device decodes, if known.
        gpa: Option<u64>,
        /// What that leads to; `None` if nothing claims it.
        place: Option<Place>,
        /// What the instruction does with that operand.
        operand: MemoryOperand,
    },
    /// Something worth knowing.
    Warning {
        /// What.
        text: Arc<str>,
    },
}

/// An access, resolved.
#[derive(Clone, Debug)]
pub struct AccessView {
    /// Current privilege level, 0 to 3.
    pub cpl: u8,
    /// The instruction; `None` if it could not be found.
    pub code: Option<Arc<Code>>,
    /// The page walk; `None` for a port, or if it could not be done.
    pub walk: Option<Arc<Walk>>,
    /// The mapping that the virtual address belongs to, if the guest announced it.
    pub mapping: Option<Arc<Mapping>>,
    /// The process whose address space it came through, if the guest told whose that is and it came from
    /// ring 3.
    pub process: Option<Arc<Process>>,
    /// The memory type that its page asks for through PAT, if it is known.
    pub pat: Option<MemoryType>,
    /// The memory type that it had: what PAT and MTRRs make of it together; never UC-.
    pub memory_type: Option<MemoryType>,
    /// The address on the bus.
    pub address: BusAddress,
    /// What it leads to; `None` if nothing claims it.
    pub place: Option<Place>,
    /// For an address that nothing decodes: what was there, or would be.
    pub absent: Option<Box<Absence>>,
    /// For a write to CONFIG_ADDRESS: what accesses to CONFIG_DATA reach from here on.
    pub selects: Option<Box<Place>>,
    /// A write, or a read.
    pub write: bool,
    /// Size in bytes.
    pub size: u8,
    /// The value written or read, zero-extended.
    pub value: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// Half of a read-modify-write instruction.
    pub read_modify_write: bool,
    /// KVM gathered it: it reached the device later than it was made, and nobody knows by whom.
    pub coalesced: bool,
    /// Counts executed instructions that accessed devices: parts of one share it.
    pub instance: u32,
    /// Byte offset of this part within the instruction's memory operand.
    pub fragment: u8,
    /// Time that the dispatcher and the device took, in host nanoseconds.
    pub service_ns: u32,
    /// In an interrupt handler.
    pub in_handler: bool,
    /// The access that led to the interrupt in whose handler this one is.
    pub caused_by: Option<u64>,
}

/// An address on the memory bus or among the I/O ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusAddress {
    /// Guest physical address.
    Memory(u64),
    /// I/O port.
    Port(u16),
}

impl AccessView {
    /// Guest physical address of its first byte; `None` for a port.
    pub fn gpa(&self) -> Option<u64> {
        match self.address {
            BusAddress::Memory(address) => Some(address),
            BusAddress::Port(_) => None,
        }
    }

    /// Guest virtual address of its first byte.
    pub fn gva(&self) -> Option<u64> {
        Some(self.walk.as_ref()?.virtual_address(self.gpa()?))
    }

    /// How its virtual address came to lead to the device.
    pub fn path(&self) -> Path {
        self.walk.as_ref().map_or(Path::Unknown, |walk| walk.path)
    }

    /// Whether the guest said so, or it was inferred.
    pub fn announced(&self) -> bool {
        self.walk.as_ref().is_some_and(|walk| walk.announced)
    }

    /// The function whose code made it, like `lab::probe`.
    pub fn function(&self) -> Option<&str> {
        Some(&self.code.as_ref()?.symbol.as_ref()?.function)
    }

    /// The address of the PCI function that it reached.
    pub fn bdf(&self) -> Option<Bdf> {
        self.place.as_ref()?.bdf
    }

    /// Whether it went to configuration space.
    pub fn is_configuration(&self) -> bool {
        self.place.as_ref().is_some_and(Place::is_configuration)
    }
}

/// All events of a trace, resolved, in order.
#[derive(Clone, Debug, Default)]
pub struct Views {
    list: Vec<View>,
    effects: BTreeMap<u64, Vec<usize>>,
}

impl Views {
    pub(crate) fn new(list: Vec<View>) -> Self {
        let mut effects = BTreeMap::<u64, Vec<usize>>::new();
        for (index, view) in list.iter().enumerate() {
            if let Some(cause) = view.cause().filter(|_| view.is_effect()) {
                effects.entry(cause).or_default().push(index);
            }
        }
        Self { list, effects }
    }

    /// All of them.
    pub fn all(&self) -> &[View] {
        &self.list
    }

    /// The one with this sequence number.
    pub fn get(&self, seq: u64) -> Option<&View> {
        self.list.get(self.list.binary_search_by_key(&seq, |view| view.seq).ok()?)
    }

    /// What devices did because of the access with this sequence number.
    pub fn effects(&self, seq: u64) -> impl Iterator<Item = &View> {
        self.effects.get(&seq).into_iter().flatten().filter_map(|index| self.list.get(*index))
    }
}

#[cfg(test)]
mod tests;
