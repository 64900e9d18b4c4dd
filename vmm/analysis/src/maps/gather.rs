//! Gathers the model from records.

use std::collections::BTreeMap;

use barscope_trace::event::{Counted, EventKind, RouteChange};

use super::entries::{Entered, Processes, Sections};
use super::{
    Arc, Bdf, HashMap, Id, KernelEntries, Mapping, MappingUse, Maps, Path, Region, Resource, Served, Span,
    Types,
};
use crate::view::{AccessView, BusAddress, View};

/// Where a mapping is listed: a resource, or `None` for elsewhere, and its place there.
type At = (Option<usize>, usize);

/// What is needed to find things quickly while records come.
#[derive(Default)]
pub(super) struct Index {
    /// Resources by what they are.
    known: HashMap<(Bdf, Region, u64), usize>,
    /// Where regions are decoded now.
    current: HashMap<(Bdf, Region), usize>,
    /// Where mappings are listed.
    rows: HashMap<Key, Vec<At>>,
    /// Mappings that exist now, and the records that made them.
    alive: Vec<(Id, Arc<Mapping>, u64)>,
    /// Mappings that lead to nothing so far.
    unplaced: BTreeMap<Id, MappingUse>,
    /// What vCPUs did since they last counted entries into the kernel.
    sections: Sections<At>,
    /// What processes did, each of whose entries is recorded.
    processes: Processes<At>,
    /// Where counts are listed.
    counts: HashMap<Counts, usize>,
}

/// What makes counts the same: scenario, window, address space and pid, whether they are told at a mapping.
type Counts = (Option<Arc<str>>, Option<Arc<str>>, Option<(u64, Option<u64>)>, bool);

/// The most windows that are told apart; what is counted in more of them is in none.
const MOST: usize = 4096;

/// What makes a mapping one mapping.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Announced(Id),
    Inferred { path: Path, page: u64, physical: u64, address_space: Option<u64> },
}

impl Maps {
    /// Takes note of the record that comes after those given before.
    pub fn add(&mut self, view: &View) {
        self.index.sections.add(view);
        match (view.kind, view.function(), view.route()) {
            (EventKind::Route { change, cause, .. }, Some(function), Some(route)) => {
                let index = self.resource(function, route);
                let place = (function.bdf, route.region);
                let resource = &mut self.resources[index];
                match change {
                    RouteChange::Added => {
                        resource.decoded.push(Span { from: view.seq, cause, until: None });
                        self.index.current.insert(place, index);
                        self.lead_to(index);
                    }
                    RouteChange::Removed => {
                        if let Some(last) = resource.decoded.last_mut() {
                            last.until.get_or_insert(view.seq);
                        }
                        self.index.current.remove(&place);
                    }
                    RouteChange::Refused => resource.refused.push(view.seq),
                }
            }
            (EventKind::Backing { backing, .. }, Some(function), Some(route)) => {
                let index = self.resource(function, route);
                self.resources[index].served.push(Served { since: view.seq, backing });
            }
            (EventKind::Map { mapping: id }, ..) => {
                if let Some(mapping) = &view.mapping {
                    self.map(id, mapping, view.seq);
                }
            }
            (EventKind::Unmap { mapping: id }, ..) => self.unmap(id, view.seq),
            (EventKind::Access(_), ..) => {
                if let Some(access) = view.access() {
                    let at = self.access(access);
                    self.index.sections.access(access, at);
                    if let Some(at) = at {
                        self.entered(access, at);
                    }
                }
            }
            (EventKind::Count { what: Counted::KernelEntries, value, .. }, ..) => match view.process() {
                Some(process) => self.index.processes.entry(process.pid, view.seq),
                None => self.count(view, value),
            },
            (EventKind::Count { what, address, .. }, ..) => self.fault(address, what == Counted::FaultFatal),
            _ => (),
        }
    }

    /// The index of the resource that a route is.
    fn resource(
        &mut self,
        function: &barscope_trace::definition::Function,
        route: &barscope_trace::definition::Route,
    ) -> usize {
        let next = self.resources.len();
        let index = *self.index.known.entry((function.bdf, route.region, route.base)).or_insert(next);
        if index == next {
            self.resources.push(Resource::new(function, route));
        }
        index
    }

    /// Mappings that existed before their resource did lead to it from now on.
    fn lead_to(&mut self, index: usize) {
        for (id, mapping, made) in self.index.alive.clone() {
            if self.resources[index].overlaps(mapping.physical_address, mapping.length) {
                let row = || MappingUse::announced(id, &mapping, Some(made));
                self.place(Key::Announced(id), Some(index), row);
            }
        }
    }

