//! The picture of who mapped what: BAR value, resource, kernel virtual and user virtual addresses.

use std::sync::Arc;

use device_model::Bdf;

use super::access::wrap;
use crate::definition::{Function, Mapping, MemoryType, Path, Route};
use crate::event::{Counted, Id, RouteChange};
use crate::print::words;
use crate::view::{AccessView, BusAddress, View, What};

/// Gathers mappings and what they were used for.
#[derive(Default)]
pub(super) struct Mappings {
    /// BARs at the addresses that they had.
    resources: Vec<Resource>,
    rows: Vec<Row>,
    /// Mappings that exist now.
    alive: Vec<(Id, Arc<Mapping>)>,
    /// The row that a program used last.
    last_user: Option<usize>,
}

struct Resource {
    function: Arc<Function>,
    route: Arc<Route>,
}

/// Mappings alike: same place, same way, same virtual address.
struct Row {
    key: Key,
    /// Who made them, without repetitions.
    who: Vec<String>,
    made: u64,
    on_fault: bool,
    memory_type: Option<MemoryType>,
    accesses: u64,
    faults: u64,
    kernel_entries: Option<u64>,
}

#[derive(Clone, PartialEq, Eq)]
struct Key {
    /// Bus address of its first byte.
    physical: u64,
    path: Path,
    virtual_address: u64,
    user: bool,
    announced: bool,
}

impl Key {
    fn announced(mapping: &Mapping) -> Self {
        Self {
            physical: mapping.physical_address,
            path: mapping.path,
            virtual_address: mapping.virtual_address,
            user: mapping.address_space.is_some(),
            announced: true,
        }
    }
}

impl Mappings {
    /// Takes note of an event.
    pub(super) fn add(&mut self, view: &View) {
        match &view.what {
            What::Route {
                function: Some(function), route: Some(route), change: RouteChange::Added, ..
            } => {
                let known = |resource: &Resource| {
                    resource.function.bdf == function.bdf
                        && resource.route.region == route.region
                        && resource.route.base == route.base
                };
                if !self.resources.iter().any(known) {
                    self.resources
                        .push(Resource { function: Arc::clone(function), route: Arc::clone(route) });
                }
            }
            What::Map { id, mapping: Some(mapping) } => self.map(*id, mapping),
            What::Unmap { id, .. } => self.alive.retain(|(known, _)| known != id),
            What::Access(access) => self.access(access),
            What::Count { what: Counted::KernelEntries, value, .. } => {
                if let Some(row) = self.last_user.and_then(|index| self.rows.get_mut(index)) {
                    row.kernel_entries = Some(row.kernel_entries.unwrap_or(0) + value);
                }
            }
            What::Count { address, .. } => self.fault(*address),
            _ => (),
        }
    }

    fn map(&mut self, id: Id, mapping: &Arc<Mapping>) {
        let index = self.row(Key::announced(mapping));
        self.alive.push((id, Arc::clone(mapping)));
        let row = &mut self.rows[index];
        row.made += 1;
        row.on_fault |= mapping.on_fault;
        if !row.who.contains(&mapping.who) {
            row.who.push(mapping.who.clone());
        }
    }

    fn access(&mut self, access: &AccessView) {
        let (Some(walk), BusAddress::Memory(gpa)) = (&access.walk, access.address) else { return };
        if access.is_configuration() {
            return;
        }
        let index = self.row(match &access.mapping {
            Some(mapping) => Key::announced(mapping),
            None => Key {
                physical: gpa & !walk.page_size.wrapping_sub(1),
                path: walk.path,
                virtual_address: walk.page,
                user: walk.user,
                announced: false,
            },
        });
        if access.cpl == 3 {
            self.last_user = Some(index);
        }
        let row = &mut self.rows[index];
        row.accesses += 1;
        row.memory_type = Some(walk.memory_type);
    }

    fn fault(&mut self, address: u64) {
        let holds = |mapping: &Mapping| {
            address.checked_sub(mapping.virtual_address).is_some_and(|within| within < mapping.length)
        };
        let found = self.alive.iter().rev().find(|(_, mapping)| holds(mapping));
        if let Some(key) = found.map(|(_, mapping)| Key::announced(mapping)) {
            let index = self.row(key);
            self.rows[index].faults += 1;
        }
    }

    /// The index of the row for `key`.
    fn row(&mut self, key: Key) -> usize {
        if let Some(index) = self.rows.iter().position(|row| row.key == key) {
            return index;
        }
        self.rows.push(Row {
            key,
            who: Vec::new(),
            made: 0,
            on_fault: false,
            memory_type: None,
            accesses: 0,
            faults: 0,
            kernel_entries: None,
        });
        self.rows.len() - 1
    }

    /// The picture: a block for each BAR that was mapped, a row for each kind of mapping.
    pub(super) fn lines(&self, width: usize) -> Vec<String> {
        let mut lines = Vec::new();
        for Resource { function, route } in &self.resources {
            let inside = |row: &&Row| {
                row.key.physical.checked_sub(route.base).is_some_and(|within| within < route.size)
            };
            let rows = self.rows.iter().filter(inside).collect::<Vec<_>>();
            if rows.is_empty() {
                continue;
            }
            let Function { bdf, name, .. } = &**function;
            lines.push(resource_line(*bdf, name, route));
            for row in rows {
                let head = format!("    {:<6}  {:<8}  ", row.owner(), row.path());
                lines.extend(wrap(&head, 22, &row.items(), width));
            }
        }
        lines
    }
}

fn resource_line(bdf: Bdf, name: &str, route: &Route) -> String {
    let last = route.base.saturating_add(route.size.saturating_sub(1));
    format!(
        "  {bdf} {name} {} = {:#x} -> {:x}-{last:x}, {}",
        route.region,
        route.base,
        route.base,
        words::size(route.size)
    )
}

impl Row {
    fn owner(&self) -> &'static str {
        if self.key.user { "user" } else { "kernel" }
    }

    fn path(&self) -> String {
        format!("{}{}", self.key.path, if self.key.announced { "" } else { "?" })
    }

    fn items(&self) -> Vec<String> {
        let memory_type = self.memory_type.map(|name| format!("  {name}")).unwrap_or_default();
        let mut items = vec![format!("{:016x}{memory_type}", self.key.virtual_address)];
        if let Some((first, others)) = self.who.split_first() {
            let others =
                if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
            let times = if self.made > self.who.len() as u64 {
                format!(" {} times", self.made)
            } else {
                String::new()
            };
            items.push(format!("by {first}{others}{times}"));
        }
        if self.on_fault {
            items.push("on first touch".to_owned());
        }
        items.push(words::counted(self.accesses, "access", "accesses"));
        if self.faults > 0 {
            items.push(words::counted(self.faults, "fault", "faults"));
        }
        if let Some(entries) = self.kernel_entries {
            items.push(words::counted(entries, "kernel entry", "kernel entries"));
        }
        items
    }
}
