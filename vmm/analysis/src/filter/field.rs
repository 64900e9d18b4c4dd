//! What an event has, by name: the fields that a filter can ask for.

use std::sync::LazyLock;

use barscope_trace::definition::{MemoryType, Path};
use barscope_trace::event::{self, Counted, DmaOutcome, EventKind, Outcome, Role, Visitor};

use super::operand::{By, Op, Operand, Value};
use super::truth::Truth;
use crate::symbols::is_called_for_others;
use crate::system_call;
use crate::view::{BusAddress, Call, Callers, Code, Context, View};

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
    get: Get,
    from: From,
}

/// How a property is read.
#[derive(Clone, Copy)]
enum Get {
    /// As the field of the record that has its name as a property.
    Recorded,
    /// By this.
    By(for<'a> fn(&'a View) -> Option<Value<'a>>),
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
    /// The function that made it, with its place in the source.
    Function,
    /// The functions that it is on its way through: it has several of these.
    Calls,
    /// The system call that it is part of.
    SystemCall,
    /// The process that it was made for.
    Process,
    /// The page walk of the instruction's operand.
    Walk,
    /// The last entry of the page walk, as PAT has it.
    Pat,
    /// The path that the walk's page belongs to.
    Path,
    /// The scenario, by the records before.
    Scenario,
    /// The handlers that run, by the records before or by the call stack.
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
        if self.has_several() {
            return self.test_each(view, by, op, operand);
        }
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
            Doubt::AtWork => {
                let process = view.callers().and_then(|callers| callers.process.as_deref());
                let value = process.map(|process| match self.of {
                    Type::Number => Value::Number(process.pid & mask),
                    _ => Value::Text(&process.name),
                });
                if value.is_none_or(holds) { Truth::Maybe } else { Truth::No }
            }
        }
    }

    /// Whether an event can have several of it: names of functions.
    pub fn has_several(&self) -> bool {
        self.from == From::Calls || self.name == "function"
    }

    /// Whether one of the event's functions compares like this; for a denial whether all do.
    fn test_each(&self, view: &View, by: By, op: Op, operand: &Operand) -> Truth {
        let (op, denied) = match op {
            Op::Unequal => (Op::Equal, true),
            Op::Unlike => (Op::Like, true),
            op => (op, false),
        };
        let truth = self.test_any(view, by, |name| op.holds(Value::Text(name), operand));
        match truth {
            Some(truth) if denied => !truth,
            Some(truth) => truth,
            None => Truth::No,
        }
    }

    /// Whether one of the event's functions is like this; `None` if it has none, whatever else were known.
    fn test_any(&self, view: &View, by: By, is: impl Fn(&str) -> bool) -> Option<Truth> {
        let access = view.access();
        let nobodys = access.is_some_and(|access| access.coalesced || view.vcpu.is_none());
        let instruction = access.is_some() || matches!(view.kind, EventKind::NotEmulated { .. });
        let open = by == By::Certainty && (nobodys || view.code().is_none());
        if instruction && open {
            return Some(Truth::Maybe);
        }
        let code = view.code()?;
        let like = |call: &Call<'_>| call.function.is_some_and(&is);
        let untold = |mut calls: Box<dyn Iterator<Item = Call<'_>> + '_>| calls.any(|call| call.untold);
        let (found, unsure) = match (self.from, view.callers()) {
            (From::Calls, callers) => {
                let complete = callers.is_some_and(Callers::is_complete);
                let unsure = !complete || untold(Box::new(view.own_calls()));
                (view.own_calls().any(|call| like(&call)), unsure)
            }
            (_, Some(_)) => {
                let sure = view.made().is_some_and(|made| made.certain);
                let unsure = !sure || untold(Box::new(view.own_calls_to_maker()));
                (view.own_calls_to_maker().any(|call| like(&call)), unsure)
            }
            (_, None) => {
                let made = view.made()?;
                (like(&made.by), is_called(code))
            }
        };
        Some(match found {
            true => Truth::Yes,
            false if unsure && by == By::Certainty => Truth::Maybe,
            false => Truth::No,
        })
    }

    /// The names that the event has of a property that it can have several of; `None` if it has no such thing.
    pub fn names(&self, view: &View) -> Option<Vec<String>> {
        self.has_several().then_some(())?;
        let named = |call: Call<'_>| call.function.map(str::to_owned);
        view.code()?;
        Some(match (self.from, view.callers()) {
            (From::Calls, _) => view.own_calls().filter_map(named).collect(),
            (_, Some(_)) => view.own_calls_to_maker().filter_map(named).collect(),
            (_, None) => named(view.made()?.by).into_iter().collect(),
        })
    }

    /// What isn't known of the event's property.
    fn doubt(&self, view: &View) -> Doubt {
        let access = view.access();
        let not_emulated = matches!(view.kind, EventKind::NotEmulated { .. });
        let instruction = access.is_some() || not_emulated;
        // It found a page.
        let walked = matches!(view.kind, EventKind::PageWalk { gpa: Some(_), .. });
        // KVM gathered it, or no processor made it.
        let nobodys = access.is_some_and(|access| access.coalesced || view.vcpu.is_none());
        match self.from {
            From::Scenario if view.uncertain.scenario => Doubt::Any,
            From::Handler if view.uncertain.handler => Doubt::Any,
            From::Cause if !view.knows_cause() => Doubt::Any,
            From::Place if view.place_is_open() => Doubt::Any,
            From::Text if view.uncertain.text => Doubt::Any,
            From::Access | From::Handler | From::Cause if not_emulated => Doubt::Any,
            // What the guest counted itself, and a point named by nobody knows whom.
            From::SystemCall => match view.kind {
                EventKind::Count { what: Counted::KernelEntries, process: 0, .. } => Doubt::Any,
                _ if nobodys => Doubt::Any,
                _ if instruction && view.cpl() != Some(3) => {
                    let known = view.callers().is_some_and(|callers| callers.system_call().is_some());
                    if known { Doubt::None } else { Doubt::Any }
                }
                _ => Doubt::None,
            },
            From::Process if view.process().is_none() && is_ones(view) => Doubt::Any,
            From::Ring
            | From::Handler
            | From::Code
            | From::Function
            | From::Calls
            | From::Process
            | From::Walk
            | From::Pat
            | From::Path
                if nobodys =>
            {
                Doubt::Any
            }
            From::Process if instruction && view.process().is_none() => match view.callers() {
                Some(callers) if view.cpl() != Some(3) => match callers.interrupts() {
                    Some(true) => Doubt::None,
                    Some(false) => Doubt::Any,
                    None => Doubt::AtWork,
                },
                _ => Doubt::Any,
            },
            From::Walk | From::Process if walked && view.walk().is_none() => Doubt::Any,
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
                Some(walk) if walk.user && !walk.announced && walk.mapping.is_none() => {
                    Doubt::OneOf(USER_PATHS)
                }
                _ => Doubt::None,
            },
            From::Code | From::Function if instruction && view.code().is_none() => Doubt::Any,
            From::Function if view.callers().is_some() => {
                if view.made().is_some_and(|made| made.certain) {
                    Doubt::None
                } else {
                    Doubt::CallerOf
                }
            }
            From::Function if view.code().is_some_and(is_called) => Doubt::CallerOf,
            _ => Doubt::None,
        }
    }

    /// What the event has of it; `None` if it has no such thing.
    pub fn get<'a>(&self, view: &'a View) -> Option<Value<'a>> {
        match self.get {
            Get::By(get) => get(view),
            Get::Recorded => {
                let mut found = Recorded { property: self.name, value: None };
                view.kind.visit(&mut found);
                found.value
            }
        }
    }

    /// Whether it is just a field of the record.
    #[cfg(test)]
    pub(super) fn is_recorded(&self) -> bool {
        matches!(self.get, Get::Recorded)
    }

    /// The field of this name.
    pub fn named(name: &str) -> Option<&'static Field> {
        FIELDS.iter().find(|field| field.name == name)
    }
}

