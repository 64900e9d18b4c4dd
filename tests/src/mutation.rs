//! Mutations of a trace that was read whole: what else it might have told.
//!
//! They act on its events. Definitions stay as they are, and nothing is lost: later records are renumbered, with
//! what refers to them.

use std::collections::{BTreeMap, HashSet};
use std::hash::Hash;
use std::iter;
use std::ops::Range;

use barscope_analysis::Trace;
use barscope_device::{Region, Space, low_bytes};
use barscope_trace::definition::{Definition, Mapping, Route, Walk};
use barscope_trace::event::{AccessEvent, Counted, DmaOutcome, Outcome, RouteChange, Target};
use barscope_trace::{Event, EventKind, Id};

/// How much later a record comes that is delayed, in nanoseconds.
const DELAY: u64 = 1_000_000_000;

/// A change to the records of a trace.
#[derive(Clone, Debug)]
pub struct Mutation {
    /// What it does, for people.
    pub about: String,
    /// An edit for each record that it acts on, by the record's index among the events.
    edits: BTreeMap<usize, Edit>,
}

/// What happens to a record.
#[derive(Clone, Copy, Debug)]
enum Edit {
    TakeOut,
    Become(EventKind),
    OnVcpu(Option<u8>),
    /// It stays, and this comes right after it.
    Then(EventKind, Option<u8>),
    /// It and all that comes after it are late.
    Delay,
}

impl Mutation {
    fn one(about: String, index: usize, edit: Edit) -> Self {
        Self { about, edits: BTreeMap::from([(index, edit)]) }
    }

    /// Takes all these records out.
    pub fn without(about: String, indices: impl IntoIterator<Item = usize>) -> Self {
        Self { about, edits: indices.into_iter().map(|index| (index, Edit::TakeOut)).collect() }
    }

    /// The records of a part of the trace `events`, with the change. They count from 1, also the causes that they
    /// refer to: one that isn't there is none.
    pub fn apply(&self, events: &[Event], part: Range<usize>) -> Vec<Event> {
        apply(&self.edits, events, part)
    }
}

/// The records of a part of the trace, unchanged but for their numbers, which count from 1.
pub fn unchanged(events: &[Event], part: Range<usize>) -> Vec<Event> {
    apply(&BTreeMap::new(), events, part)
}

fn apply(edits: &BTreeMap<usize, Edit>, events: &[Event], part: Range<usize>) -> Vec<Event> {
    let mut made = Vec::with_capacity(part.len() + 1);
    let mut seqs = Renumbered { first: part.start as u64 + 1, new: Vec::with_capacity(part.len()) };
    let mut delay = 0;
    let mut push = |event: Event, seqs: &Renumbered, delay| {
        let kind = seqs.kind(event.kind, delay);
        let (host_ns, device_ns) = (event.host_ns + delay, event.device_ns + delay);
        made.push(Event { seq: made.len() as u64 + 1, host_ns, device_ns, kind, ..event });
        made.len() as u64
    };
    for index in part {
        let mut event = events[index];
        let mut then = None;
        match edits.get(&index) {
            None => {}
            Some(Edit::TakeOut) => {
                seqs.new.push(None);
                continue;
            }
            Some(Edit::Become(kind)) => event.kind = *kind,
            Some(Edit::OnVcpu(vcpu)) => event.vcpu = *vcpu,
            Some(Edit::Then(kind, vcpu)) => then = Some(Event { kind: *kind, vcpu: *vcpu, ..event }),
            Some(Edit::Delay) => delay = DELAY,
        }
        let seq = push(event, &seqs, delay);
        seqs.new.push(Some(seq));
        if let Some(then) = then {
            push(then, &seqs, delay);
        }
    }
    made
}

/// The new numbers of the records so far.
struct Renumbered {
    first: u64,
    new: Vec<Option<u64>>,
}

impl Renumbered {
    /// That of the record that had this one; 0 if it isn't there.
    fn seq(&self, old: u64) -> u64 {
        let at = old.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        at.and_then(|at| self.new.get(at).copied().flatten()).unwrap_or(0)
    }

    /// That of the last record up to this one that is there.
    fn last_up_to(&self, old: u64) -> u64 {
        let before = old.checked_sub(self.first).map_or(0, |at| at as usize + 1);
        let before = &self.new[..before.min(self.new.len())];
        before.iter().rev().find_map(|seq| *seq).unwrap_or(0)
    }

