//! The part of a trace that a clause is about.

use std::fmt;

use barscope_trace::Definitions;
use barscope_trace::event::EventKind;

use crate::filter::{Compiled, Diagnostic, Filter, Interest, Interests, Kinds, Truth, mark};
use crate::view::View;

/// A part of a trace. If it occurs several times, a clause has to hold in each occurrence.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Window {
    /// All of it.
    #[default]
    Whole,
    /// From a scenario's beginning to its end.
    Scenario(String),
    /// From an event to the next one of another kind, both included.
    Between {
        /// What the window is called, or nothing.
        name: String,
        /// What opens it.
        from: Box<Filter>,
        /// What closes it.
        to: Box<Filter>,
    },
    /// From an event, included, to the trace's end.
    From {
        /// What the window is called, or nothing.
        name: String,
        /// What opens it.
        from: Box<Filter>,
    },
}

impl Window {
    /// The scenario of this name.
    pub fn scenario(name: &str) -> Self {
        Window::Scenario(name.to_owned())
    }

    /// From a mark `from` to the next mark `to`.
    pub fn marks(from: &str, to: &str) -> Self {
        Window::between(mark(from), mark(to))
    }

    /// From an event like `from` to the next one like `to`, both included.
    pub fn between(from: Filter, to: Filter) -> Self {
        Window::Between { name: String::new(), from: Box::new(from), to: Box::new(to) }
    }

    /// Holds it against a trace.
    pub(super) fn compile(&self, definitions: &Definitions) -> Result<Bounds, Diagnostic> {
        Ok(match self {
            Window::Whole => Bounds::Whole,
            Window::Scenario(name) => Bounds::Scenario(name.clone()),
            Window::Between { from, to, .. } => {
                Bounds::Between { from: from.compile(definitions)?, to: to.compile(definitions)? }
            }
            Window::From { from, .. } => Bounds::From { from: from.compile(definitions)? },
        })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Window::Whole => f.write_str("the whole trace"),
            Window::Scenario(name) => write!(f, "scenario {name}"),
            Window::Between { name, from, to } if name.is_empty() => write!(f, "from {from} to {to}"),
            Window::From { name, from } if name.is_empty() => write!(f, "from {from} to the end"),
            Window::Between { name, .. } | Window::From { name, .. } => write!(f, "window {name}"),
        }
    }
}

/// Where a window begins and ends.
#[derive(Debug)]
pub(super) enum Bounds {
    Whole,
    Scenario(String),
    Between { from: Compiled, to: Compiled },
    From { from: Compiled },
}

impl Bounds {
    pub(super) fn opens(&self, view: &View) -> Truth {
        match (self, view.kind) {
            (Bounds::Whole, _) => Truth::Yes,
            (Bounds::Scenario(_), EventKind::ScenarioBegin { .. }) if view.uncertain.text => Truth::Maybe,
            (Bounds::Scenario(wanted), EventKind::ScenarioBegin { .. }) => {
                (view.text() == Some(wanted.as_str())).into()
            }
            (Bounds::Scenario(_), _) => Truth::No,
            (Bounds::Between { from, .. } | Bounds::From { from }, _) => from.test(view),
        }
    }

    pub(super) fn closes(&self, view: &View) -> Truth {
        match (self, view.kind) {
            (Bounds::Whole | Bounds::From { .. }, _) => Truth::No,
            (Bounds::Scenario(_), kind) => matches!(kind, EventKind::ScenarioEnd { .. }).into(),
            (Bounds::Between { to, .. }, _) => to.test(view),
        }
    }

    /// Whether it ends before the trace does.
    pub(super) fn can_close(&self) -> bool {
        matches!(self, Bounds::Scenario(_) | Bounds::Between { .. })
    }

    pub(super) fn filters(&self) -> Vec<&Compiled> {
        match self {
            Bounds::Whole | Bounds::Scenario(_) => Vec::new(),
            Bounds::Between { from, to } => vec![from, to],
            Bounds::From { from } => vec![from],
        }
    }

    /// Which events may open or close it.
    pub(super) fn interests(&self, all: &mut Interests) {
        match self {
            Bounds::Whole => {}
            Bounds::Scenario(_) => all.push(Interest::of(Kinds::SCENARIO)),
            Bounds::Between { from, to } => all.extend([from.interest(), to.interest()]),
            Bounds::From { from } => all.push(from.interest()),
        }
    }
}
