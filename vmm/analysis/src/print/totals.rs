//! What a trace comes to in numbers.

use barscope_trace::event::EventKind;

use crate::view::View;

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
    pub fn add(&mut self, view: &View) {
        self.host_ns = self.host_ns.max(view.host_ns);
        match view.kind {
            EventKind::Access(_) => self.accesses += 1,
            EventKind::ScenarioBegin { .. } => self.scenarios += 1,
            EventKind::ScenarioEnd { passed: true, .. } => self.passed += 1,
            EventKind::ScenarioEnd { passed: false, .. } => self.failed += 1,
            _ => (),
        }
    }
}
