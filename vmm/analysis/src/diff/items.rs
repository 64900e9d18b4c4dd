//! Items: the records of a trace that are compared, each as its sequence and its key.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use barscope_trace::event::{AccessEvent, Event, EventKind, Id, Outcome, Target};
use barscope_trace::{Capability, ReadError, Stream};
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

use super::names::Names;
use super::polls::{Polls, Read};
use super::survey::Survey;
use super::terms::{CompiledTerms, Ignore, Terms, TermsError};
use crate::code::Context;
use crate::key::{Masked, Parts, actor, device, is_kernels_own, push_key, push_register};
use crate::view::{View, Viewer};

/// So many accesses are remembered for what devices do because of them later.
const CAUSES: usize = 1 << 14;
/// So many keys of accesses are remembered for those that are alike.
const ALIKE: usize = 1 << 16;
/// Under whom devices are told.
pub(crate) const DEVICES: &str = "devices";

/// A record as it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    /// The number of its sequence.
    pub(crate) lane: u32,
    /// Hash of its key.
    pub(crate) hash: u64,
    /// Its sequence number; for a golden's the number of its line.
    pub(crate) seq: u64,
    /// The number of its register.
    pub(crate) register: u32,
}

/// How records are compared, once both sides are known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) parts: Parts,
    /// Records have actors: in one sequence for all of them, or with time left out in one for each.
    pub(crate) actors: bool,
    pub(crate) scenarios: bool,
    pub(crate) effects: bool,
}

impl Rules {
    pub(crate) fn new(terms: &Terms) -> Self {
        let compared = |what| !terms.ignores(&what);
        Self {
            parts: Parts {
                code: compared(Ignore::Code),
                ring: compared(Ignore::Ring),
                path: compared(Ignore::Path),
                time: compared(Ignore::Time),
            },
            actors: compared(Ignore::Process),
            scenarios: compared(Ignore::Scenario),
            effects: compared(Ignore::Effects),
        }
    }
}

/// Reads the items of a trace.
pub(crate) struct TraceItems {
    stream: Stream,
    viewer: Viewer,
    rules: Rules,
    terms: CompiledTerms,
    transfers: FxHashSet<(Id, u64)>,
    has_stacks: bool,
    by_vcpu: bool,
    causes: Causes,
    polls: Polls,
    alike: FxHashMap<Alike, Known>,
    /// Devices that were told.
    told: FxHashSet<String>,
    ready: VecDeque<Item>,
    text: String,
    nobody: Arc<str>,
    is_done: bool,
}

/// Accesses whose keys are the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Alike {
    route: Id,
    target: (u64, u32),
    value: u64,
    /// Size, outcome, privilege level, context, vCPU.
    small: [u8; 5],
    flags: [bool; 2],
    pat: u8,
    ids: [Id; 3],
}

/// What is known of them.
#[derive(Clone)]
struct Known {
    actor: Arc<str>,
    hash: u64,
    register: u32,
}

/// What an access is to what comes of it.
#[derive(Clone)]
struct Cause {
    device_ns: u64,
    section: Option<Arc<str>>,
    actor: Arc<str>,
    /// What it was, by its register.
    register: u32,
    /// It isn't compared, nor is what comes of it.
    is_left_out: bool,
}

/// The last accesses, and those that something came of lately.
#[derive(Default)]
struct Causes {
    /// Each with when it was last asked for.
    known: FxHashMap<u64, (Cause, u64)>,
    order: VecDeque<(u64, u64)>,
    time: u64,
}

impl Causes {
    fn add(&mut self, seq: u64, cause: Cause) {
        self.time += 1;
        self.known.insert(seq, (cause, self.time));
        self.order.push_back((seq, self.time));
        if self.order.len() > CAUSES
            && let Some((oldest, time)) = self.order.pop_front()
            && self.known.get(&oldest).is_some_and(|(_, last)| *last == time)
        {
            self.known.remove(&oldest);
        }
    }

    /// The access, which is kept for longer if it would soon be forgotten.
    fn get(&mut self, seq: u64) -> Option<Cause> {
        let (cause, last) = self.known.get(&seq)?;
        let (cause, is_old) = (cause.clone(), *last + (CAUSES as u64) / 2 < self.time);
        if is_old {
            self.add(seq, cause.clone());
        }
        Some(cause)
    }
}

