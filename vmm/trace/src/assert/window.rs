//! The part of a trace that an assertion is about.

use std::fmt;
use std::ops::Range;

use crate::view::{View, What};

/// A part of a trace. If it occurs several times, an assertion has to hold in each occurrence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Window {
    /// All of it.
    #[default]
    Whole,
    /// From a scenario's beginning to its end.
    Scenario(String),
    /// From a mark to the next one of another name.
    Marks(String, String),
}

impl Window {
    /// The scenario of this name.
    pub fn scenario(name: &str) -> Self {
        Window::Scenario(name.to_owned())
    }

    /// From a mark `from` to the next mark `to`.
    pub fn marks(from: &str, to: &str) -> Self {
        Window::Marks(from.to_owned(), to.to_owned())
    }

    /// Its occurrences.
    pub(super) fn occurrences(&self, views: &[View]) -> Vec<Occurrence> {
        if *self == Window::Whole {
            return vec![Occurrence { range: 0..views.len(), closed: false }];
        }
        let mut found = Vec::new();
        let mut start = None;
        for (index, view) in views.iter().enumerate() {
            if start.is_none() && self.opens(&view.what) {
                start = Some(index);
            } else if let Some(begin) = start
                && self.closes(&view.what)
            {
                found.push(Occurrence { range: begin..index + 1, closed: true });
                start = None;
            }
        }
        found.extend(start.map(|begin| Occurrence { range: begin..views.len(), closed: false }));
        found
    }

    fn opens(&self, what: &What) -> bool {
        match (self, what) {
            (Window::Scenario(wanted), What::ScenarioBegin { name }) => **name == **wanted,
            (Window::Marks(wanted, _), What::Mark { text }) => **text == **wanted,
            _ => false,
        }
    }

    fn closes(&self, what: &What) -> bool {
        match (self, what) {
            (Window::Scenario(_), What::ScenarioEnd { .. }) => true,
            (Window::Marks(_, wanted), What::Mark { text }) => **text == **wanted,
            _ => false,
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Window::Whole => f.write_str("the whole trace"),
            Window::Scenario(name) => write!(f, "scenario {name}"),
            Window::Marks(from, to) => write!(f, "marks {from:?} to {to:?}"),
        }
    }
}

/// Where a window occurs.
pub(super) struct Occurrence {
    /// Indices of views.
    pub(super) range: Range<usize>,
    /// Its end was seen.
    pub(super) closed: bool,
}