/// Looks for the field that is a property.
struct Recorded<'a> {
    property: &'static str,
    value: Option<Value<'a>>,
}

impl Visitor for Recorded<'_> {
    fn field(&mut self, field: &'static event::Field, value: event::Value) {
        if field.property == Some(self.property) {
            self.value = match value {
                event::Value::Number(value) => number(value),
                event::Value::Flag(value) => flag(value),
                event::Value::Name(name) => text(name),
                _ => None,
            };
        }
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
    /// It is that of the process at work, unless something interrupted it.
    AtWork,
}

/// The paths by which a page that ring 3 may use can have come to be, where the guest didn't say.
const USER_PATHS: &[&str] =
    &[Path::Mmap.name(), Path::Sysfs.name(), Path::SysfsWc.name(), Path::Uio.name(), Path::DevMem.name()];

/// Whether the code is of a kernel function that drivers call to access a device: the driver's own function is one
/// of its callers.
fn is_called(code: &Code) -> bool {
    code.symbol.as_ref().is_some_and(|symbol| is_called_for_others(&symbol.function))
}

const CONTEXTS: &[&str] = &[
    Context::Task.name(),
    Context::HardHandler.name(),
    Context::ThreadedHandler.name(),
    Context::Softirq.name(),
    Context::Interrupt.name(),
];
const PATHS: &[&str] = &{
    let mut names = [""; Path::ALL.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = Path::ALL[at].name();
        at += 1;
    }
    names
};
/// What a page can ask for.
const PAT_TYPES: &[&str] = &[
    MemoryType::Uncacheable.name(),
    MemoryType::UncacheableMinus.name(),
    MemoryType::WriteCombining.name(),
    MemoryType::WriteThrough.name(),
    MemoryType::WriteProtected.name(),
    MemoryType::WriteBack.name(),
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

/// A property of a view.
const fn field(
    name: &'static str,
    of: Type,
    about: &'static str,
    get: for<'a> fn(&'a View) -> Option<Value<'a>>,
) -> Field {
    Field { name, of, about, get: Get::By(get), from: From::Record }
}

