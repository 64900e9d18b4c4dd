//! What the guest counted, and when.

use std::collections::HashMap;

use barscope_trace::Definitions;
use barscope_trace::event::{Counted, Event, EventKind, Id};
use serde::Serialize;

/// How many windows are told apart; what comes in more of them is in none.
const MOST: usize = 4096;

/// How many scenarios within scenarios are followed.
const DEEPEST: usize = 256;

/// A stretch of the trace: a scenario, or outside of scenarios from one mark to the next. Those of one name
/// are one. A count belongs where it was recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Window {
    /// The scenario, or the mark that it begins with; empty for what comes before the first mark.
    pub name: String,
    /// A scenario.
    pub scenario: bool,
    /// How often it came.
    pub times: u64,
    /// How often the scenario passed.
    pub passed: u64,
    /// How often it failed.
    pub failed: u64,
    /// Why it failed the first time, as the guest says it.
    pub failure: Option<String>,
    /// Accesses in it.
    pub accesses: u64,
    /// Entries into the kernel that the guest counted; `None` if it didn't count.
    pub kernel_entries: Option<u64>,
    /// Page faults that were resolved by mapping a page.
    pub faults_resolved: u64,
    /// Page faults that stopped the program.
    pub faults_fatal: u64,
}

impl Window {
    /// The guest counted something in it.
    pub fn counted(&self) -> bool {
        self.kernel_entries.is_some() || self.faults_resolved + self.faults_fatal > 0
    }

    /// How often the scenario began and didn't end.
    pub fn unended(&self) -> u64 {
        if self.scenario { self.times.saturating_sub(self.passed + self.failed) } else { 0 }
    }
}

/// Windows in the order in which they first came.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Windows(Vec<Window>);

impl Windows {
    /// All of them.
    pub fn all(&self) -> &[Window] {
        &self.0
    }

    pub(super) fn merge(&mut self, other: Self) {
        for theirs in other.0 {
            let same = |ours: &&mut Window| (ours.scenario, &ours.name) == (theirs.scenario, &theirs.name);
            let Some(ours) = self.0.iter_mut().find(same) else {
                if self.0.len() < MOST {
                    self.0.push(theirs);
                }
                continue;
            };
            ours.times += theirs.times;
            ours.passed += theirs.passed;
            ours.failed += theirs.failed;
            ours.failure = ours.failure.take().or(theirs.failure);
            ours.accesses += theirs.accesses;
            if let Some(entries) = theirs.kernel_entries {
                let counted = ours.kernel_entries.get_or_insert(0);
                *counted = counted.saturating_add(entries);
            }
            ours.faults_resolved += theirs.faults_resolved;
            ours.faults_fatal += theirs.faults_fatal;
        }
    }
}

/// Follows scenarios and marks.
#[derive(Default)]
pub(super) struct Follower {
    windows: Vec<Window>,
    /// By text and whether it is a scenario's name.
    known: HashMap<(Id, bool), usize>,
    /// The window that is open; beyond `windows` if there were too many.
    current: Option<usize>,
    /// The windows to return to after the scenarios that go on, innermost last.
    outside: Vec<Option<usize>>,
}

impl Follower {
    /// Takes note of an event that is no access.
    pub(super) fn add(&mut self, definitions: &Definitions, event: &Event) {
        match event.kind {
            EventKind::Mark { text, .. } if self.outside.is_empty() => self.open(definitions, text, false),
            EventKind::ScenarioBegin { name } => {
                if self.outside.len() == DEEPEST {
                    self.outside.remove(0);
                }
                self.outside.push(self.current);
                self.open(definitions, name, true);
            }
            EventKind::ScenarioEnd { passed, summary } => {
                let Some(outside) = self.outside.pop() else { return };
                if let Some(window) = self.window() {
                    window.passed += u64::from(passed);
                    window.failed += u64::from(!passed);
                    if !passed {
                        window.failure.get_or_insert_with(|| definitions.text(summary).to_owned());
                    }
                }
                self.current = outside;
            }
            EventKind::Count { what, value, .. } => {
                let Some(window) = self.window() else { return };
                match what {
                    Counted::KernelEntries => {
                        let counted = window.kernel_entries.get_or_insert(0);
                        *counted = counted.saturating_add(value);
                    }
                    Counted::FaultResolved => window.faults_resolved += 1,
                    Counted::FaultFatal => window.faults_fatal += 1,
                }
            }
            _ => (),
        }
    }

    /// Counts an access.
    pub(super) fn access(&mut self) {
        if let Some(window) = self.window() {
            window.accesses += 1;
        }
    }

    fn open(&mut self, definitions: &Definitions, text: Id, scenario: bool) {
        let at = match self.known.get(&(text, scenario)) {
            Some(at) => *at,
            None if self.windows.len() >= MOST => usize::MAX,
            None => {
                let name = definitions.text(text).to_owned();
                self.windows.push(Window { name, scenario, ..Window::default() });
                self.known.insert((text, scenario), self.windows.len() - 1);
                self.windows.len() - 1
            }
        };
        self.current = Some(at);
        if let Some(window) = self.windows.get_mut(at) {
            window.times += 1;
        }
    }

    fn window(&mut self) -> Option<&mut Window> {
        let at = *self.current.get_or_insert_with(|| {
            self.windows.push(Window { times: 1, ..Window::default() });
            self.windows.len() - 1
        });
        self.windows.get_mut(at)
    }

    /// What was counted.
    pub(super) fn finish(self) -> Windows {
        let mut windows = Windows::default();
        // A guest may define one text twice.
        windows.merge(Windows(self.windows));
        windows
    }
}
