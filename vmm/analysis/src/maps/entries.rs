//! Entries into the kernel that the guest counted: what they were counted around.
//!
//! A count says how many, and comes from a vCPU. It is about what that vCPU did between two marks,
//! `NAME begin` and `NAME end`; without those, since the scenario, the last mark or the last count. Whose
//! entries they are shows only if one program accessed devices meanwhile, and not the kernel: system calls
//! that reach the device have the kernel access it.
//!
//! Where each entry has a record of its own, with its process, it belongs to the mapping that the process used before
//! and after it.

use std::collections::HashMap;
use std::sync::Arc;

use barscope_trace::definition::Process;
use barscope_trace::event::EventKind;
use serde::Serialize;

use crate::view::{AccessView, View};

/// How marks around what is counted end, after its name and, with some guests, a colon.
const BEGIN: &str = " begin";
const END: &str = " end";

/// The name in a mark that ends so.
fn name<'a>(mark: &'a str, ending: &str) -> Option<&'a str> {
    let name = mark.strip_suffix(ending)?;
    Some(name.strip_suffix(':').unwrap_or(name))
}

/// What vCPUs did since they last counted; `T` tells mappings apart.
pub(crate) struct Sections<T> {
    /// By the vCPU's index plus one; 0 for none.
    list: Vec<Section<T>>,
}

/// What a count is about.
#[derive(Clone)]
pub(crate) struct Section<T> {
    /// Of the marks around it.
    pub(super) name: Option<Arc<str>>,
    state: State,
    /// The address space of the program that made accesses, and who it is.
    program: Option<(u64, Option<Arc<Process>>)>,
    /// Records of its first and its last access.
    span: Option<(u64, u64)>,
    mapping: Option<T>,
    several_mappings: bool,
    /// Not only one program made accesses, or it isn't known.
    unclear: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// No mark says what it is.
    Unmarked,
    Begun,
    Ended,
}

/// Processes each of whose entries is recorded, by their numbers.
pub(crate) struct Processes<T>(HashMap<u64, Between<T>>);

/// What a process did last.
struct Between<T> {
    /// The mapping of its last access, and that one's record.
    used: Option<(T, u64)>,
    /// Entries since then, and the record of the last of them.
    entries: u64,
    last: Option<u64>,
}

/// Entries into the kernel between two accesses of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Entered {
    /// How many.
    pub entries: u64,
    /// The record of the last of them.
    pub last: Option<u64>,
    /// The record of the access before.
    pub since: u64,
}

impl Entered {
    /// In words, of an access.
    pub(crate) fn describe(&self) -> String {
        let Self { entries, last, since } = self;
        match last {
            Some(last) => {
                format!("{entries} since its access before, record {since}: the last is record {last}")
            }
            None => format!("none since its access before, record {since}"),
        }
    }
}

impl<T> Default for Processes<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T: Copy + PartialEq> Processes<T> {
    /// Takes note of an entry of the process with this number.
    pub(crate) fn entry(&mut self, pid: u64, seq: u64) {
        let process = self.0.entry(pid).or_insert(Between { used: None, entries: 0, last: None });
        (process.entries, process.last) = (process.entries + 1, Some(seq));
    }

    /// Takes note of an access through `mapping`; what came between it and the one before, if that went through the same.
    pub(crate) fn access(&mut self, access: AccessView<'_>, mapping: T) -> Option<Entered> {
        let pid = access.process().filter(|_| access.cpl == 3)?.pid;
        // One that entered the kernel never is one of whose entries nothing is known.
        let process = self.0.get_mut(&pid)?;
        let before = process.used.replace((mapping, access.view.seq));
        let (entries, last) = (std::mem::take(&mut process.entries), process.last.take());
        before.filter(|(used, _)| *used == mapping).map(|(_, since)| Entered { entries, last, since })
    }
}

impl<T> Default for Sections<T> {
    fn default() -> Self {
        Self { list: Vec::new() }
    }
}

