//! What a trace comes to in numbers.

use crate::event::{Event, EventKind};

/// Counts over the events of a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Scenarios that began.
    pub scenarios: u64,
    /// Scenarios that ended well.
    pub passed: u64,
    /// Scenarios that ended badly. Those that never ended are in neither count.
    pub failed: u64,
    /// Accesses, configuration space included.
    pub accesses: u64,
    /// Host time of the last event in nanoseconds.
    pub host_ns: u64,
}

impl Totals {
    /// Counts an event.
    pub fn add(&mut self, event: &Event) {
        self.host_ns = self.host_ns.max(event.host_ns);
        match event.kind {
            EventKind::Access(_) => self.accesses += 1,
            EventKind::ScenarioBegin { .. } => self.scenarios += 1,
            EventKind::ScenarioEnd { passed: true, .. } => self.passed += 1,
            EventKind::ScenarioEnd { passed: false, .. } => self.failed += 1,
            _ => (),
        }
    }
}
