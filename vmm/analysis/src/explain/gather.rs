//! Picks what concerns one record out of a trace, record by record, in bounded memory.

use std::sync::Arc;

use barscope_trace::Definitions;
use barscope_trace::definition::{Route, Walk};
use barscope_trace::event::{Counted, Event, EventKind, Id, RouteChange, Target};

use super::{Explanation, Fault, Layers, Mapped, PageTable, RegisterUse, RouteUse, TypeReason, Walked};
use crate::Completeness;
use crate::maps::{Maps, Processes, Sections};
use crate::symbols::Symbols;
use crate::view::{AccessView, Place, View};

/// So many consequences are kept.
const CONSEQUENCES: usize = 64;
/// So many parts of an instruction are kept.
const PARTS: usize = 8;

/// What is gathered about a record.
pub(super) struct Gather {
    event: Event,
    /// The access that all of this comes from: the record itself, or what led to it.
    root: u64,
    record: Option<View>,
    cause: Option<View>,
    layers: Option<Layers>,
    walked: Option<Walked>,
    /// Where the record's access went.
    place: Option<Place>,
    walk: Option<Arc<Walk>>,
    mapping: Option<Id>,
    route: Option<(Id, Route)>,
    /// Since when the route leads there, and by what.
    routed: Option<(u64, u64)>,
    mapped: Option<u64>,
    unmapped: Option<u64>,
    fault: Option<Fault>,
    faulted: Option<String>,
    parts: Vec<View>,
    more_parts: u64,
    followed: Vec<View>,
    not_shown: u64,
    /// All mappings, if the record is about one.
    maps: Option<Maps>,
    sections: Sections<()>,
    processes: Processes<()>,
    symbols: Symbols,
}

impl Gather {
    pub(super) fn new(definitions: &Definitions, event: &Event, root: Option<u64>) -> Self {
        let access = match &event.kind {
            EventKind::Access(access) => Some(access),
            _ => None,
        };
        let walk = access.and_then(|access| definitions.walk(access.walk).cloned().map(Arc::new));
        let mapping = match event.kind {
            EventKind::Map { mapping } | EventKind::Unmap { mapping } => Some(mapping),
            _ => walk.as_ref().and_then(|walk| walk.mapping),
        };
        Self {
            event: *event,
            root: root.unwrap_or(event.seq),
            record: None,
            cause: None,
            layers: None,
            walked: None,
            place: None,
            walk,
            mapping,
            route: access.and_then(|access| Some((access.route, definitions.route(access.route)?.clone()))),
            routed: None,
            mapped: None,
            unmapped: None,
            fault: None,
            faulted: None,
            parts: Vec::new(),
            more_parts: 0,
            followed: Vec::new(),
            not_shown: 0,
            maps: match event.kind {
                EventKind::Map { .. } | EventKind::Unmap { .. } => Some(Maps::default()),
                EventKind::Count { address, .. } if address != 0 => Some(Maps::default()),
                _ => None,
            },
            sections: Sections::default(),
            processes: Processes::default(),
            symbols: Symbols::default(),
        }
    }

    /// Takes the next record of the trace.
    pub(super) fn take(&mut self, definitions: &Definitions, event: &Event, view: &View) {
        if let Some(maps) = &mut self.maps {
            maps.add(view);
        }
        if view.seq < self.event.seq {
            self.before(definitions, event, view);
        } else if view.seq == self.event.seq {
            self.here(definitions, view);
        } else {
            self.after(view);
        }
        if view.seq == self.root && self.root != self.event.seq {
            self.cause = Some(view.clone());
        }
        self.sections.add(view);
        match (view.access(), view.kind) {
            (Some(access), _) => {
                self.sections.access(access, Some(()));
                let entered = self.processes.access(access, ());
                if let (true, Some(layers)) = (view.seq == self.event.seq, &mut self.layers) {
                    layers.entered = entered;
                }
            }
            (None, EventKind::Count { what: Counted::KernelEntries, .. }) if view.process().is_some() => {
                let pid = view.process().map_or(0, |process| process.pid);
                self.processes.entry(pid, view.seq);
            }
            (None, EventKind::Count { what: Counted::KernelEntries, .. }) => self.counted(view),
            _ => (),
        }
        self.part(event, view);
        self.consequence(view);
    }

    /// Keeps the count of kernel entries if the record's program was counted when it made the access.
    fn counted(&mut self, view: &View) {
        let section = self.sections.count(view);
        let (Some(layers), Some(record)) = (&mut self.layers, &self.record) else { return };
        let program = record.access().filter(|access| access.cpl == 3).and_then(|access| access.walk());
        let covered = program.is_some_and(|walk| section.covers(record.seq, walk.cr3));
        if covered && record.vcpu == view.vcpu && layers.kernel_entries.is_none() {
            layers.kernel_entries = Some(view.clone());
        }
    }

    fn before(&mut self, definitions: &Definitions, event: &Event, view: &View) {
        match event.kind {
            EventKind::Map { mapping } if Some(mapping) == self.mapping => {
                self.mapped = Some(view.seq);
                self.fault = None;
            }
            EventKind::Route { route, change, cause }
                if self.route.as_ref().is_some_and(|(known, _)| *known == route) =>
            {
                self.routed = (change == RouteChange::Added).then_some((view.seq, cause));
            }
            EventKind::Count { what: Counted::FaultResolved, address, rip, .. } => {
                let Some(walk) = &self.walk else { return };
                if address.checked_sub(walk.page).is_some_and(|within| within < walk.page_size) {
                    let code = self.symbols.address(definitions, rip, walk.cr3);
                    let code = code.map(|symbol| symbol.to_string());
                    self.fault = Some(Fault { record: view.clone(), code });
                }
            }
            _ => (),
        }
    }