    fn kind(&self, mut kind: EventKind, delay: u64) -> EventKind {
        match &mut kind {
            EventKind::Change { cause, .. }
            | EventKind::Msi { cause, .. }
            | EventKind::InterruptLost { cause, .. }
            | EventKind::InterruptMasked { cause, .. }
            | EventKind::Intx { cause, .. }
            | EventKind::AddressCut { cause, .. }
            | EventKind::Dma { cause, .. }
            | EventKind::Route { cause, .. }
            | EventKind::Spin { cause, .. }
            | EventKind::Backing { cause, .. } => *cause = self.seq(*cause),
            EventKind::Busy { until_ns: until, cause, .. } => {
                *cause = self.seq(*cause);
                *until += delay;
            }
            EventKind::PagesWritten { since, .. } => *since = self.last_up_to(*since),
            EventKind::ClockJump { to_ns: to } => *to += delay,
            _ => {}
        }
        kind
    }
}

/// Makes the mutations of a trace's records. What a record may become is taken from the trace itself: its routes,
/// walks, mappings and texts.
pub struct Mutator<'a> {
    events: &'a [Event],
    /// One of each kind of walk, with the memory types that it gives an access.
    walks: Vec<(Id, &'a Walk)>,
    /// One for each region of each function.
    routes: Vec<(Id, &'a Route)>,
    /// One of each kind of mapping.
    mappings: Vec<Id>,
    texts: Vec<Id>,
    instructions: Vec<Id>,
    /// Records of all shapes, one of each, those that open and close scenarios aside.
    shapes: Vec<usize>,
    next_instance: u32,
}

impl<'a> Mutator<'a> {
    /// Makes those of this trace.
    pub fn new(trace: &'a Trace) -> Self {
        let (definitions, events) = (trace.definitions(), trace.events());
        let of = |wanted: fn(&Definition) -> bool| {
            let found = definitions.iter().filter(move |(_, definition)| wanted(definition));
            found.map(|(id, _)| id).collect::<Vec<_>>()
        };
        let mapping = |id| definitions.mapping(id).map(kind_of_mapping);
        let kind_of_walk = |walk: &Walk| {
            let mapping = walk.mapping.and_then(mapping);
            (walk.path, walk.pat, walk.memory_type, walk.announced, mapping)
        };
        let walks = definitions.iter().filter_map(|(id, definition)| match definition {
            Definition::Walk(walk) => Some((id, walk)),
            _ => None,
        });
        let mappings = of(|definition| matches!(definition, Definition::Mapping(_)));
        let routes = definitions.iter().filter_map(|(id, definition)| match definition {
            Definition::Route(route) if route.region != Region::Config => Some((id, route)),
            _ => None,
        });
        let instances = events.iter().filter_map(|event| match event.kind {
            EventKind::Access(access) => Some(access.instance),
            _ => None,
        });
        Self {
            events,
            walks: first_of_each(walks, |(_, walk)| kind_of_walk(walk)),
            routes: first_of_each(routes, |(_, route)| (route.function, route.region)),
            mappings: first_of_each(mappings, |id| mapping(*id)),
            texts: of(|definition| matches!(definition, Definition::Text { .. })),
            instructions: of(|definition| matches!(definition, Definition::Instruction(_))),
            shapes: shapes(events, 0..events.len()),
            next_instance: instances.max().unwrap_or(0) + 1,
        }
    }

    /// All mutations that act on this part: its records taken out, repeated and late, copies of any of the
    /// trace's records put into its middle, its records changed. Records of each shape come first.
    pub fn all(&self, part: Range<usize>) -> impl Iterator<Item = Mutation> {
        let first = shapes(self.events, part.clone());
        let known: HashSet<_> = first.iter().copied().collect();
        let events = self.events;
        let is_other = |at: &usize| !known.contains(at) && !bounds_a_scenario(&events[*at].kind);
        let rest: Vec<_> = part.clone().filter(is_other).collect();
        let middle = part.start + part.len() / 2;
        let simple = first.clone().into_iter().flat_map(|at| self.simple(at));
        let changes = first.into_iter().flat_map(|at| self.changes(at));
        let copies = self.shapes.iter().map(move |from| self.copy(*from, middle));
        let more_simple = rest.clone().into_iter().flat_map(|at| self.simple(at));
        let changed_copies = self.shapes.iter().flat_map(move |from| self.changed_copies(*from, middle));
        let more_changes = rest.into_iter().flat_map(|at| self.changes(at));
        simple.chain(copies).chain(changes).chain(more_simple).chain(changed_copies).chain(more_changes)
    }

    fn simple(&self, at: usize) -> impl Iterator<Item = Mutation> + use<> {
        let Event { seq, vcpu, kind, .. } = self.events[at];
        let again = Edit::Then(self.anew(kind), vcpu);
        let edits = [(Edit::TakeOut, "taken out"), (again, "repeated"), (Edit::Delay, "a second late")];
        edits.into_iter().map(move |(edit, what)| Mutation::one(format!("record {seq} {what}"), at, edit))
    }

    fn changes(&self, at: usize) -> impl Iterator<Item = Mutation> + use<> {
        let Event { seq, vcpu, kind, .. } = self.events[at];
        let become_other = self.others(kind).into_iter().map(move |(about, kind)| {
            Mutation::one(format!("record {seq} with {about}"), at, Edit::Become(kind))
        });
        let other = vcpu.map(|vcpu| {
            let about = format!("record {seq} on another vCPU");
            Mutation::one(about, at, Edit::OnVcpu(Some(vcpu ^ 1)))
        });
        become_other.chain(other)
    }

    fn copy(&self, from: usize, to: usize) -> Mutation {
        let Event { seq, vcpu, kind, .. } = self.events[from];
        let about = format!("a copy of record {seq} after record {}", self.events[to].seq);
        Mutation::one(about, to, Edit::Then(self.anew(kind), vcpu))
    }

    fn changed_copies(&self, from: usize, to: usize) -> impl Iterator<Item = Mutation> + use<> {
        let Event { seq, vcpu, kind, .. } = self.events[from];
        let after = self.events[to].seq;
        self.others(self.anew(kind)).into_iter().map(move |(about, kind)| {
            let about = format!("a copy of record {seq} with {about} after record {after}");
            Mutation::one(about, to, Edit::Then(kind, vcpu))
        })
    }

    /// The same once more: an access of another instruction that was executed.
    fn anew(&self, kind: EventKind) -> EventKind {
        match kind {
            EventKind::Access(access) => {
                EventKind::Access(AccessEvent { instance: self.next_instance, ..access })
            }
            other => other,
        }
    }

    /// What a record might have been instead, one field changed.
    fn others(&self, kind: EventKind) -> Vec<(String, EventKind)> {
        match kind {
            EventKind::Access(access) => {
                self.accesses(access).map(|(about, access)| (about, EventKind::Access(access))).collect()
            }
            EventKind::Change { function, region, offset, old, new, cause } => {
                let with = |offset, old, new| EventKind::Change { function, region, offset, old, new, cause };
                let places = [0, offset ^ 4, offset ^ 8].map(|other| with(other, old, new));
                let values = [with(offset, old, !new), with(offset, old, new ^ 1), with(offset, !old, new)];
                let (value, times, due_ns) = (new, 4096, None);
                let spin = EventKind::Spin { function, region, offset, value, times, due_ns, cause };
                named("another value or place, or as a spin", places.into_iter().chain(values).chain([spin]))
            }
            EventKind::Busy { function, until_ns: until, cause } => {
                named("more time", [EventKind::Busy { function, until_ns: until + DELAY, cause }])
            }
            EventKind::Msi { function, index, address, data, delivered, cause } => {
                let with = |index, data, delivered| EventKind::Msi {
                    function,
                    index,
                    address,
                    data,
                    delivered,
                    cause,
                };
                let kinds = [
                    with(index ^ 1, data, delivered),
                    with(index, data ^ 1, delivered),
                    with(index, data, !delivered),
                    EventKind::InterruptLost { function, index, why: None, cause },
                    EventKind::InterruptMasked { function, index, cause },
                    EventKind::Intx { function, asserted: true, gsi: 0, cause },
                ];
                named("another vector, or as another interrupt", kinds)
            }
            EventKind::InterruptMasked { function, index, cause } => {
                named("another vector", [EventKind::InterruptMasked { function, index: index ^ 1, cause }])
            }
            EventKind::InterruptLost { function, index, why, cause } => named(
                "another vector, or no reason",
                [
                    EventKind::InterruptLost { function, index: index ^ 1, why, cause },
                    EventKind::InterruptLost { function, index, why: None, cause },
                ],
            ),
            EventKind::AddressCut { function, asked, bits, cause } => {
                named("another address", [EventKind::AddressCut { function, asked: asked ^ 1, bits, cause }])
            }
            EventKind::Intx { function, asserted, gsi, cause } => {
                named("the other level", [EventKind::Intx { function, asserted: !asserted, gsi, cause }])
            }
            EventKind::Dma { function, to_memory, address, length, outcome, cause } => {
                let with = |to_memory, length, outcome| EventKind::Dma {
                    function,
                    to_memory,
                    address,
                    length,
                    outcome,
                    cause,
                };
                let outcomes = [DmaOutcome::Done, DmaOutcome::BusMasterOff, DmaOutcome::OutOfBounds];
                let others = outcomes.into_iter().filter(|other| *other != outcome);
                let others = others.map(|other| with(to_memory, length, other));
                let turned = [with(!to_memory, length, outcome), with(to_memory, length + 1, outcome)];
                named("another outcome, direction or length", others.chain(turned))
            }
            EventKind::Route { route, change, cause } => {
                let changes = [RouteChange::Added, RouteChange::Removed, RouteChange::Refused];
                let others = changes.into_iter().filter(|other| *other != change);
                named("another change", others.map(|change| EventKind::Route { route, change, cause }))
            }
            EventKind::Map { mapping } | EventKind::Unmap { mapping } => {
                let maps = matches!(kind, EventKind::Map { .. });
                let made = |mapping, maps| match maps {
                    true => EventKind::Map { mapping },
                    false => EventKind::Unmap { mapping },
                };
                let others = self.mappings.iter().filter(|other| **other != mapping);
                let others = others.map(|other| made(*other, maps));
                named("another mapping, or undone", others.chain([made(mapping, !maps)]))
            }
            EventKind::Mark { text, process } => {
                let other = self.texts.iter().find(|other| **other != text);
                named("another text", other.map(|text| EventKind::Mark { text: *text, process }))
            }
            EventKind::Count { what, value, address, error_code, rip, process, call } => {
                let with = |value, address, error_code| EventKind::Count {
                    what,
                    value,
                    address,
                    error_code,
                    rip,
                    process,
                    call,
                };
                let kinds = [Counted::KernelEntries, Counted::FaultResolved, Counted::FaultFatal];
                let others = kinds.into_iter().filter(|other| *other != what);
                let others = others.map(|what| EventKind::Count {
                    what,
                    value,
                    address,
                    error_code,
                    rip,
                    process,
                    call,
                });
                let changed = [
                    with(value + 1, address, error_code),
                    with(value, address ^ 0x1000, error_code),
                    with(value, address, error_code ^ 1),
                    with(value, address, error_code ^ 4),
                ];
                named("another count, address or error", changed.into_iter().chain(others))
            }
            EventKind::IsrEnter { vector } => {
                named("another vector", [EventKind::IsrEnter { vector: vector ^ 1 }])
            }
            EventKind::IsrExit { vector } => {
                named("another vector", [EventKind::IsrExit { vector: vector ^ 1 }])
            }
            _ => Vec::new(),
        }
    }

    /// Accesses that differ from this one in one property.
    fn accesses(&self, access: AccessEvent) -> impl Iterator<Item = (String, AccessEvent)> {
        let values = [access.value ^ 1, !access.value & low_bytes(access.size.into()), 0];
        let values = values.into_iter().filter(move |value| *value != access.value);
        let values = values.map(move |value| (format!("value {value:#x}"), AccessEvent { value, ..access }));
        let cpl = access.cpl ^ 3;
        let simple = [
            (format!("privilege level {cpl}"), AccessEvent { cpl, ..access }),
            ("the other direction".to_owned(), AccessEvent { write: !access.write, ..access }),
            (
                "read-modify-write the other way".to_owned(),
                AccessEvent { read_modify_write: !access.read_modify_write, ..access },
            ),
            (
                "another place in its instruction's operand".to_owned(),
                AccessEvent { fragment: access.fragment ^ 4, ..access },
            ),
        ];
        let sizes = [1, 2, 4, 8].into_iter().filter(move |size| *size != access.size);
        let sizes = sizes.map(move |size| (format!("size {size}"), AccessEvent { size, ..access }));
        let outcomes = OUTCOMES.into_iter().filter(move |outcome| *outcome != access.outcome);
        let outcomes = outcomes
            .map(move |outcome| (format!("outcome {}", outcome.name()), AccessEvent { outcome, ..access }));
        let walks = self.walks.iter().filter(move |(id, _)| *id != access.walk).map(move |(id, walk)| {
            let (pat, memory_type) = (walk.pat, Some(walk.memory_type));
            (format!("walk {id}"), AccessEvent { walk: *id, pat, memory_type, ..access })
        });
        let instruction = self.instructions.iter().find(|other| **other != access.instruction);
        let instruction =
            instruction.map(|id| (format!("instruction {id}"), AccessEvent { instruction: *id, ..access }));
        let offsets = [1, 4, 8].into_iter().filter_map(move |step| {
            let Target::Memory(address) = access.target else { return None };
            let target = Target::Memory(address ^ step);
            Some((format!("address {:#x}", address ^ step), AccessEvent { target, ..access }))
        });
        let routes = self.routes.iter().filter(move |(id, _)| *id != access.route).map(move |(id, route)| {
            (format!("route {id}"), AccessEvent { route: *id, target: start(route), ..access })
        });
        values
            .chain(simple)
            .chain(sizes)
            .chain(outcomes)
            .chain(walks)
            .chain(instruction)
            .chain(offsets)
            .chain(routes)
    }
}

/// Outcomes of accesses.
const OUTCOMES: [Outcome; 9] = [
    Outcome::Ok,
    Outcome::Unclaimed,
    Outcome::Reserved,
    Outcome::Width,
    Outcome::Alignment,
    Outcome::WriteOnly,
    Outcome::ReadOnly,
    Outcome::Busy,
    Outcome::Straddles,
];

/// The first address of a route.
fn start(route: &Route) -> Target {
    match route.space {
        Space::Memory => Target::Memory(route.base),
        Space::Io => Target::Port { port: route.base as u16, routing_id: 0, offset: 0 },
    }
}

fn named(about: &str, kinds: impl IntoIterator<Item = EventKind>) -> Vec<(String, EventKind)> {
    iter::repeat_with(|| about.to_owned()).zip(kinds).collect()
}

/// What clauses may tell of a mapping.
fn kind_of_mapping(mapping: &Mapping) -> (barscope_trace::definition::Path, bool, String) {
    (mapping.path, mapping.on_fault, mapping.who.clone())
}

fn first_of_each<T, K: Hash + Eq>(list: impl IntoIterator<Item = T>, kind: impl Fn(&T) -> K) -> Vec<T> {
    let mut known = HashSet::new();
    list.into_iter().filter(|item| known.insert(kind(item))).collect()
}

/// The first record of each shape in a part of the trace: all but value, time and instance are the same. Those
/// that open and close scenarios aren't among them: what isn't in a scenario can't break its clauses. Accesses come
/// last, those to configuration space and to what nobody decodes last of all: they are most, and few clauses are
/// about them.
fn shapes(events: &[Event], part: Range<usize>) -> Vec<usize> {
    let records = part.filter(|at| !bounds_a_scenario(&events[*at].kind));
    let mut first = first_of_each(records, |at| {
        let mut kind = events[*at].kind;
        match &mut kind {
            EventKind::Access(access) => {
                *access = AccessEvent { value: 0, instance: 0, service_ns: 0, stack: 0, ..*access };
            }
            EventKind::Change { old, new, cause, .. } => (*old, *new, *cause) = (0, 0, 0),
            EventKind::Busy { until_ns: until, cause, .. } => (*until, *cause) = (0, 0),
            EventKind::Msi { cause, .. } | EventKind::Dma { cause, .. } | EventKind::Intx { cause, .. } => {
                *cause = 0;
            }
            EventKind::ClockJump { to_ns: to } => *to = 0,
            _ => {}
        }
        format!("{:?} {kind:?}", events[*at].vcpu)
    });
    first.sort_by_key(|at| match events[*at].kind {
        EventKind::Access(AccessEvent { cpl: 3, .. }) => 1,
        EventKind::Access(AccessEvent { read_modify_write: true, .. }) => 2,
        EventKind::Access(AccessEvent { walk, .. }) if walk != 0 => 3,
        EventKind::Access(_) => 4,
        _ => 0,
    });
    first
}

/// Whether it opens or closes a scenario.
fn bounds_a_scenario(kind: &EventKind) -> bool {
    matches!(kind, EventKind::ScenarioBegin { .. } | EventKind::ScenarioEnd { .. })
}
