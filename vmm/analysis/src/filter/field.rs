//! What an event has, by name: the fields that a filter can ask for.

use barscope_trace::definition::{MemoryType, Path};
use barscope_trace::event::DmaOutcome;
use barscope_trace::event::Outcome;
use device_model::InterruptLoss;

use super::expr::{Op, Operand};
use super::node::By;
use super::truth::Truth;
use crate::view::{BusAddress, Code, View, What};

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
    from: From,
}

/// Where a property comes from: what may leave it open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    /// The record itself.
    Record,
    /// What an access does, which an instruction that wasn't emulated doesn't tell.
    Access,
    /// The instruction's ring.
    Ring,
    /// The instruction.
    Code,
    /// The function of the instruction.
    Function,
    /// The page walk of the instruction's operand.
    Walk,
    /// The last entry of the page walk, as PAT has it.
    Pat,
    /// The path that the walk's page belongs to.
    Path,
    /// The scenario, by the records before.
    Scenario,
    /// The handlers that run, by the records before.
    Handler,
    /// What led to them.
    Cause,
    /// The place in a device, by its route.
    Place,
    /// A text that the guest chose.
    Text,
}

impl Field {
    /// Whether the event's property compares like this.
    pub(crate) fn test(&self, view: &View, by: By, mask: u64, op: Op, operand: &Operand) -> Truth {
        let holds = |actual: Value<'_>| {
            let actual = match actual {
                Value::Number(number) => Value::Number(number & mask),
                other => other,
            };
            op.holds(actual, operand)
        };
        let doubt = if by == By::Certainty { self.doubt(view) } else { Doubt::None };
        match doubt {
            Doubt::None => self.get(view).is_some_and(holds).into(),
            Doubt::Any => Truth::Maybe,
            Doubt::OneOf(values) => {
                let held = values.iter().filter(|value| holds(Value::Text(value))).count();
                match held {
                    0 => Truth::No,
                    all if all == values.len() => Truth::Yes,
                    _ => Truth::Maybe,
                }
            }
            Doubt::CallerOf => match self.get(view).is_some_and(holds) {
                true if op == Op::Equal => Truth::Yes,
                _ => Truth::Maybe,
            },
        }
    }

    /// What isn't known of the event's property.
    fn doubt(&self, view: &View) -> Doubt {
        let (access, not_emulated) = match &view.what {
            What::Access(access) => (Some(access), false),
            What::NotEmulated { .. } => (None, true),
            _ => (None, false),
        };
        let instruction = access.is_some() || not_emulated;
        let gathered = access.is_some_and(|access| access.coalesced);
        match self.from {
            From::Scenario if view.uncertain.scenario => Doubt::Any,
            From::Handler if view.uncertain.handler => Doubt::Any,
            From::Cause if !view.knows_cause() => Doubt::Any,
            From::Place if view.place_is_open() => Doubt::Any,
            From::Text if view.uncertain.text => Doubt::Any,
            From::Access | From::Handler | From::Cause if not_emulated => Doubt::Any,
            From::Ring
            | From::Handler
            | From::Code
            | From::Function
            | From::Walk
            | From::Pat
            | From::Path
                if gathered =>
            {
                Doubt::Any
            }
            From::Walk | From::Pat | From::Path if instruction && view.walk().is_none() => {
                // A port has none.
                let memory = access.is_none_or(|access| access.gpa().is_some());
                if memory { Doubt::Any } else { Doubt::None }
            }
            // Without paging there is nothing to know.
            From::Pat if instruction && view.pat().is_none() => match view.walk() {
                Some(walk) if walk.levels > 0 => Doubt::Any,
                _ => Doubt::None,
            },
            From::Path if instruction => match view.walk() {
                Some(walk) if walk.user && !walk.announced => Doubt::OneOf(USER_PATHS),
                _ => Doubt::None,
            },
            From::Code | From::Function if instruction && view.code().is_none() => Doubt::Any,
            From::Function if view.code().is_some_and(is_accessor) => Doubt::CallerOf,
            _ => Doubt::None,
        }
    }

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