impl TraceItems {
    /// Those of the trace at `path`, of which this is known.
    pub(crate) fn open(
        path: &Path,
        survey: &Survey,
        terms: &Terms,
    ) -> Result<Result<Self, TermsError>, ReadError> {
        let stream = Stream::open(path)?;
        let compiled = match terms.compile(stream.definitions()) {
            Ok(compiled) => compiled,
            Err(error) => return Ok(Err(error)),
        };
        let has_stacks = survey.tells(Capability::Stacks);
        Ok(Ok(Self {
            viewer: Viewer::knowing(&survey.capabilities),
            stream,
            rules: Rules::new(terms),
            terms: compiled,
            transfers: survey.transfers.clone(),
            has_stacks,
            by_vcpu: !has_stacks && survey.vcpus > 1,
            causes: Causes::default(),
            polls: Polls::default(),
            alike: FxHashMap::default(),
            told: FxHashSet::default(),
            ready: VecDeque::new(),
            text: String::new(),
            nobody: "".into(),
            is_done: false,
        }))
    }

    /// The next item; `None` after the last one.
    pub(crate) fn next(&mut self, names: &mut Names) -> Result<Option<Item>, ReadError> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(Some(item));
            }
            if self.is_done {
                return Ok(None);
            }
            match self.stream.next()? {
                Some(event) => self.take(&event, names),
                None => {
                    self.is_done = true;
                    self.polls.finish(&mut self.ready);
                }
            }
        }
    }

    fn take(&mut self, event: &Event, names: &mut Names) {
        let view = self.viewer.view(self.stream.definitions(), event);
        let section = view.scenario.clone().filter(|_| self.rules.scenarios);
        let is_wanted = self.terms.only.as_ref().is_none_or(|only| only.matches(&view));
        match event.kind {
            EventKind::Access(access) => self.access(&view, &access, section, is_wanted, names),
            _ if view.is_effect() && !(is_wanted && self.rules.effects) => {}
            _ if view.is_effect() => self.effect(&view, section, names),
            _ if is_wanted => {
                let actor = self.actor(&view);
                self.push(&view, section.as_ref(), &actor, names);
            }
            _ => {}
        }
    }

    fn actor(&self, view: &View) -> Arc<str> {
        if self.rules.actors { actor(view, self.by_vcpu).into() } else { Arc::clone(&self.nobody) }
    }

    fn access(
        &mut self,
        view: &View,
        access: &AccessEvent,
        section: Option<Arc<str>>,
        is_wanted: bool,
        names: &mut Names,
    ) {
        let is_left_out = is_kernels_own(view, self.has_stacks);
        let alike = Alike::of(view, access, self.by_vcpu);
        let known = match alike.and_then(|alike| self.alike.get(&alike)) {
            Some(known) => known.clone(),
            None => {
                let known = self.known(view, names);
                if let Some(alike) = alike {
                    if self.alike.len() >= ALIKE {
                        self.alike.clear();
                    }
                    self.alike.insert(alike, known.clone());
                }
                known
            }
        };
        if is_wanted && !is_left_out {
            self.tell_device(view, names);
            let item = self.item(view.seq, section.as_ref(), &known, names);
            let may_poll = !self.rules.parts.time
                && !access.write
                && !access.read_modify_write
                && access.outcome == Outcome::Ok
                && access.instruction != 0;
            if may_poll {
                let read = Read { site: site(access), item };
                self.polls.read(read, &mut self.ready);
            } else {
                self.polls.other(item.lane, &mut self.ready);
                self.ready.push_back(item);
            }
        }
        let (actor, register) = (known.actor, known.register);
        self.causes.add(view.seq, Cause { device_ns: view.device_ns, section, actor, register, is_left_out });
    }

    fn known(&mut self, view: &View, names: &mut Names) -> Known {
        let actor = self.actor(view);
        self.key(view);
        let hash = names.key(&actor, &self.text);
        Known { hash, register: self.register(view, names), actor }
    }

    fn register(&mut self, view: &View, names: &mut Names) -> u32 {
        self.text.clear();
        push_register(&mut self.text, view);
        names.register(&self.text)
    }

    /// What a device did: part of the access that led to it if it came at once, else by itself, later.
    fn effect(&mut self, view: &View, section: Option<Arc<str>>, names: &mut Names) {
        let cause = view.cause().and_then(|seq| self.causes.get(seq));
        if cause.as_ref().is_some_and(|cause| cause.is_left_out) {
            return;
        }
        match cause {
            Some(cause) if cause.device_ns == view.device_ns => {
                self.push(view, cause.section.as_ref(), &cause.actor, names);
            }
            cause => {
                let device = view.function().map_or("a device", |function| &function.name);
                let mut actor = format!("{device} by itself");
                let mut of = section;
                if let Some(cause) = cause {
                    actor += " after ";
                    actor += names.register_of(cause.register);
                    of = cause.section;
                }
                self.push(view, of.as_ref(), &actor.into(), names);
            }
        }
    }

    /// Adds a record that has a key.
    fn push(&mut self, view: &View, section: Option<&Arc<str>>, actor: &Arc<str>, names: &mut Names) {
        if !self.key(view) {
            return;
        }
        let hash = names.key(actor, &self.text);
        self.tell_device(view, names);
        let register = self.register(view, names);
        let known = Known { actor: Arc::clone(actor), hash, register };
        let item = self.item(view.seq, section, &known, names);
        self.polls.other(item.lane, &mut self.ready);
        self.ready.push_back(item);
    }

    fn item(&self, seq: u64, section: Option<&Arc<str>>, known: &Known, names: &mut Names) -> Item {
        let Known { actor, hash, register } = known;
        let lane = names.lane(section, if self.rules.parts.time { &self.nobody } else { actor });
        Item { lane, hash: *hash, seq, register: *register }
    }

    /// The key of a record in `self.text`; whether it has one.
    fn key(&mut self, view: &View) -> bool {
        let ignored = self.terms.values.iter().any(|value| value.matches(view));
        let function = match view.kind {
            EventKind::Access(access) => {
                self.stream.definitions().route(access.route).and_then(|route| route.function)
            }
            EventKind::Change { function, .. } => Some(function),
            _ => None,
        };
        let transfers = &self.transfers;
        let mask = |value: u64| {
            let is_address = || function.is_some_and(|function| is_transferred(transfers, function, value));
            if ignored { Some(Masked::Any) } else { is_address().then_some(Masked::DmaAddress) }
        };
        self.text.clear();
        push_key(&mut self.text, view, self.rules.parts, &mask)
    }

    /// Tells the device that a record is about, at its first one.
    fn tell_device(&mut self, view: &View, names: &mut Names) {
        let Some(function) = view.function() else { return };
        if self.told.contains(&function.name) {
            return;
        }
        self.told.insert(function.name.clone());
        let text = device(function);
        let actor = DEVICES.into();
        let lane = names.lane(None, &format!("device {text}").into());
        let (hash, register) = (names.key(&actor, &text), names.register("device"));
        self.ready.push_back(Item { lane, hash, seq: view.seq, register });
    }
}

