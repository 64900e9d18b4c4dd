//! A trace while it grows.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::block::{Block, CONTENT_BYTES};
use super::scan::Scanner;
use super::slots::Next;
use super::{ReadError, TraceInfo};
use crate::definitions::Definitions;
use crate::event::Event;

/// About as many events as come out of [`Tail::poll`] at once: who looks seldom needs no memory for all of them.
const AT_ONCE: usize = 1 << 16;

/// Follows a trace that is being written, by this process or another.
///
/// Threads record independently, so a later event may be in the file before an earlier one. Events
/// come out in order of their sequence numbers, and what follows a gap waits until the gap is closed
/// or the trace has ended.
pub struct Tail {
    scanner: Scanner,
    /// Everything was read.
    done: bool,
    definitions: Definitions,
    /// Blocks of events that more may come into, and how many bytes of their content were read.
    open: Vec<(Block, usize)>,
    /// Events after a gap; `None` for a record of an unknown kind.
    waiting: BTreeMap<u64, Option<Event>>,
    next: u64,
    lost: u64,
    unknown: u64,
}

impl Tail {
    /// Opens the trace at `path` at its beginning.
    ///
    /// # Errors
    /// It can't be read, or is no trace of this version.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        Ok(Self {
            scanner: Scanner::open(path)?,
            done: false,
            definitions: Definitions::default(),
            open: Vec::new(),
            waiting: BTreeMap::new(),
            next: 1,
            lost: 0,
            unknown: 0,
        })
    }

    /// The next events, up to the first gap and not many more than 65,536 of them; none if no more came. Once the trace
    /// has ended and its last event came out, [`Tail::info`] tells how.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn poll(&mut self) -> Result<Vec<Event>, ReadError> {
        if self.done {
            return Ok(Vec::new());
        }
        // Before the scan: what ended before it is complete after it.
        self.scanner.refresh()?;
        let mut ready = Vec::new();
        loop {
            let all = self.scan().map_err(|source| self.scanner.error(source))?;
            self.take_ready(&mut ready, all);
            if all || !ready.is_empty() {
                return Ok(ready);
            }
        }
    }

    /// Takes the events out that nothing is missing before; `all` are there that the file holds.
    fn take_ready(&mut self, ready: &mut Vec<Event>, all: bool) {
        let handed_out = self.scanner.whole().map(|whole| whole.events).filter(|_| all);
        while let Some(first) = self.waiting.first_entry() {
            let seq = *first.key();
            if seq > self.next && handed_out.is_none() {
                break;
            }
            self.lost += seq.saturating_sub(self.next);
            self.next = self.next.max(seq + 1);
            match first.remove() {
                Some(event) => ready.push(event),
                None => self.unknown += 1,
            }
        }
        if let Some(handed_out) = handed_out {
            let missing = handed_out.saturating_add(1).saturating_sub(self.next);
            self.lost = self.lost.saturating_add(missing);
            self.done = true;
        }
    }

    /// Leaves out the events that are left, and reads what they refer to; how many there are. Only once the trace has
    /// ended.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn leave(&mut self) -> Result<u64, ReadError> {
        self.scanner.refresh()?;
        let Some(handed_out) = self.scanner.whole().map(|whole| whole.events) else { return Ok(0) };
        self.scanner.discover(true).map_err(|source| self.scanner.error(source))?;
        let read = self.scanner.definitions(&mut self.definitions);
        read.map_err(|source| self.scanner.error(source))?;
        let left = handed_out.saturating_add(1).saturating_sub(self.next);
        self.open.clear();
        self.waiting.clear();
        self.done = true;
        Ok(left)
    }

    /// Adds what is new, whole blocks until there are enough; whether that is all. Definitions come after events, which
    /// refer to nothing that isn't there afterwards.
    fn scan(&mut self) -> io::Result<bool> {
        let found = self.scanner.discover(true)?;
        self.open.extend(found.into_iter().map(|block| (block, 0)));
        let mut open = Vec::new();
        let mut blocks = std::mem::take(&mut self.open).into_iter();
        let enough = self.waiting.len() + AT_ONCE;
        while self.waiting.len() < enough {
            let Some((block, read)) = blocks.next() else { break };
            let slots = self.scanner.slots(block, read, None, Vec::new())?;
            let Some((block, mut slots)) = slots else { continue };
            loop {
                match slots.next(self.scanner.kinds()) {
                    Next::Event(event) => drop(self.waiting.insert(event.seq, Some(event))),
                    Next::Unknown(seq) => drop(self.waiting.insert(seq, None)),
                    Next::Broken(at) => self.scanner.broken_slot(block, at),
                    Next::End => break,
                }
            }
            if !block.closed() && slots.length() < CONTENT_BYTES {
                open.push((block, slots.length()));
            }
        }
        let all = blocks.len() == 0;
        open.extend(blocks);
        // Before those that wait for their definitions.
        self.open = open;
        let found = self.scanner.discover(true)?;
        self.open.extend(found.into_iter().map(|block| (block, 0)));
        self.scanner.definitions(&mut self.definitions)?;
        Ok(all)
    }

    /// What is known of it besides its events.
    pub fn info(&self) -> TraceInfo<'_> {
        TraceInfo {
            path: self.scanner.path(),
            definitions: &self.definitions,
            clock: self.scanner.clock(),
            end: self.scanner.whole().filter(|_| self.done).map(|whole| &whole.end),
            lost: self.lost,
            damage: self.scanner.damage(),
            capabilities: self.scanner.capabilities(),
            unknown_kinds: self.unknown + self.definitions.unknown(),
        }
    }

    /// What the events that [`Tail::poll`] returned so far refer to, and maybe more.
    pub fn definitions(&self) -> &Definitions {
        &self.definitions
    }
}
