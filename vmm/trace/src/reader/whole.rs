//! A trace as a whole.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::{Damage, ReadError, Stream};
use crate::definitions::Definitions;
use crate::event::Event;
use crate::format::{Clock, End};
use crate::view::{Viewer, Views};

/// A trace, read whole: finished, still growing, or left behind by a killed process.
#[derive(Debug)]
pub struct Trace {
    path: PathBuf,
    clock: Clock,
    end: Option<End>,
    definitions: Definitions,
    events: Vec<Event>,
    lost: u64,
    damage: Vec<Damage>,
    views: OnceLock<Views>,
}

impl Trace {
    /// Reads what the file at `path` holds now.
    ///
    /// # Errors
    /// It can't be read, or is no trace of this version. A damaged part is no error, see
    /// [`Trace::damage`].
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let mut stream = Stream::open(path)?;
        let mut events = Vec::new();
        while let Some(event) = stream.next()? {
            events.push(event);
        }
        let (clock, end, lost) = (stream.clock(), stream.end().cloned(), stream.lost());
        let damage = stream.damage().to_vec();
        let definitions = stream.into_definitions();
        Ok(Self {
            path: path.to_owned(),
            clock,
            end,
            definitions,
            events,
            lost,
            damage,
            views: OnceLock::new(),
        })
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What its device clock is.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// How it ended; `None` if it is still being written, or its writer was killed.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// What events refer to.
    pub fn definitions(&self) -> &Definitions {
        &self.definitions
    }

    /// Everything that happened, in order.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The event with this sequence number.
    pub fn event(&self, seq: u64) -> Option<&Event> {
        let index = self.events.binary_search_by_key(&seq, |event| event.seq).ok()?;
        self.events.get(index)
    }

    /// How many events are missing: gaps in the sequence, and what was announced but never came.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Parts of the file that can't be trusted.
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// All events with everything resolved that they refer to. The first call does the work.
    pub fn views(&self) -> &Views {
        self.views.get_or_init(|| {
            let mut viewer = Viewer::default();
            Views::new(self.events.iter().map(|event| viewer.view(&self.definitions, event)).collect())
        })
    }
}