    fn map(&mut self, id: Id, mapping: &Arc<Mapping>, seq: u64) {
        self.index.alive.push((id, Arc::clone(mapping), seq));
        let mut found: Vec<_> = self.index.current.values().copied().collect();
        found.retain(|&at| self.resources[at].overlaps(mapping.physical_address, mapping.length));
        found.sort_unstable();
        let row = || MappingUse::announced(id, mapping, Some(seq));
        if found.is_empty() {
            self.index.unplaced.insert(id, row());
        }
        for index in found {
            self.place(Key::Announced(id), Some(index), row);
        }
    }

    fn unmap(&mut self, id: Id, seq: u64) {
        self.index.alive.retain(|(known, ..)| *known != id);
        if let Some(row) = self.index.unplaced.get_mut(&id) {
            row.undone = Some(seq);
        }
        for at in self.index.rows.get(&Key::Announced(id)).cloned().unwrap_or_default() {
            self.row_mut(at).undone = Some(seq);
        }
    }

    /// Counts an access; the place of the mapping that it went through.
    fn access(&mut self, access: AccessView<'_>) -> Option<At> {
        let (place, seq) = (access.place(), access.view.seq);
        let reached = place.and_then(|place| self.index.current.get(&(place.bdf?, place.region)).copied());
        let (Some(walk), BusAddress::Memory(gpa)) = (access.walk(), access.address()) else {
            if let (Some(index), BusAddress::Port(_)) = (reached, access.address()) {
                self.resources[index].ports.count(seq, true);
            }
            return None;
        };
        // A page of the upper half is the kernel's when the kernel uses it, whatever its entries allow.
        let user = walk.in_program() || (walk.user && access.cpl == 3);
        let address_space = user.then_some(walk.cr3);
        let physical = gpa & !walk.page_size.wrapping_sub(1);
        let key = match walk.mapping.filter(|_| access.mapping().is_some()) {
            Some(id) => Key::Announced(id),
            None => Key::Inferred { path: walk.path, page: walk.page, physical, address_space },
        };
        // What nothing decodes any more belongs to what was there; configuration space never was a BAR.
        let target = reached.or_else(|| {
            if access.is_configuration() {
                return None;
            }
            let rows = self.index.rows.get(&key).map_or(&[][..], Vec::as_slice);
            let was_there = |at: &usize| {
                let resource = &self.resources[*at];
                resource.contains(gpa) && !resource.decoded.is_empty()
            };
            let led_there = rows.iter().rev().filter_map(|(resource, _)| *resource).find(was_there);
            led_there.or_else(|| (0..self.resources.len()).rev().find(was_there))
        });
        let at = self.place(key, target, || match (access.mapping(), key) {
            (Some(mapping), Key::Announced(id)) => {
                let known = MappingUse::announced(id, mapping, None);
                // Nobody told where it leads, but this page shows it.
                let first = physical.wrapping_sub(walk.page.wrapping_sub(mapping.virtual_address));
                MappingUse {
                    physical_address: if mapping.announced { known.physical_address } else { first },
                    ..known
                }
            }
            _ => MappingUse {
                path: walk.path,
                user,
                address_space,
                virtual_address: walk.page,
                physical_address: physical,
                length: walk.page_size,
                who: whose(access),
                ..MappingUse::unknown()
            },
        });
        let row = self.row_mut(at);
        row.used.count(seq, place.is_some());
        if let Some(memory_type) = access.memory_type() {
            let types = Types { pat: access.pat(), memory_type };
            if !row.memory_types.contains(&types) {
                row.memory_types.push(types);
            }
        }
        Some(at)
    }