    fn here(&mut self, definitions: &Definitions, view: &View) {
        self.record = Some(view.clone());
        if let EventKind::Map { .. } = view.kind {
            self.mapped = Some(view.seq);
        }
        if let EventKind::Unmap { .. } = view.kind {
            self.unmapped = Some(view.seq);
        }
        if let (EventKind::Count { address, rip, .. }, Some(maps)) = (view.kind, &self.maps) {
            self.mapping = maps.alive_at(address).map(|(id, _)| id);
            let mapping = self.mapping.and_then(|id| definitions.mapping(id));
            let space = mapping.and_then(|mapping| mapping.address_space).unwrap_or(0);
            let code = self.symbols.address(definitions, rip, space);
            self.faulted = code.map(|symbol| symbol.to_string());
        }
        if let EventKind::PageWalk { .. } = view.kind {
            self.walked = Some(Walked {
                page_table: view.walk().map(PageTable::new),
                memory_type: TypeReason::new(view),
            });
        }
        if let Some(access) = view.access() {
            self.place = access.place().cloned();
            self.layers = Some(Layers::new(access));
        }
    }

    fn after(&mut self, view: &View) {
        match (view.kind, view.place()) {
            (EventKind::Unmap { mapping }, _) if Some(mapping) == self.mapping => {
                self.unmapped.get_or_insert(view.seq);
            }
            (EventKind::Change { old, new, cause, .. }, Some(place)) if cause == self.event.seq => {
                let register = self.layers.as_mut().and_then(|layers| layers.register.as_mut());
                if let (Some(register), Some(accessed)) = (register, &self.place) {
                    register.changed(accessed, place, old, new);
                }
            }
            _ => (),
        }
    }

    /// Keeps the record if it belongs to the same executed instruction.
    fn part(&mut self, event: &Event, view: &View) {
        let (EventKind::Access(own), EventKind::Access(other)) = (&self.event.kind, &event.kind) else {
            return;
        };
        let same = own.instance == other.instance && self.event.vcpu == event.vcpu && own.instance != 0;
        if !same || event.seq == self.event.seq || own.instruction != other.instruction {
            return;
        }
        if self.parts.len() < PARTS {
            self.parts.push(view.clone());
        } else {
            self.more_parts += 1;
        }
    }

    /// Keeps the record if it came of the root, or of a handler's access that did.
    fn consequence(&mut self, view: &View) {
        let Some(cause) = view.cause() else { return };
        let handled = |known: &View| known.seq == cause && known.access().is_some();
        let follows = cause == self.root || (view.is_effect() && self.followed.iter().any(handled));
        if !follows {
            return;
        }
        if self.followed.len() < CONSEQUENCES || view.seq == self.event.seq {
            self.followed.push(view.clone());
        } else {
            self.not_shown += 1;
        }
    }

    /// What was gathered; `None` if the record never came.
    pub(super) fn finish(self, trace: &Completeness) -> Option<Explanation> {
        let access = self.layers.map(|layers| Layers {
            parts: self.parts,
            parts_not_shown: self.more_parts,
            mapped: self.mapped,
            unmapped: self.unmapped,
            fault: self.fault,
            route: self.route.map(|(_, route)| RouteUse {
                first: route.base,
                last: route.base.saturating_add(route.size.saturating_sub(1)),
                region: route.region,
                since: self.routed.map(|(seq, _)| seq),
                cause: self.routed.map(|(_, cause)| cause).filter(|cause| *cause != 0),
            }),
            ..layers
        });
        let mut mappings = Vec::new();
        if let (Some(mut maps), Some(id)) = (self.maps, self.mapping) {
            maps.finish();
            mappings.extend(maps.of_mapping(id).map(|(resource, mapping)| {
                Mapped {
                    to: resource
                        .map(|resource| format!("{} {} {}", resource.bdf, resource.device, resource.region)),
                    mapping: mapping.clone(),
                }
            }));
        }
        Some(Explanation {
            record: self.record?,
            cause: self.cause,
            walked: self.walked,
            access,
            mappings,
            faulted: self.faulted,
            followed: self.followed,
            not_shown: self.not_shown,
            trace: trace.clone(),
        })
    }
}

impl Layers {
    pub(super) fn new(access: AccessView<'_>) -> Self {
        let memory = matches!(access.target, Target::Memory(_));
        Self {
            parts: Vec::new(),
            parts_not_shown: 0,
            mapped: None,
            unmapped: None,
            fault: None,
            page_table: access.walk().map(PageTable::new),
            memory_type: TypeReason::new(access.view),
            exit: match (memory, access.coalesced) {
                _ if access.view.vcpu.is_none() => "none",
                (true, false) => "KVM_EXIT_MMIO",
                (true, true) => "KVM_CAP_COALESCED_MMIO",
                (false, false) => "KVM_EXIT_IO",
                (false, true) => "KVM_CAP_COALESCED_PIO",
            },
            route: None,
            register: RegisterUse::new(access),
            kernel_entries: None,
            entered: None,
        }
    }
}
