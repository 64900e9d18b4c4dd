//! The scenarios of a trace, or the programs of a Linux guest, which are told as such.

use std::sync::Arc;
use std::time::Duration;

use barscope_trace::EventKind;

use super::{Case, Place, Status};
use crate::view::View;

/// The most that are kept: a guest could play them without end.
const MOST: usize = 1 << 16;

/// How many back one that goes on is looked for.
const DEEPEST: usize = 256;

/// Collects scenarios.
#[derive(Default)]
pub struct Played {
    list: Vec<Scenario>,
}

/// A scenario that began.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: Arc<str>,
    /// Host time at which it began, in nanoseconds since the trace began.
    pub began_ns: u64,
    /// Host time of its end, or of the last event before another one began.
    pub ended_ns: u64,
    /// How it ended; `None` if it didn't.
    pub passed: Option<bool>,
    /// In words.
    pub summary: Arc<str>,
}

impl Played {
    /// Takes the next event of a trace.
    pub fn take(&mut self, view: &View) {
        let text = || view.text.clone().unwrap_or_default();
        match view.kind {
            EventKind::ScenarioBegin { .. } if self.list.len() < MOST => self.list.push(Scenario {
                name: text(),
                began_ns: view.host_ns,
                ended_ns: view.host_ns,
                passed: None,
                summary: Arc::default(),
            }),
            EventKind::ScenarioEnd { passed, .. } => {
                if let Some(open) = self.open() {
                    open.ended_ns = view.host_ns;
                    open.passed = Some(passed);
                    open.summary = text();
                }
            }
            _ => {
                if let Some(open) = self.open() {
                    open.ended_ns = open.ended_ns.max(view.host_ns);
                }
            }
        }
    }

    /// Those so far, in their order.
    pub fn list(&self) -> &[Scenario] {
        &self.list
    }

    /// The innermost that goes on: a program may begin windows of its own.
    fn open(&mut self) -> Option<&mut Scenario> {
        let recent = self.list.iter_mut().rev().take(DEEPEST);
        recent.into_iter().find(|scenario| scenario.passed.is_none())
    }
}

impl Scenario {
    pub(super) fn case(&self, place: Option<Place>) -> Case {
        let failed = |why: &str| Status::Failed(why.to_owned(), why.to_owned());
        Case {
            name: self.name.to_string(),
            time: Duration::from_nanos(self.ended_ns.saturating_sub(self.began_ns)),
            status: match self.passed {
                Some(true) => Status::Passed,
                Some(false) => failed(&self.summary),
                None => failed("did not end"),
            },
            place,
        }
    }
}
