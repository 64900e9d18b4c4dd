//! The picture at the end of a run: a block for each BAR that was mapped, a row for mappings alike.

use std::collections::HashMap;

use barscope_trace::units;

use super::{KernelEntries, MappingUse, Maps, Path, Process, Resource};
use crate::table::wrap;
use crate::words;

/// So many counts of kernel entries are listed.
const COUNTS: usize = 8;

/// Mappings alike: same place, same way, same virtual address.
type Likeness = (u64, Path, u64, bool, bool);

impl Maps {
    /// The picture's lines.
    pub(crate) fn picture(&self, width: usize) -> Vec<String> {
        let mut lines = Vec::new();
        for resource in self.resources.iter().filter(|resource| !resource.mappings.is_empty()) {
            lines.push(format!("  {}", resource.title()));
            for alike in groups(&resource.mappings, likeness) {
                let head = format!("    {:<6}  {:<8}  ", alike[0].owner(), alike[0].path_name());
                lines.extend(wrap(&head, 22, &items(&alike), width));
            }
        }
        let counted: Vec<_> = self.counted_elsewhere().collect();
        for counted in counted.iter().take(COUNTS) {
            lines.extend(wrap("  ", 4, &counted.words(), width));
        }
        if let Some(more) = counted.len().checked_sub(COUNTS).filter(|more| *more > 0) {
            lines.push(format!("  and {more} more counts of kernel entries"));
        }
        lines
    }

    /// Entries into the kernel that aren't told at a mapping.
    pub(super) fn counted_elsewhere(&self) -> impl Iterator<Item = &KernelEntries> {
        self.kernel_entries.iter().filter(|counted| !counted.at_mapping)
    }
}

impl KernelEntries {
    /// How many, where, by whom, in which records.
    pub(super) fn words(&self) -> Vec<String> {
        let entries = words::counted(self.entries, "kernel entry", "kernel entries");
        let mut words = vec![match &self.scenario {
            Some(scenario) => format!("{entries} in scenario {scenario}"),
            None => entries,
        }];
        words.extend(self.window.clone());
        if let Some(Process { pid, name, .. }) = &self.process {
            words.push(format!("by {name} {pid}"));
        }
        words.push(match self.counts {
            1 => format!("record {}", self.first),
            counts => format!("{counts} counts in records {} to {}", self.first, self.last),
        });
        words
    }
}

fn likeness(row: &MappingUse) -> Likeness {
    (row.physical_address, row.path, row.virtual_address, row.user, row.announced)
}

/// `rows` that have the same key together, in the order of the first of each.
pub(super) fn groups<'a, K: Eq + std::hash::Hash>(
    rows: &'a [MappingUse],
    key: impl Fn(&'a MappingUse) -> K,
) -> Vec<Vec<&'a MappingUse>> {
    let mut groups: Vec<Vec<&MappingUse>> = Vec::new();
    let mut known = HashMap::new();
    for row in rows {
        let next = groups.len();
        let index = *known.entry(key(row)).or_insert(next);
        if index == next {
            groups.push(Vec::new());
        }
        groups[index].push(row);
    }
    groups
}

impl Resource {
    /// BAR register, bus addresses, size.
    pub(super) fn title(&self) -> String {
        let Self { bdf, device, region, register, address, size, .. } = self;
        let last = address.saturating_add(size.saturating_sub(1));
        format!("{bdf} {device} {region} = {register:#x} -> {address:x}-{last:x}, {}", units::size(*size))
    }
}

fn items(alike: &[&MappingUse]) -> Vec<String> {
    let sum = |count: fn(&MappingUse) -> u64| alike.iter().map(|row| count(row)).sum::<u64>();
    let types = alike.iter().rev().find_map(|row| row.types().pop());
    let types = types.map(|types| format!("  {types}")).unwrap_or_default();
    let mut items = vec![format!("{:016x}{types}", alike[0].virtual_address)];
    let mut who: Vec<&str> = Vec::new();
    let told = |row: &&&MappingUse| row.made.is_some() || (!row.announced && !row.who.is_empty());
    for row in alike.iter().filter(told) {
        if !who.contains(&row.who.as_str()) {
            who.push(&row.who);
        }
    }
    if let Some((first, others)) = who.split_first() {
        let others = if others.is_empty() { String::new() } else { format!(" and {} more", others.len()) };
        let made = alike.iter().filter(told).count();
        let times = if made > who.len() { format!(" {made} times") } else { String::new() };
        items.push(format!("by {first}{others}{times}"));
    }
    if alike.iter().any(|row| row.on_fault) {
        items.push("on first touch".to_owned());
    }
    items.push(words::counted(sum(|row| row.used.accesses), "access", "accesses"));
    let faults = sum(|row| row.faults_resolved + row.faults_fatal);
    if faults > 0 {
        items.push(words::counted(faults, "fault", "faults"));
    }
    if alike.iter().any(|row| row.kernel_entries.is_some()) {
        let entries = sum(|row| row.kernel_entries.unwrap_or(0));
        items.push(words::counted(entries, "kernel entry", "kernel entries"));
    }
    items
}
