//! Counts events as they come. Works on raw events: what they refer to is resolved at the end.

use std::collections::BTreeMap;

use barscope_trace::definition::Path;
use barscope_trace::event::{AccessEvent, Event, EventKind, Id, Outcome, Target};
use barscope_trace::{Definitions, TraceInfo};

use super::histogram::bucket_of;
use super::interrupts::Lines;
use super::places::Places;
use super::polling::{Finder, Loop, LoopEnd, Run};
use super::processes::Processes;
use super::sites::Sites;
use super::windows::Follower;
use super::{Accesses, Device, Histogram, PathName, Stats, Vcpu};
use crate::code::Codes;
use crate::coverage::Coverage;
use crate::interrupts::{DEEPEST, Innermost, Raised, Tracker};
use crate::view::{self, describe_value};

/// Counts the events of one trace, in their order.
#[derive(Default)]
pub struct Collector {
    records: u64,
    instructions: u64,
    coverage: Coverage,
    places: Places,
    paths: [Accesses; ROWS],
    /// By the id of the walk's definition.
    walks: Vec<Option<u8>>,
    codes: Codes,
    sites: Sites,
    processes: Processes,
    /// By the vCPU's index plus one; 0 for none.
    vcpus: Vec<VcpuState>,
    busy: BTreeMap<Id, Histogram>,
    interrupts: Lines,
    handlers: Tracker,
    polling: Finder,
    windows: Follower,
}

/// A vCPU.
#[derive(Default)]
struct VcpuState {
    accesses: Accesses,
    /// The last instruction that accessed something.
    instance: Option<u32>,
    /// What it was at when no handler runs.
    run: Option<Run>,
    /// The handlers that it is in.
    handlers: Vec<Handler>,
}

/// An interrupt handler that runs.
#[derive(Default)]
struct Handler {
    /// What it answers, until it made an access.
    answers: Option<Raised>,
    run: Option<Run>,
}

/// Rows to count paths by: each that a walk may have, inferred and announced, and those without a walk.
const ROWS: usize = 2 * Path::ALL.len() + 2;
const PORT: usize = ROWS - 2;
const NO_WALK: usize = ROWS - 1;

fn path_index(path: Path, announced: bool) -> u8 {
    let at = Path::ALL.iter().position(|known| *known == path).unwrap_or_default();
    2 * at as u8 + u8::from(announced)
}

/// What a row is called.
fn path_name(row: usize) -> String {
    match row {
        PORT => "port".to_owned(),
        NO_WALK => "no page walk".to_owned(),
        _ => format!("{}{}", Path::ALL[row / 2], if row.is_multiple_of(2) { "?" } else { "" }),
    }
}

/// The element at `at`, which is made if it isn't there.
fn slot<T: Default>(list: &mut Vec<T>, at: usize) -> &mut T {
    if at >= list.len() {
        list.resize_with(at + 1, T::default);
    }
    &mut list[at]
}

impl Collector {
    /// Counts an event.
    pub fn add(&mut self, definitions: &Definitions, event: &Event) {
        self.records += 1;
        let callers = match event.kind {
            EventKind::Access(access) => self.codes.callers(definitions, access.stack),
            _ => None,
        };
        self.handlers.add(definitions, event, callers.as_deref());
        self.end_handlers(event.vcpu);
        match event.kind {
            EventKind::Access(ref access) => self.access(definitions, event, access),
            EventKind::Busy { function, until_ns, .. } => {
                if definitions.function(function).is_some() {
                    self.busy.entry(function).or_default().add(until_ns.saturating_sub(event.device_ns));
                }
            }
            EventKind::Msi { function, .. }
            | EventKind::Intx { function, .. }
            | EventKind::InterruptLost { function, .. }
            | EventKind::InterruptMasked { function, .. } => {
                if definitions.function(function).is_some() {
                    self.interrupts.add(&event.kind);
                }
            }
            EventKind::IsrEnter { .. } => {
                let state = vcpu(&mut self.vcpus, event.vcpu);
                if state.handlers.len() == DEEPEST {
                    state.handlers.remove(0);
                }
                let Innermost { handler, cause_certain: certain, .. } = self.handlers.handler(event.vcpu);
                let first = handler.filter(|handler| certain && !handler.again);
                let answers = first.and_then(|handler| handler.answers);
                state.handlers.push(Handler { answers, run: None });
            }
            EventKind::Doorbell { route, offset, .. } => {
                let row = self.places.of_offset(definitions, &mut self.coverage, route, offset);
                if let Some(slot) = row.and_then(|row| self.places.rows[row].slot) {
                    self.coverage.ring(slot);
                }
            }
            _ => self.windows.add(definitions, event),
        }
    }

    /// Forgets handlers that ended.
    fn end_handlers(&mut self, on: Option<u8>) {
        let Some(state) = self.vcpus.get_mut(index(on)) else { return };
        let still = self.handlers.depth(on).min(state.handlers.len());
        for handler in state.handlers.drain(still..) {
            if let Some(run) = handler.run {
                self.polling.ended(&run, LoopEnd::Handler);
            }
        }
    }