    /// Takes note of entries into the kernel that were counted.
    fn count(&mut self, view: &View, value: u64) {
        let section = self.index.sections.count(view);
        // What was undone since may have been another program's, that is gone.
        let gone = section.last_mapping().is_some_and(|at| self.row(at).undone.is_some());
        let at = section.mapping().filter(|_| !gone);
        if let Some(at) = at {
            let entries = self.row(at).kernel_entries.unwrap_or(0).saturating_add(value);
            self.row_mut(at).kernel_entries = Some(entries);
        }
        let scenario = view.scenario.clone().filter(|_| !view.uncertain.scenario);
        let program = section.program().filter(|_| !gone).cloned();
        let who = program.as_ref().map(|(space, process)| (*space, process.as_ref().map(|known| known.pid)));
        let full = self.index.counts.len() >= MOST;
        let mut key = (scenario, section.name.clone(), who, at.is_some());
        if full && !self.index.counts.contains_key(&key) {
            key = (None, None, None, false);
        }
        let next = self.kernel_entries.len();
        let index = *self.index.counts.entry(key.clone()).or_insert(next);
        if index == next {
            let (scenario, window, who, at_mapping) = key;
            let name = |name: Option<Arc<str>>| name.map(|name| name.to_string());
            let process = program.filter(|_| who.is_some()).and_then(|(_, process)| process);
            self.kernel_entries.push(KernelEntries {
                scenario: name(scenario),
                window: name(window),
                address_space: who.map(|(space, _)| space),
                process: process.as_deref().cloned(),
                first: view.seq,
                at_mapping,
                ..KernelEntries::default()
            });
        }
        let counted = &mut self.kernel_entries[index];
        counted.entries = counted.entries.saturating_add(value);
        counted.counts += 1;
        counted.last = view.seq;
    }

    /// Counts entries of a process between its accesses through one mapping.
    fn entered(&mut self, access: AccessView<'_>, at: At) {
        let Some(Entered { entries, .. }) = self.index.processes.access(access, at) else { return };
        let row = self.row_mut(at);
        row.kernel_entries = Some(row.kernel_entries.unwrap_or(0).saturating_add(entries));
    }

    /// The mapping that exists now and holds virtual `address`, and the bus address there; `None` also if
    /// several address spaces have one.
    pub(crate) fn alive_at(&self, address: u64) -> Option<(Id, u64)> {
        let mut found = self.index.alive.iter().rev().filter_map(|(id, mapping, _)| {
            let within = address.checked_sub(mapping.virtual_address)?;
            let physical = mapping.physical_address.checked_add(within)?;
            (within < mapping.length).then_some((*id, physical, mapping.address_space))
        });
        let (id, physical, space) = found.next()?;
        found.all(|(.., other)| other == space).then_some((id, physical))
    }

    fn fault(&mut self, address: u64, fatal: bool) {
        let Some((id, physical)) = self.alive_at(address) else { return };
        let rows = self.index.rows.get(&Key::Announced(id)).map_or(&[][..], Vec::as_slice);
        let leads_there =
            |(resource, _): &&At| resource.is_some_and(|at| self.resources[at].contains(physical));
        if let Some(at) = rows.iter().find(leads_there).or(rows.first()).copied() {
            let row = self.row_mut(at);
            if fatal { row.faults_fatal += 1 } else { row.faults_resolved += 1 }
        }
    }

    /// Where the mapping is listed under `resource`; it is, from now on.
    fn place(&mut self, key: Key, resource: Option<usize>, make: impl FnOnce() -> MappingUse) -> At {
        let rows = self.index.rows.entry(key).or_default();
        if let Some(at) = rows.iter().find(|(known, _)| *known == resource) {
            return *at;
        }
        let list = match resource {
            Some(index) => &mut self.resources[index].mappings,
            None => &mut self.elsewhere,
        };
        let at = (resource, list.len());
        rows.push(at);
        list.push(match key {
            Key::Announced(id) => self.index.unplaced.remove(&id).unwrap_or_else(|| {
                let made = self.index.alive.iter().rev().find(|(known, ..)| *known == id);
                let row = make();
                MappingUse { made: row.made.or(made.map(|(.., seq)| *seq)), ..row }
            }),
            Key::Inferred { .. } => make(),
        });
        at
    }

    /// Lists what led to nothing to the end.
    pub fn finish(&mut self) {
        self.elsewhere.extend(std::mem::take(&mut self.index.unplaced).into_values());
    }

    fn row(&self, (resource, row): At) -> &MappingUse {
        match resource {
            Some(index) => &self.resources[index].mappings[row],
            None => &self.elsewhere[row],
        }
    }

    fn row_mut(&mut self, (resource, row): At) -> &mut MappingUse {
        match resource {
            Some(index) => &mut self.resources[index].mappings[row],
            None => &mut self.elsewhere[row],
        }
    }
}

/// The process that a program's access was made for, if it is known.
fn whose(access: AccessView<'_>) -> String {
    match access.process() {
        Some(process) if access.cpl == 3 => format!("{} {}", process.name, process.pid),
        _ => String::new(),
    }
}
