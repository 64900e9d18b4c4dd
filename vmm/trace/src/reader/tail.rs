//! A trace while it grows.

use std::collections::BTreeMap;
use std::path::Path;

use super::scan::Scanner;
use super::{Damage, ReadError};
use crate::definitions::Definitions;
use crate::event::Event;
use crate::format::{Clock, End};

/// Follows a trace that is being written, by this process or another.
///
/// Threads record independently, so a later event may be in the file before an earlier one. Events
/// come out in order of their sequence numbers, and what follows a gap waits until the gap is closed
/// or the trace has ended.
pub struct Tail {
    scanner: Scanner,
    clock: Clock,
    end: Option<End>,
    definitions: Definitions,
    /// Events after a gap.
    waiting: BTreeMap<u64, Event>,
    next: u64,
    lost: u64,
}

impl Tail {
    /// Opens the trace at `path` at its beginning.
    ///
    /// # Errors
    /// It can't be read, or is no trace of this version.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let scanner = Scanner::open(path)?;
        let clock = scanner.header()?.clock;
        Ok(Self {
            scanner,
            clock,
            end: None,
            definitions: Definitions::default(),
            waiting: BTreeMap::new(),
            next: 1,
            lost: 0,
        })
    }

    /// The events that came since the last call, up to the first gap; all that are left once the trace
    /// has ended, which [`Tail::end`] tells then.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn poll(&mut self) -> Result<Vec<Event>, ReadError> {
        // Before the scan: what ended before it is complete after it.
        let header = self.scanner.header()?;
        let mut events = Vec::new();
        self.scanner.scan(&mut events, &mut self.definitions)?;
        self.waiting.extend(events.into_iter().map(|event| (event.seq, event)));
        let mut ready = Vec::new();
        while let Some(first) = self.waiting.first_entry() {
            let seq = *first.key();
            if seq > self.next && header.end.is_none() {
                break;
            }
            self.lost += seq.saturating_sub(self.next);
            self.next = seq + 1;
            ready.push(first.remove());
        }
        if header.end.is_some() && self.end.is_none() {
            self.lost += header.events.saturating_add(1).saturating_sub(self.next);
            self.end = header.end;
        }
        Ok(ready)
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        self.scanner.path()
    }

    /// What the device clock is.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// How the trace ended; `None` before [`Tail::poll`] returned the last event.
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// What the events that [`Tail::poll`] returned so far refer to, and maybe more.
    pub fn definitions(&self) -> &Definitions {
        &self.definitions
    }

    /// How many events are missing among those returned.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Parts of the file that can't be trusted.
    pub fn damage(&self) -> &[Damage] {
        &self.scanner.damage
    }
}
