//! All that a trace file holds.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{MemfdFlags, memfd_create};

use super::scan::Scanner;
use super::{Damage, ReadError, Stream, TraceInfo, opened};
use crate::capability::Capabilities;
use crate::definitions::Definitions;
use crate::event::Event;
use crate::format::{Clock, End};

/// All that a trace file holds: of one that is finished, still growing, or left behind by a killed process.
#[derive(Debug)]
pub struct Content {
    path: PathBuf,
    clock: Clock,
    end: Option<End>,
    definitions: Definitions,
    events: Vec<Event>,
    lost: u64,
    damage: Vec<Damage>,
    capabilities: Capabilities,
    unknown_kinds: u64,
}

impl Content {
    /// Reads what the file at `path` holds now.
    ///
    /// # Errors
    /// It can't be read, or is no trace of this version. A damaged part is no error, see
    /// [`Content::info`].
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        Self::of(Stream::open(path)?)
    }

    /// Reads a trace from memory that `gzip` didn't compress. Its path is a name for it.
    ///
    /// # Errors
    /// As [`Content::open`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ReadError> {
        let path = Path::new("(memory)");
        let failed = |source| ReadError::Read { path: path.to_owned(), source };
        let file = memfd_create(c"trace", MemfdFlags::CLOEXEC).map_err(|errno| failed(errno.into()))?;
        let file = File::from(file);
        file.write_all_at(bytes, 0).map_err(failed)?;
        Self::of(Stream::of(Scanner::of(opened::of_file(file).map_err(failed)?, path)?)?)
    }

    fn of(mut stream: Stream) -> Result<Self, ReadError> {
        let path = stream.info().path.to_owned();
        let mut events = Vec::new();
        while let Some(event) = stream.next()? {
            events.push(event);
        }
        let TraceInfo { clock, end, lost, damage, capabilities, unknown_kinds, .. } = stream.info();
        let (end, damage) = (end.cloned(), damage.to_vec());
        let definitions = stream.into_definitions();
        Ok(Self { path, clock, end, definitions, events, lost, damage, capabilities, unknown_kinds })
    }

    /// What is known of it besides its events.
    pub fn info(&self) -> TraceInfo<'_> {
        TraceInfo {
            path: &self.path,
            definitions: &self.definitions,
            clock: self.clock,
            end: self.end.as_ref(),
            lost: self.lost,
            damage: &self.damage,
            capabilities: self.capabilities,
            unknown_kinds: self.unknown_kinds,
        }
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
}
