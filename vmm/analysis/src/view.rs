//! Events with everything resolved that they refer to: what printers print and assertions look at.

mod absence;
mod instruction;
mod place;
mod viewer;
mod walks;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use barscope_device::Bdf;
use barscope_trace::definition::{Function, Mapping, MemoryType, Path, Process, Route, Walk};
use barscope_trace::event::{AccessEvent, Event, EventKind, Target};

pub use crate::code::{Call, Callers, Code, Context, Made, disassemble};
pub use absence::{Absence, Why};
pub use barscope_trace::BusAddress;
pub use place::{Place, describe_value};
pub use viewer::Viewer;
pub(crate) use viewer::unclaimed_configuration;
pub(crate) use walks::walk;

use crate::reports::Trouble;

/// An event, and what was resolved for it. What the event itself says it gives as well: `view.seq`, `view.kind`.
#[derive(Clone, Debug)]
pub struct View {
    /// The event as it was recorded.
    pub event: Event,
    /// The scenario that it is part of; its beginning and its end belong to it.
    pub scenario: Option<Arc<str>>,
    /// What of it isn't certain, since records before it are missing.
    pub uncertain: Uncertain,
    /// Another function of the trace has the same name as the one that it is about.
    pub alike: bool,
    /// What the code of an access runs as, as far as that is known.
    pub context: Option<Context>,
    cause: Option<u64>,
    /// The function, where no place says it.
    pub(crate) function: Option<Arc<Function>>,
    pub(crate) route: Option<Arc<Route>>,
    pub(crate) place: Option<Place>,
    pub(crate) code: Option<Arc<Code>>,
    pub(crate) callers: Option<Arc<Callers>>,
    pub(crate) walk: Option<Arc<Walk>>,
    pub(crate) mapping: Option<Arc<Mapping>>,
    pub(crate) process: Option<Arc<Process>>,
    pub(crate) text: Option<Arc<str>>,
    trouble: Option<Trouble>,
    absent: Option<Box<Absence>>,
    selects: Option<Box<Place>>,
}

impl Deref for View {
    type Target = Event;

    fn deref(&self) -> &Event {
        &self.event
    }
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
    /// The text of a mark, a console line, a warning or a summary, and the name of a scenario that begins: the trace doesn't keep it.
    pub text: bool,
}

impl View {
    /// The access, if it is one.
    pub fn access(&self) -> Option<AccessView<'_>> {
        match &self.event.kind {
            EventKind::Access(event) => Some(AccessView { event, view: self }),
            _ => None,
        }
    }

    /// The sequence number of the access that led to it: directly for what a device did, by way of
    /// the interrupt for what its handler does.
    pub fn cause(&self) -> Option<u64> {
        self.cause
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
        match &self.place {
            Some(place) => place.function.as_deref(),
            None => self.function.as_deref(),
        }
    }

    /// The route that it is about: that came, went, or is served another way.
    pub fn route(&self) -> Option<&Route> {
        self.route.as_deref()
    }

    /// The line that the guest printed, if it is that.
    pub fn console_line(&self) -> Option<&Arc<str>> {
        self.text.as_ref().filter(|_| matches!(self.kind, EventKind::Console { .. }))
    }

    /// What is wrong, for a console line with which a kernel begins to report it.
    pub fn trouble(&self) -> Option<Trouble> {
        self.trouble
    }

    /// The text of a mark, a console line, a warning or a summary; the name of a scenario that begins.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// For how long a device will be busy, in nanoseconds of device time, if it says so here.
    pub fn busy_ns(&self) -> Option<u64> {
        match self.kind {
            EventKind::Busy { until_ns, .. } => Some(until_ns.saturating_sub(self.device_ns)),
            _ => None,
        }
    }

    /// Whether it is an access of an interrupt handler, announced or not, threaded or not.
    pub fn in_handler(&self) -> bool {
        self.context.is_some_and(Context::is_handler)
    }

    /// Something a device did because of an access, other than answering it.
    pub fn is_effect(&self) -> bool {
        self.kind.kind().of_device
    }
}

/// An access: what was recorded of it, as its fields, and what was resolved.
#[derive(Clone, Copy, Debug)]
pub struct AccessView<'a> {
    event: &'a AccessEvent,
    /// The event that it is.
    pub view: &'a View,
}

impl Deref for AccessView<'_> {
    type Target = AccessEvent;

    fn deref(&self) -> &AccessEvent {
        self.event
    }
}

impl<'a> AccessView<'a> {
    /// The address on the bus.
    pub fn address(&self) -> BusAddress {
        match self.event.target {
            Target::Memory(address) => BusAddress::Memory(address),
            Target::Port { port, .. } => BusAddress::Port(port),
        }
    }

    /// Guest physical address of its first byte; `None` for a port.
    pub fn gpa(&self) -> Option<u64> {
        self.view.gpa()
    }

    /// Guest virtual address of its first byte.
    pub fn gva(&self) -> Option<u64> {
        self.view.gva()
    }

    /// What it leads to; `None` if nothing claims it.
    pub fn place(&self) -> Option<&'a Place> {
        self.view.place.as_ref()
    }

    /// The instruction; `None` if it could not be found.
    pub fn code(&self) -> Option<&'a Code> {
        self.view.code.as_deref()
    }

    /// The page walk; `None` for a port, or if it could not be done.
    pub fn walk(&self) -> Option<&'a Walk> {
        self.view.walk.as_deref()
    }

    /// The mapping that the virtual address belongs to, if the guest announced it.
    pub fn mapping(&self) -> Option<&'a Mapping> {
        self.view.mapping.as_deref()
    }

    /// The process that it was made for: see [`View::process`].
    pub fn process(&self) -> Option<&'a Process> {
        self.view.process.as_deref()
    }

    /// The memory type that its page asks for through PAT, if it is known.
    pub fn pat(&self) -> Option<MemoryType> {
        self.view.pat()
    }

    /// The memory type that it had: what PAT and MTRRs make of it together; never UC-.
    pub fn memory_type(&self) -> Option<MemoryType> {
        self.view.memory_type()
    }

    /// For an address that nothing decodes: what was there, or would be.
    pub fn absent(&self) -> Option<&'a Absence> {
        self.view.absent.as_deref()
    }

    /// For a write to CONFIG_ADDRESS: what accesses to CONFIG_DATA reach from here on.
    pub fn selects(&self) -> Option<&'a Place> {
        self.view.selects.as_deref()
    }

    /// How its virtual address came to lead to the device.
    pub fn path(&self) -> Path {
        self.walk().map_or(Path::Unknown, |walk| walk.path)
    }

    /// Whether the guest said so, or it was inferred.
    pub fn announced(&self) -> bool {
        self.walk().is_some_and(|walk| walk.announced)
    }

    /// The function that made it, like `lab::probe`: see [`View::made`].
    pub fn function(&self) -> Option<&'a str> {
        self.view.made()?.by.function
    }

    /// The address of the PCI function that it reached.
    pub fn bdf(&self) -> Option<Bdf> {
        self.place()?.bdf
    }

    /// Whether it went to configuration space.
    pub fn is_configuration(&self) -> bool {
        self.place().is_some_and(Place::is_configuration)
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
