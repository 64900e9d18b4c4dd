//! What an event has, by name: the fields that a filter can ask for.

use crate::definition::{Mapping, MemoryType, Path};
use crate::event::DmaOutcome;
use crate::event::Outcome;
use crate::view::{AccessView, BusAddress, Place, View, What};

/// What a field of an event holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// A number.
    Number(u64),
    /// A text.
    Text(&'a str),
    /// Yes or no.
    Flag(bool),
}

/// What kind of value a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A number that people write in decimal.
    Number,
    /// A number that people write in hexadecimal.
    Hex,
    /// A time in nanoseconds.
    Time,
    /// A text.
    Text,
    /// One of a few names.
    Name(&'static [&'static str]),
    /// Yes or no: the name alone means yes.
    Flag,
}

/// A field of an event.
#[derive(Clone, Copy)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub of: Type,
    /// What it is.
    pub about: &'static str,
    get: for<'a> fn(&'a View) -> Option<Value<'a>>,
}

impl Field {
    /// What the event has of it; `None` if it has no such thing.
    pub(crate) fn get<'a>(&self, view: &'a View) -> Option<Value<'a>> {
        (self.get)(view)
    }

    /// The field of this name.
    pub(crate) fn named(name: &str) -> Option<&'static Field> {
        FIELDS.iter().find(|field| field.name == name)
    }
}

impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

const PATHS: &[&str] = &[
    Path::Ioremap.name(),
    Path::Mmap.name(),
    Path::Sysfs.name(),
    Path::DevMem.name(),
    Path::DirectMap.name(),
    Path::Unknown.name(),
];
const MEMORY_TYPES: &[&str] = &[
    MemoryType::Uncacheable.name(),
    MemoryType::UncacheableMinus.name(),
    MemoryType::WriteCombining.name(),
    MemoryType::WriteThrough.name(),
    MemoryType::WriteProtected.name(),
    MemoryType::WriteBack.name(),
];
const OUTCOMES: &[&str] = &[
    Outcome::Ok.name(),
    Outcome::Unclaimed.name(),
    Outcome::Straddles.name(),
    Outcome::Reserved.name(),
    Outcome::Width.name(),
    Outcome::Alignment.name(),
    Outcome::WriteOnly.name(),
    Outcome::ReadOnly.name(),
    Outcome::Busy.name(),
    Outcome::Range.name(),
    DmaOutcome::Done.name(),
    DmaOutcome::BusMasterOff.name(),
    DmaOutcome::OutOfBounds.name(),
];

use Type::{Flag, Hex, Name, Number, Text, Time};

/// A field of `View`.
const fn field(
    name: &'static str,
    of: Type,
    about: &'static str,
    get: for<'a> fn(&'a View) -> Option<Value<'a>>,
) -> Field {
    Field { name, of, about, get }
}