    fn access(&mut self, definitions: &Definitions, event: &Event, access: &AccessEvent) {
        let bucket = bucket_of(access.service_ns.into());
        let (row, offset) = self.places.of_access(definitions, &mut self.coverage, access);
        let row = &mut self.places.rows[row];
        row.accesses.add(access, bucket);
        if let Some(slot) = row.slot.filter(|_| access.outcome == Outcome::Ok) {
            self.coverage.carry(slot, offset, access.size, access.value);
        }
        let path = self.path(definitions, access);
        self.paths[path].add(access, bucket);
        let site = self.sites.of(definitions, &mut self.codes, access);
        self.sites.accesses(site).add(access, bucket);
        self.processes.accesses(definitions, &mut self.codes, access).add(access, bucket);

        let state = vcpu(&mut self.vcpus, event.vcpu);
        state.accesses.add(access, bucket);
        if access.coalesced || state.instance != Some(access.instance) {
            self.instructions += 1;
        }
        if !access.coalesced {
            state.instance = Some(access.instance);
            let run = match state.handlers.last_mut() {
                Some(handler) => {
                    if let Some(raised) = handler.answers.take() {
                        self.interrupts.answered(&raised, event);
                    }
                    &mut handler.run
                }
                None => {
                    let answer = self.handlers.answer();
                    if let Some(raised) = answer.to.filter(|_| answer.certain && answer.first) {
                        self.interrupts.answered(&raised, event);
                    }
                    &mut state.run
                }
            };
            self.polling.add(run, event, access, site);
        }
        self.windows.access();
    }

    fn path(&mut self, definitions: &Definitions, access: &AccessEvent) -> usize {
        if let Target::Port { .. } = access.target {
            return PORT;
        }
        if let Some(Some(path)) = self.walks.get(access.walk as usize) {
            return usize::from(*path);
        }
        let Some(walk) = view::walk(definitions, access.walk) else { return NO_WALK };
        let path = path_index(walk.path, walk.announced);
        *slot(&mut self.walks, access.walk as usize) = Some(path);
        usize::from(path)
    }

    /// What it all comes to.
    pub fn finish(mut self, info: &TraceInfo<'_>) -> Stats {
        let definitions = info.definitions;
        // Functions that were never accessed are to be covered as well.
        self.coverage.merge(&Coverage::new(definitions));

        let mut stats = Stats {
            traces: vec![info.into()],
            records: self.records,
            instructions: self.instructions,
            ..Stats::default()
        };
        for (state, vcpu) in self.vcpus.into_iter().zip(std::iter::once(None).chain((0..=u8::MAX).map(Some)))
        {
            let runs = state.handlers.into_iter().filter_map(|handler| handler.run).chain(state.run);
            runs.for_each(|run| self.polling.ended(&run, LoopEnd::Trace));
            if state.accesses.count() > 0 {
                stats.accesses += state.accesses.count();
                *stats.vcpus.row(Vcpu { vcpu }) = state.accesses;
            }
        }
        for (row, accesses) in self.paths.into_iter().enumerate() {
            if accesses.count() > 0 {
                *stats.paths.row(PathName { path: path_name(row) }) = accesses;
            }
        }
        let device = |id| match definitions.function(id) {
            Some(function) => Device { bdf: function.bdf.to_string(), device: function.name.clone() },
            None => Device { bdf: String::new(), device: String::new() },
        };
        for (function, busy) in self.busy {
            stats.busy.row(device(function)).merge(&busy);
        }
        stats.interrupts = self.interrupts.finish(device);
        stats.windows = self.windows.finish();
        stats.polling = self.polling.finish(|(run, end)| {
            let (row, offset) = self.places.of_access(definitions, &mut self.coverage, &run.access);
            let place = self.places.rows[row].key.clone();
            let (host_ns, device_ns) = run.took();
            Loop {
                trace: 0,
                vcpu: run.vcpu,
                code: self.sites.label(run.site),
                reads: run.reads,
                first: run.first,
                last: run.last,
                host_ns,
                device_ns,
                value: run.access.value,
                meaning: meaning(definitions, &run.access, offset),
                end,
                place,
            }
        });
        stats.functions = self.sites.finish();
        stats.processes = self.processes.finish();
        for row in self.places.rows {
            if row.accesses.count() > 0 {
                stats.registers.row(row.key).merge(&row.accesses);
            }
        }
        stats.coverage = self.coverage;
        stats
    }
}

fn vcpu(states: &mut Vec<VcpuState>, vcpu: Option<u8>) -> &mut VcpuState {
    slot(states, index(vcpu))
}

/// A vCPU's place in a list of them, none of them first.
fn index(vcpu: Option<u8>) -> usize {
    vcpu.map_or(0, |vcpu| usize::from(vcpu) + 1)
}

/// What the value that was read means by the register's fields.
fn meaning(definitions: &Definitions, access: &AccessEvent, offset: u64) -> String {
    let register = || {
        let route = definitions.route(access.route)?;
        let maps = &definitions.function_of(route)?.register_maps;
        let register = maps.iter().find(|map| map.region == route.region)?.at(offset)?;
        (register.offset == offset && register.size <= access.size.into()).then_some(register)
    };
    register().map(|register| describe_value(register, access.value)).unwrap_or_default()
}