/// What isn't known of a property.
enum Doubt {
    None,
    /// It may be anything.
    Any,
    /// It is one of these.
    OneOf(&'static [&'static str]),
    /// It is a function that was called for the access: what is asked for may be its caller.
    CallerOf,
}

/// The paths by which a page that ring 3 may use can have come to be, where the guest didn't say.
const USER_PATHS: &[&str] = &[Path::Mmap.name(), Path::Sysfs.name(), Path::DevMem.name()];

/// Whether the code is of a kernel function that drivers call to access a device: the driver's own function is one
/// of its callers.
fn is_accessor(code: &Code) -> bool {
    let Some(symbol) = &code.symbol else { return false };
    let name = symbol.function.split('+').next().unwrap_or_default();
    ["ioread", "iowrite", "pci_", "__pci_", "raw_pci_", "regmap_", "memcpy_", "memset_io"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
        || [
            "readsb", "readsw", "readsl", "writesb", "writesw", "writesl", "__memcpy", "memcpy", "memset",
            "__memset",
        ]
        .contains(&name)
}

const PATHS: &[&str] = &[
    Path::Ioremap.name(),
    Path::Mmap.name(),
    Path::Sysfs.name(),
    Path::DevMem.name(),
    Path::DirectMap.name(),
    Path::Unknown.name(),
];
/// What a page can ask for.
const PAT_TYPES: &[&str] = &[
    MemoryType::Uncacheable.name(),
    MemoryType::UncacheableMinus.name(),
    MemoryType::WriteCombining.name(),
    MemoryType::WriteThrough.name(),
    MemoryType::WriteProtected.name(),
    MemoryType::WriteBack.name(),
];
const LOSSES: &[&str] = &[
    InterruptLoss::NothingEnabled.name(),
    InterruptLoss::BusMasterOff.name(),
    InterruptLoss::Asleep.name(),
    InterruptLoss::MemoryWrite.name(),
];
/// What an access can have.
const MEMORY_TYPES: &[&str] = &[
    MemoryType::Uncacheable.name(),
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
    Field { name, of, about, get, from: From::Record }
}

impl Field {
    /// The same, from there.
    const fn of(self, from: From) -> Self {
        Self { from, ..self }
    }
}

/// All fields. Who adds one adds it here, and nowhere else.
pub const FIELDS: &[Field] = &[
    field("seq", Number, "sequence number", |view| number(view.seq)),
    field("time", Time, "device time", |view| number(view.device_ns)),
    field("host", Time, "host time since the trace began", |view| number(view.host_ns)),
    field("vcpu", Number, "vCPU that it happened on", |view| number(view.vcpu?)),
    field("scenario", Text, "scenario that it is part of", |view| text(view.scenario.as_deref()?))
        .of(From::Scenario),
    field("cause", Number, "sequence number of the access that led to it", |view| number(view.cause()?))
        .of(From::Cause),
    field("cpl", Number, "privilege level", |view| number(view.cpl()?)).of(From::Ring),
    field("path", Name(PATHS), "how the virtual address came to lead there", |view| {
        text(view.path()?.name())
    })
    .of(From::Path),
    field("announced", Flag, "the guest said so, of the mapping", |view| flag(view.walk()?.announced))
        .of(From::Walk),
    field("function", Text, "function of the code", |view| text(&view.code()?.symbol.as_ref()?.function))
        .of(From::Function),
    field("file", Text, "source file of the code", |view| {
        text(view.code()?.symbol.as_ref()?.file.as_deref()?)
    })
    .of(From::Function),
    field("line", Number, "source line of the code", |view| number(view.code()?.symbol.as_ref()?.line?))
        .of(From::Function),
    field("instruction", Text, "instruction, as in \"mov [rdi+8],esi\"", |view| text(&view.code()?.text))
        .of(From::Code),
    field("rip", Hex, "address of the instruction", |view| match &view.what {
        What::Count { rip, .. } => number(*rip),
        _ => number(view.code()?.rip),
    })
    .of(From::Code),
    field("gva", Hex, "guest virtual address", |view| number(view.gva()?)).of(From::Walk),
    field("gpa", Hex, "guest physical address", |view| number(view.gpa()?)),
    field("cr3", Hex, "address space", |view| number(view.walk()?.cr3)).of(From::Walk),
    field("port", Hex, "I/O port", |view| match view.access()?.address {
        BusAddress::Port(port) => number(port),
        BusAddress::Memory(_) => None,
    })
    .of(From::Access),
    field("pat", Name(PAT_TYPES), "memory type that the page asks for, through PAT", |view| {
        text(view.pat()?.name())
    })
    .of(From::Pat),
    field("memtype", Name(MEMORY_TYPES), "effective memory type: what PAT and MTRRs make of it", |view| {
        text(view.memory_type()?.name())
    })
    .of(From::Walk),
    field("uncached", Flag, "memtype UC", |view| flag(view.memory_type()?.uncached())).of(From::Walk),
    field("user-page", Flag, "the page tables let ring 3 use the page", |view| flag(view.walk()?.user))
        .of(From::Walk),
    field("offset", Hex, "offset in the region", |view| number(view.place()?.offset)).of(From::Place),
    field("width", Number, "width in bytes", |view| number(view.access()?.size)).of(From::Access),
    field("value", Hex, "value read, written, held after a change, or counted", |view| number(value(view)?))
        .of(From::Access),
    field("old", Hex, "value before a change", |view| match view.what {
        What::Change { old, .. } => number(old),
        _ => None,
    }),
    field("outcome", Name(OUTCOMES), "what became of an access or a transfer", |view| match &view.what {
        What::Access(access) => text(access.outcome.name()),
        What::Dma { outcome, .. } => text(outcome.name()),
        _ => None,
    })
    .of(From::Access),
    field("rmw", Flag, "half of a read-modify-write instruction", |view| {
        flag(view.access()?.read_modify_write)
    })
    .of(From::Access),
    field("coalesced", Flag, "KVM gathered it and handed it over later", |view| {
        flag(view.access()?.coalesced)
    })
    .of(From::Access),
    field("instance", Number, "executed instruction; its parts share it", |view| {
        number(view.access()?.instance)
    })
    .of(From::Access),
    field("fragment", Number, "byte offset within the instruction's operand", |view| {
        number(view.access()?.fragment)
    })
    .of(From::Access),
    field("service", Time, "host time that dispatcher and device took", |view| {
        number(view.access()?.service_ns)
    })
    .of(From::Access),
    field("handler", Flag, "in an interrupt handler", |view| flag(view.access()?.in_handler))
        .of(From::Handler),
    field("index", Number, "which of the function's interrupt vectors", |view| match view.what {
        What::Msi { index, .. } | What::InterruptLost { index, .. } | What::InterruptMasked { index, .. } => {
            number(index)
        }
        _ => None,
    }),
    field("why", Name(LOSSES), "why an interrupt is lost", |view| match view.what {
        What::InterruptLost { why, .. } => text(why?.name()),
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
    field(
        "address",
        Hex,
        "of a transfer, before a cut, of a message, a fault, a mapping or a route",
        |view| match &view.what {
            What::Dma { address, .. } | What::Count { address, .. } | What::Msi { address, .. } => {
                number(*address)
            }
            What::AddressCut { asked, .. } => number(*asked),
            What::Map { .. } | What::Unmap { .. } => number(view.mapping()?.virtual_address),
            What::Route { route, .. } => number(route.as_ref()?.base),
            _ => None,
        },
    )
    .of(From::Place),
    field("length", Number, "bytes of a transfer or a mapping", |view| match &view.what {
        What::Dma { length, .. } => number(*length),
        What::Map { .. } | What::Unmap { .. } => number(view.mapping()?.length),
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
    field("mapped-by", Text, "who asked for the mapping", |view| text(&view.mapping()?.who)),
    field("call", Text, "the call that made the mapping", |view| text(&view.mapping()?.call)),
    field("on-fault", Flag, "the mapping is filled on first touch", |view| flag(view.mapping()?.on_fault)),
    field("text", Text, "of a mark, a warning, or a scenario's summary", |view| match &view.what {
        What::Mark { text: words } | What::Warning { text: words } => text(words),
        What::ScenarioEnd { summary, .. } => text(summary),
        _ => None,
    })
    .of(From::Text),
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