/// All fields. Who adds one adds it here, and nowhere else.
pub const FIELDS: &[Field] = &[
    field("seq", Number, "sequence number", |view| number(view.seq)),
    field("time", Time, "device time", |view| number(view.device_ns)),
    field("host", Time, "host time since the trace began", |view| number(view.host_ns)),
    field("vcpu", Number, "vCPU that it happened on", |view| number(view.vcpu?)),
    field("scenario", Text, "scenario that it is part of", |view| text(view.scenario.as_deref()?)),
    field("cause", Number, "sequence number of the access that led to it", |view| number(view.cause()?)),
    field("cpl", Number, "privilege level", |view| number(view.access()?.cpl)),
    field("path", Name(PATHS), "how the virtual address came to lead there", |view| {
        let path = match &view.what {
            What::Access(access) => access.path(),
            What::Map { mapping, .. } | What::Unmap { mapping, .. } => mapping.as_ref()?.path,
            _ => return None,
        };
        text(path.name())
    }),
    field("announced", Flag, "the guest said so, of the mapping", |view| flag(view.access()?.announced())),
    field("function", Text, "function of the code", |view| text(view.access()?.function()?)),
    field("file", Text, "source file of the code", |view| {
        text(view.access()?.code.as_ref()?.symbol.as_ref()?.file.as_deref()?)
    }),
    field("line", Number, "source line of the code", |view| {
        number(view.access()?.code.as_ref()?.symbol.as_ref()?.line?)
    }),
    field("instruction", Text, "instruction, as in \"mov [rdi+8],esi\"", |view| {
        text(&view.access()?.code.as_ref()?.text)
    }),
    field("rip", Hex, "address of the instruction", |view| match &view.what {
        What::Access(access) => number(access.code.as_ref()?.rip),
        What::Count { rip, .. } => number(*rip),
        _ => None,
    }),
    field("gva", Hex, "guest virtual address", |view| number(view.access()?.gva()?)),
    field("gpa", Hex, "guest physical address", |view| number(view.access()?.gpa()?)),
    field("cr3", Hex, "address space", |view| number(view.access()?.walk.as_ref()?.cr3)),
    field("port", Hex, "I/O port", |view| match view.access()?.address {
        BusAddress::Port(port) => number(port),
        BusAddress::Memory(_) => None,
    }),
    field("memtype", Name(MEMORY_TYPES), "effective memory type of the page", |view| {
        text(view.access()?.memory_type()?.name())
    }),
    field("uncached", Flag, "UC or UC-", |view| flag(view.access()?.memory_type()?.uncached())),
    field("user-page", Flag, "the page tables let ring 3 use the page", |view| {
        flag(view.access()?.walk.as_ref()?.user)
    }),
    field("offset", Hex, "offset in the region", |view| number(place(view)?.offset)),
    field("width", Number, "width in bytes", |view| number(view.access()?.size)),
    field("value", Hex, "value read, written, held after a change, or counted", |view| number(value(view)?)),
    field("old", Hex, "value before a change", |view| match view.what {
        What::Change { old, .. } => number(old),
        _ => None,
    }),
    field("outcome", Name(OUTCOMES), "what became of an access or a transfer", |view| match &view.what {
        What::Access(access) => text(access.outcome.name()),
        What::Dma { outcome, .. } => text(outcome.name()),
        _ => None,
    }),
    field("rmw", Flag, "half of a read-modify-write instruction", |view| {
        flag(view.access()?.read_modify_write)
    }),
    field("coalesced", Flag, "KVM gathered it and handed it over later", |view| {
        flag(view.access()?.coalesced)
    }),
    field("instance", Number, "executed instruction; its parts share it", |view| {
        number(view.access()?.instance)
    }),
    field("fragment", Number, "byte offset within the instruction's operand", |view| {
        number(view.access()?.fragment)
    }),
    field("service", Time, "host time that dispatcher and device took", |view| {
        number(view.access()?.service_ns)
    }),
    field("handler", Flag, "in the handler of an interrupt that an access led to", |view| {
        flag(view.access()?.caused_by.is_some())
    }),
    field("index", Number, "which of the function's interrupt vectors", |view| match view.what {
        What::Msi { index, .. } | What::InterruptLost { index, .. } | What::InterruptMasked { index, .. } => {
            number(index)
        }
        _ => None,
    }),
    field("vector", Hex, "interrupt vector of the vCPU", |view| match view.what {
        What::Msi { data, .. } => number(data & 0xff),
        What::IsrEnter { vector, .. } | What::IsrExit { vector } => number(vector),
        _ => None,
    }),
    field("delivered", Flag, "KVM took the message", |view| match view.what {
        What::Msi { delivered, .. } => flag(delivered),
        _ => None,
    }),
    field("asserted", Flag, "level of the interrupt pin", |view| match view.what {
        What::Intx { asserted, .. } => flag(asserted),
        _ => None,
    }),
    field("gsi", Number, "IOAPIC input of the interrupt pin", |view| match view.what {
        What::Intx { gsi, .. } => number(gsi),
        _ => None,
    }),
    field("address", Hex, "of a transfer, a message, a fault, a mapping or a route", |view| {
        match &view.what {
            What::Dma { address, .. } | What::Count { address, .. } | What::Msi { address, .. } => {
                number(*address)
            }
            What::Map { .. } | What::Unmap { .. } => number(mapping(view)?.virtual_address),
            What::Route { route, .. } => number(route.as_ref()?.base),
            _ => None,
        }
    }),
    field("length", Number, "bytes of a transfer or a mapping", |view| match &view.what {
        What::Dma { length, .. } => number(*length),
        What::Map { .. } | What::Unmap { .. } => number(mapping(view)?.length),
        _ => None,
    }),
    field("to-memory", Flag, "a transfer goes from device to memory", |view| match view.what {
        What::Dma { to_memory, .. } => flag(to_memory),
        _ => None,
    }),
    field("error-code", Hex, "of a page fault", |view| match view.what {
        What::Count { error_code, .. } => number(error_code),
        _ => None,
    }),
    field("mapped-by", Text, "who asked for the mapping", |view| text(&mapping(view)?.who)),
    field("call", Text, "the call that made the mapping", |view| text(&mapping(view)?.call)),
    field("on-fault", Flag, "the mapping is filled on first touch", |view| flag(mapping(view)?.on_fault)),
    field("text", Text, "of a mark, a warning, or a scenario's summary", |view| match &view.what {
        What::Mark { text: words } | What::Warning { text: words } => text(words),
        What::ScenarioEnd { summary, .. } => text(summary),
        _ => None,
    }),
    field("passed", Flag, "a scenario passed", |view| match view.what {
        What::ScenarioEnd { passed, .. } => flag(passed),
        _ => None,
    }),
];

fn number<'a>(value: impl Into<u64>) -> Option<Value<'a>> {
    Some(Value::Number(value.into()))
}

fn text(value: &str) -> Option<Value<'_>> {
    Some(Value::Text(value))
}

fn flag<'a>(value: bool) -> Option<Value<'a>> {
    Some(Value::Flag(value))
}

/// Where in a device an event is.
pub(crate) fn place(view: &View) -> Option<&Place> {
    match &view.what {
        What::Access(AccessView { place, .. }) => place.as_ref(),
        What::Change { place, .. } | What::Doorbell { place, .. } => Some(place),
        _ => None,
    }
}

/// The value that an event carries.
pub(crate) fn value(view: &View) -> Option<u64> {
    match &view.what {
        What::Access(access) => Some(access.value),
        What::Change { new, .. } => Some(*new),
        What::Count { value, .. } => Some(*value),
        What::Doorbell { count, .. } => Some(*count),
        _ => None,
    }
}

/// The mapping that an event is about.
fn mapping(view: &View) -> Option<&Mapping> {
    match &view.what {
        What::Access(access) => access.mapping.as_deref(),
        What::Map { mapping, .. } | What::Unmap { mapping, .. } => mapping.as_deref(),
        _ => None,
    }
}