impl<T> Default for Section<T> {
    fn default() -> Self {
        Self {
            name: None,
            state: State::Unmarked,
            program: None,
            span: None,
            mapping: None,
            several_mappings: false,
            unclear: false,
        }
    }
}

impl<T: Copy + PartialEq> Sections<T> {
    /// Takes note of marks and scenarios.
    pub(crate) fn add(&mut self, view: &View) {
        match view.kind {
            EventKind::ScenarioBegin { .. } | EventKind::ScenarioEnd { .. } => self.list.clear(),
            EventKind::Mark { .. } => self.mark(view.vcpu, view.text().unwrap_or_default()),
            _ => (),
        }
    }

    fn of(&mut self, vcpu: Option<u8>) -> &mut Section<T> {
        let at = vcpu.map_or(0, |vcpu| usize::from(vcpu) + 1);
        if at >= self.list.len() {
            self.list.resize_with(at + 1, Section::default);
        }
        &mut self.list[at]
    }

    fn mark(&mut self, vcpu: Option<u8>, text: &str) {
        if let Some(name) = name(text, BEGIN) {
            let name = Some(Arc::from(name));
            *self.of(vcpu) = Section { name, state: State::Begun, ..Section::default() };
            return;
        }
        let Some(name) = name(text, END) else {
            // Others say nothing of what goes on between two that belong together.
            if self.of(vcpu).state != State::Begun {
                *self.of(vcpu) = Section::default();
            }
            return;
        };
        let begun =
            |section: &Section<T>| section.state == State::Begun && section.name.as_deref() == Some(name);
        if begun(self.of(vcpu)) {
            self.of(vcpu).state = State::Ended;
            return;
        }
        // It began on another vCPU: where it made its accesses isn't known.
        let moved = self.list.iter_mut().find(|section| begun(section)).map(std::mem::take);
        *self.of(vcpu) = match moved {
            Some(moved) => Section { state: State::Ended, unclear: true, ..moved },
            None => Section::default(),
        };
    }

    /// Takes note of an access through `mapping`.
    pub(crate) fn access(&mut self, access: AccessView<'_>, mapping: Option<T>) {
        let view = access.view;
        let section = self.of(view.vcpu);
        if section.state == State::Ended || access.coalesced {
            return;
        }
        if access.cpl != 3 {
            // What a handler does is none of the program's.
            let handler = view.cause().is_some();
            section.unclear |= !handler && (section.state == State::Begun || section.program.is_some());
            return;
        }
        let Some(walk) = access.walk() else {
            section.unclear = true;
            return;
        };
        section.span = Some((section.span.map_or(view.seq, |(first, _)| first), view.seq));
        match &section.program {
            None => section.program = Some((walk.cr3, view.process.clone())),
            Some((known, _)) => section.unclear |= *known != walk.cr3,
        }
        section.several_mappings |= section.mapping.is_some_and(|known| Some(known) != mapping);
        section.mapping = mapping;
    }

    /// What the count `view` is about.
    pub(crate) fn count(&mut self, view: &View) -> Section<T> {
        let section = std::mem::take(self.of(view.vcpu));
        // Marks and accesses may be missing.
        Section { unclear: section.unclear || view.uncertain.scenario, ..section }
    }
}

impl<T: Copy> Section<T> {
    /// The address space and the process that was counted, if that shows.
    pub(super) fn program(&self) -> Option<&(u64, Option<Arc<Process>>)> {
        self.program.as_ref().filter(|_| !self.unclear)
    }

    /// The mapping that was used last.
    pub(super) fn last_mapping(&self) -> Option<T> {
        self.mapping
    }

    /// The one mapping that the program used.
    pub(super) fn mapping(&self) -> Option<T> {
        self.program()?;
        self.mapping.filter(|_| !self.several_mappings)
    }

    /// Whether an access of ring 3 through address space `cr3` belongs to it.
    pub(crate) fn covers(&self, seq: u64, cr3: u64) -> bool {
        self.program().is_some_and(|(known, _)| *known == cr3)
            && self.span.is_some_and(|(first, last)| (first..=last).contains(&seq))
    }
}