/// A property that the table of events states.
fn recorded(property: &'static str) -> Option<Field> {
    let mut fields = event::KINDS.iter().flat_map(|kind| kind.fields);
    let field = fields.find(|field| field.property == Some(property))?;
    let of = match field.of {
        event::Type::Flag => Flag,
        event::Type::Name(names) | event::Type::OptionalName(names) => Name(names),
        _ if field.role == Role::Time => Time,
        _ if field.role.is_hex() => Hex,
        _ => Number,
    };
    Some(Field { name: property, of, about: field.doc, get: Get::Recorded, from: From::Record })
}

impl Field {
    /// The same, from there.
    const fn of(self, from: From) -> Self {
        Self { from, ..self }
    }
}

/// All properties: in this order, those of views and those that the table of events states.
pub static FIELDS: LazyLock<Vec<Field>> = LazyLock::new(|| {
    let mut all: Vec<Field> = PROPERTIES.iter().filter_map(Property::field).collect();
    for property in event::KINDS.iter().flat_map(|kind| kind.fields).filter_map(|field| field.property) {
        if all.iter().all(|known| known.name != property) {
            all.extend(recorded(property));
        }
    }
    all
});

/// A property in its place among the others.
enum Property {
    /// One that is more than a field of the record.
    Viewed(Field),
    /// One that the table of events states, by its name.
    Recorded(&'static str),
}

impl Property {
    fn field(&self) -> Option<Field> {
        match self {
            Property::Viewed(field) => Some(*field),
            Property::Recorded(name) => recorded(name),
        }
    }
}

use Property::{Recorded as Stated, Viewed};

/// Properties of views, and where those of the table stand among them.
const PROPERTIES: &[Property] = &[
    Viewed(field("seq", Number, "sequence number", |view| number(view.seq))),
    Viewed(field("time", Time, "device time", |view| number(view.device_ns))),
    Viewed(field("host", Time, "host time since the trace began", |view| number(view.host_ns))),
    Viewed(field("vcpu", Number, "vCPU that it happened on", |view| number(view.vcpu?)).of(From::Ring)),
    Viewed(
        field("scenario", Text, "scenario that it is part of", |view| text(view.scenario.as_deref()?))
            .of(From::Scenario),
    ),
    Viewed(
        field("cause", Number, "sequence number of the access that led to it", |view| number(view.cause()?))
            .of(From::Cause),
    ),
    Viewed(field("cpl", Number, "privilege level", |view| number(view.cpl()?)).of(From::Ring)),
    Viewed(
        field("path", Name(PATHS), "how the virtual address came to lead there", |view| {
            text(view.path()?.name())
        })
        .of(From::Path),
    ),
    Viewed(
        field("announced", Flag, "the guest said so, of the mapping", |view| flag(view.walk()?.announced))
            .of(From::Walk),
    ),
    Viewed(
        field("function", Text, "function that made it: the innermost that is no accessor", |view| {
            text(view.made()?.by.function?)
        })
        .of(From::Function),
    ),
    Viewed(
        field("file", Text, "source file of that function's code", |view| text(view.made()?.by.file?))
            .of(From::Function),
    ),
    Viewed(
        field("line", Number, "source line of that function's code", |view| number(view.made()?.by.line?))
            .of(From::Function),
    ),
    Viewed(
        field("stack", Text, "function on the way to it: it has several, inlined ones too", |view| {
            text(view.made()?.by.function?)
        })
        .of(From::Calls),
    ),
    Viewed(
        field("syscall", Text, "system call that it is, or is part of", |view| {
            text(system_call::name(view.system_call()?).unwrap_or("unknown"))
        })
        .of(From::SystemCall),
    ),
    Viewed(
        field("process", Text, "command of the process that it is of, or was made for", |view| {
            text(&view.process()?.name)
        })
        .of(From::Process),
    ),
    Viewed(
        field("pid", Number, "number of that process", |view| number(view.process()?.pid)).of(From::Process),
    ),
    Viewed(
        field("instruction", Text, "instruction, as in \"mov [rdi+8],esi\"", |view| text(&view.code()?.text))
            .of(From::Code),
    ),
    Viewed(
        field("rip", Hex, "address of the instruction", |view| match view.kind {
            EventKind::Count { rip, .. } => number(rip),
            _ => number(view.code()?.rip),
        })
        .of(From::Code),
    ),
    Viewed(field("gva", Hex, "guest virtual address", |view| number(view.gva()?)).of(From::Walk)),
    Viewed(field("gpa", Hex, "guest physical address", |view| number(view.gpa()?))),
    Viewed(field("cr3", Hex, "address space", |view| number(view.walk()?.cr3)).of(From::Walk)),
    Viewed(
        field("port", Hex, "I/O port", |view| match view.access()?.address() {
            BusAddress::Port(port) => number(port),
            BusAddress::Memory(_) => None,
        })
        .of(From::Access),
    ),
    Viewed(
        field("pat", Name(PAT_TYPES), "memory type that the page asks for, through PAT", |view| {
            text(view.pat()?.name())
        })
        .of(From::Pat),
    ),
    Viewed(
        field(
            "memtype",
            Name(MEMORY_TYPES),
            "effective memory type: what PAT and MTRRs make of it",
            |view| text(view.memory_type()?.name()),
        )
        .of(From::Walk),
    ),
    Viewed(field("uncached", Flag, "memtype UC", |view| flag(view.memory_type()?.uncached())).of(From::Walk)),
    Viewed(
        field("user-page", Flag, "the page tables let ring 3 use the page", |view| flag(view.walk()?.user))
            .of(From::Walk),
    ),
    Viewed(field("offset", Hex, "offset in the region", |view| number(view.place()?.offset)).of(From::Place)),
    Viewed(field("width", Number, "width in bytes", |view| number(view.access()?.size)).of(From::Access)),
    Viewed(
        field("value", Hex, "value read, written, held after a change, or counted", |view| {
            number(value(view)?)
        })
        .of(From::Access),
    ),
    Stated("old"),
    Viewed(
        field("outcome", Name(OUTCOMES), "what became of an access or a transfer", |view| match view.kind {
            EventKind::Access(access) => text(access.outcome.name()),
            EventKind::Dma { outcome, .. } => text(outcome.name()),
            _ => None,
        })
        .of(From::Access),
    ),
    Viewed(
        field("rmw", Flag, "half of a read-modify-write instruction", |view| {
            flag(view.access()?.read_modify_write)
        })
        .of(From::Access),
    ),
    Viewed(
        field("coalesced", Flag, "KVM gathered it and handed it over later", |view| {
            flag(view.access()?.coalesced)
        })
        .of(From::Access),
    ),
    Viewed(
        field("instance", Number, "executed instruction; its parts share it", |view| {
            number(view.access()?.instance)
        })
        .of(From::Access),
    ),
    Viewed(
        field("fragment", Number, "byte offset within the instruction's operand", |view| {
            number(view.access()?.fragment)
        })
        .of(From::Access),
    ),
    Viewed(
        field("service", Time, "host time that dispatcher and device took", |view| {
            number(view.access()?.service_ns)
        })
        .of(From::Access),
    ),
    Viewed(
        field("handler", Flag, "in an interrupt handler, hard or threaded", |view| {
            flag(view.access()?.view.in_handler())
        })
        .of(From::Handler),
    ),
    Viewed(
        field("context", Name(CONTEXTS), "what its code runs as", |view| text(view.context?.name()))
            .of(From::Handler),
    ),
    Stated("index"),
    Stated("why"),
    Viewed(field("vector", Hex, "interrupt vector of the vCPU", |view| match view.kind {
        EventKind::Msi { data, .. } => number(data & 0xff),
        EventKind::IsrEnter { vector } | EventKind::IsrExit { vector } => number(vector),
        _ => None,
    })),
    Stated("delivered"),
    Stated("asserted"),
    Stated("gsi"),
    Viewed(
        field(
            "address",
            Hex,
            "of a transfer, before a cut, of a message, a fault, a mapping or a route",
            |view| match view.kind {
                EventKind::Dma { address, .. }
                | EventKind::Count { address, .. }
                | EventKind::Msi { address, .. } => number(address),
                EventKind::AddressCut { asked, .. } => number(asked),
                EventKind::Map { .. } | EventKind::Unmap { .. } => number(view.mapping()?.virtual_address),
                EventKind::Route { .. } => number(view.route()?.base),
                _ => None,
            },
        )
        .of(From::Place),
    ),
    Viewed(field("length", Number, "bytes of a transfer or a mapping", |view| match view.kind {
        EventKind::Dma { length, .. } => number(length),
        EventKind::Map { .. } | EventKind::Unmap { .. } => number(view.mapping()?.length),
        _ => None,
    })),
    Stated("to-memory"),
    Stated("error-code"),
    Viewed(
        field("mapped-by", Text, "who asked for the mapping", |view| text(&view.mapping()?.who))
            .of(From::Walk),
    ),
    Viewed(
        field("call", Text, "the call that made the mapping", |view| text(&view.mapping()?.call))
            .of(From::Walk),
    ),
    Viewed(
        field("on-fault", Flag, "the mapping is filled on first touch", |view| {
            flag(view.mapping()?.on_fault)
        })
        .of(From::Walk),
    ),
    Viewed(
        field(
            "text",
            Text,
            "of a mark, a console line, a warning, or a scenario's summary",
            |view| match view.kind {
                EventKind::ScenarioBegin { .. } => None,
                _ => text(view.text()?),
            },
        )
        .of(From::Text),
    ),
    Stated("passed"),
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
    match view.kind {
        EventKind::Access(access) => Some(access.value),
        EventKind::Change { new, .. } => Some(new),
        EventKind::Count { value, .. } => Some(value),
        EventKind::Doorbell { count, .. } => Some(count),
        _ => None,
    }
}

/// Whether it is something that one process did without an instruction on a device.
fn is_ones(view: &View) -> bool {
    matches!(view.kind, EventKind::Count { .. } | EventKind::Mark { .. })
}
