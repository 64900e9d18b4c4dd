//! Clauses made in Rust, over a trace that was read whole.

use std::ops::RangeBounds;

use super::clause::{Clause, Goal, Limits, Step};
use super::context::Finding;
use super::engine::Engine;
use super::failure::Verdict;
use super::suite::Suite;
use super::window::Window;
use crate::Trace;
use crate::filter::Filter;

/// Holds tests against a trace that was read whole.
pub fn check(trace: &Trace, suite: Suite) -> Vec<Finding> {
    let mut engine = Engine::new(suite).knowing(&trace.info().capabilities);
    let views = trace.views().all();
    for view in views {
        engine.take(trace.definitions(), view);
    }
    let mut findings = engine.finish(&trace.info());
    if findings.need_context() {
        views.iter().for_each(|view| findings.look(view));
    }
    findings.into_list()
}

/// Asks things of a trace, within a window.
#[derive(Clone, Debug)]
pub struct Expect<'a> {
    trace: &'a Trace,
    window: Window,
    name: String,
}

impl<'a> Expect<'a> {
    /// About all of `trace`.
    pub fn on(trace: &'a Trace) -> Self {
        Self { trace, window: Window::Whole, name: String::new() }
    }

    /// About a part of it.
    #[must_use]
    pub fn within(&self, window: Window) -> Self {
        Self { window, ..self.clone() }
    }

    /// With a name that failures show.
    #[must_use]
    pub fn named(&self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self.clone() }
    }

    /// Events like these occur in this order; others may be in between.
    pub fn sequence<S: Into<Step>>(&self, steps: impl IntoIterator<Item = S>) -> Verdict {
        self.clause(Clause::Sequence(steps.into_iter().map(Into::into).collect()))
    }

    /// Each event like `trigger`, and there is one, is followed by events like these.
    pub fn each<S: Into<Step>>(
        &self,
        trigger: impl Into<Step>,
        then: impl IntoIterator<Item = S>,
    ) -> Verdict {
        let then = then.into_iter().map(Into::into).collect();
        self.clause(Clause::Each { trigger: trigger.into(), then, if_any: false })
    }

    /// As many instructions (or other events) are like this. Parts of one instruction count once.
    pub fn count(&self, filter: Filter, range: impl RangeBounds<u64>) -> Verdict {
        self.clause(Clause::Count(filter, Limits::new(&range)))
    }

    /// Nothing is like this.
    pub fn never(&self, filter: Filter) -> Verdict {
        self.clause(Clause::Never(filter))
    }

    /// The guest counted as many entries into its kernel. It must have counted: a trace of device
    /// accesses can't see them.
    pub fn kernel_entries(&self, range: impl RangeBounds<u64>) -> Verdict {
        self.clause(Clause::KernelEntries { limits: Limits::new(&range), between: None })
    }

    /// As many entries into the guest's kernel were recorded of each process from its first record like this to its last
    /// one, all processes together.
    pub fn kernel_entries_between(&self, filter: Filter, range: impl RangeBounds<u64>) -> Verdict {
        self.clause(Clause::KernelEntries { limits: Limits::new(&range), between: Some(filter) })
    }

    /// Accesses reached at least these shares of what devices have.
    pub fn coverage(&self, goal: Goal) -> Verdict {
        self.clause(Clause::Coverage(goal))
    }

    /// Any clause.
    pub fn clause(&self, clause: Clause) -> Verdict {
        let findings = check(self.trace, Suite::of(&self.name, self.window.clone(), clause));
        findings.into_iter().fold(Verdict::Pass, |verdict, finding| verdict.and(finding.verdict))
    }
}