/// Whether a value is an address of a transfer, or the lower half of a long one.
fn is_transferred(transfers: &FxHashSet<(Id, u64)>, function: Id, value: u64) -> bool {
    // What is below the first page is more likely a count.
    value >= 0x1000 && transfers.contains(&(function, value))
}

/// Whose read it is, and of what.
fn site(access: &AccessEvent) -> u64 {
    let mut hasher = FxHasher::default();
    let Alike { route, target, .. } = Alike::place(access);
    (route, target, access.size, access.instruction, access.stack, access.walk).hash(&mut hasher);
    hasher.finish()
}

impl Alike {
    fn place(access: &AccessEvent) -> Self {
        let target = match access.target {
            Target::Memory(address) => (address, 0),
            Target::Port { port, routing_id, offset } => {
                (u64::from(port) << 16 | u64::from(offset), u32::from(routing_id) + 1)
            }
        };
        Self {
            route: access.route,
            target,
            value: access.value,
            small: [access.size, 0, access.cpl, 0, 0],
            flags: [access.write, access.read_modify_write],
            pat: 0,
            ids: [access.walk, access.instruction, access.stack],
        }
    }

    /// `None` for an access whose key depends on what came before.
    fn of(view: &View, access: &AccessEvent, by_vcpu: bool) -> Option<Self> {
        if access.outcome == Outcome::Unclaimed || access.coalesced {
            return None;
        }
        let context = match view.context {
            None => 0,
            Some(Context::Task) => 1,
            Some(Context::HardHandler) => 2,
            Some(Context::ThreadedHandler) => 3,
            Some(Context::Softirq) => 4,
            Some(Context::Interrupt) => 5,
        };
        let vcpu = match view.vcpu {
            None => 0,
            Some(vcpu) if by_vcpu => vcpu.saturating_add(2),
            Some(_) => 1,
        };
        let place = Self::place(access);
        Some(Self {
            small: [access.size, access.outcome as u8, access.cpl, context, vcpu],
            pat: access.pat.map_or(0, |pat| pat as u8 + 1),
            ..place
        })
    }
}
