//! The lines of a golden, as what a trace is held against.

use std::sync::Arc;

use super::items::{DEVICES, Item};
use super::names::Names;

/// A line of a golden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) section: Option<Arc<str>>,
    pub(crate) actor: Arc<str>,
    pub(crate) text: Arc<str>,
    pub(crate) times: u64,
    /// Its number, from 1.
    pub(crate) number: u64,
}

/// The lines of a golden as items.
pub(crate) struct LineItems {
    lines: Vec<Line>,
    by_actor: bool,
    at: usize,
    /// How many of the line were given.
    given: u64,
}

impl LineItems {
    /// Those of these lines; by actor if order counts within each only.
    pub(crate) fn new(lines: Vec<Line>, by_actor: bool) -> Self {
        Self { lines, by_actor, at: 0, given: 0 }
    }

    pub(crate) fn next(&mut self, names: &mut Names) -> Option<Item> {
        let line = self.lines.get(self.at)?;
        self.given += 1;
        if self.given >= line.times {
            (self.at, self.given) = (self.at + 1, 0);
        }
        let nobody = Arc::from("");
        let lane = match &*line.actor {
            DEVICES => names.lane(None, &format!("device {}", line.text).into()),
            _ if self.by_actor => names.lane(line.section.as_ref(), &line.actor),
            _ => names.lane(line.section.as_ref(), &nobody),
        };
        let hash = names.key(&line.actor, &line.text);
        Some(Item { lane, hash, seq: line.number, register: names.register("") })
    }
}
