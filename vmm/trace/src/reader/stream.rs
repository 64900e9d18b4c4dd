//! The events of a trace in their order, without holding more of it than the blocks that overlap.

use std::path::Path;

use super::scan::{EventBlock, Scanner};
use super::slots::{Next, Slots};
use super::{Damage, ReadError};
use crate::definitions::Definitions;
use crate::event::Event;
use crate::format::{Clock, End};

/// Reads what a trace file holds now, one event after the other: finished, still growing, or left behind
/// by a killed process. Memory does not grow with the number of events.
///
/// ```no_run
/// # fn main() -> Result<(), trace::ReadError> {
/// let mut stream = trace::Stream::open("barscope.trace".as_ref())?;
/// let mut viewer = trace::view::Viewer::default();
/// while let Some(event) = stream.next()? {
///     let view = viewer.view(stream.definitions(), &event);
///     println!("{} {:?}", view.seq, view.what);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Stream {
    scanner: Scanner,
    clock: Clock,
    end: Option<End>,
    /// Sequence numbers that were handed out; 0 if the header doesn't say.
    handed_out: u64,
    definitions: Definitions,
    /// All blocks of events, by their first sequence number.
    blocks: Vec<EventBlock>,
    /// How many of `blocks` were opened.
    opened: usize,
    /// Blocks with events that weren't returned. The one that is read from is the last.
    open: Vec<OpenBlock>,
    /// Memory of blocks that were read to their end.
    spare: Vec<Vec<u8>>,
    /// The last of `open` is read from up to this sequence number, which another block may have.
    limit: u64,
    /// The sequence number that comes next if nothing is lost.
    expected: u64,
    lost: u64,
}

/// A block whose events are being returned.
struct OpenBlock {
    block: EventBlock,
    slots: Slots,
}

impl OpenBlock {
    fn next_seq(&self) -> u64 {
        self.slots.next_seq()
    }
}

impl Stream {
    /// Opens the trace at `path` at its beginning.
    ///
    /// # Errors
    /// It can't be read, or is no trace of this version. A damaged part is no error, see
    /// [`Stream::damage`].
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let mut scanner = Scanner::open(path)?;
        let header = scanner.header()?;
        let mut definitions = Definitions::default();
        let blocks = scanner.survey(&mut definitions)?;
        Ok(Self {
            scanner,
            clock: header.clock,
            handed_out: if header.end.is_some() { header.events } else { 0 },
            end: header.end,
            definitions,
            blocks,
            opened: 0,
            open: Vec::new(),
            spare: Vec::new(),
            limit: 0,
            expected: 1,
            lost: 0,
        })
    }

    /// The next event; `None` after the last one.
    ///
    /// # Errors
    /// The file can't be read.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator couldn't be asked for definitions meanwhile"
    )]
    pub fn next(&mut self) -> Result<Option<Event>, ReadError> {
        loop {
            if let Some(OpenBlock { block, slots }) = self.open.last_mut()
                && slots.next_seq() < self.limit
            {
                match slots.next() {
                    // A damaged header led here too late: the order can't be mended.
                    Next::Event(event) if event.seq < self.expected => continue,
                    Next::Event(event) => {
                        self.lost += event.seq - self.expected;
                        self.expected = event.seq + 1;
                        return Ok(Some(event));
                    }
                    Next::Broken(at) => {
                        self.scanner.broken_slot(*block, at);
                        continue;
                    }
                    Next::End => (),
                }
            }
            if !self.turn_to_next_block()? {
                self.lost += self.handed_out.saturating_add(1).saturating_sub(self.expected);
                self.expected = self.expected.max(self.handed_out.saturating_add(1));
                return Ok(None);
            }
        }
    }

    /// Puts the block with the next event last, and says how far it may be read; false if there is none.
    fn turn_to_next_block(&mut self) -> Result<bool, ReadError> {
        for read in self.open.extract_if(.., |block| block.next_seq() == u64::MAX) {
            self.spare.push(read.slots.into_buffer());
        }
        loop {
            self.open.sort_unstable_by_key(|block| std::cmp::Reverse(block.next_seq()));
            let lowest = self.open.last().map(OpenBlock::next_seq);
            let unopened = self.blocks.get(self.opened).copied();
            match (lowest, unopened) {
                (None, None) => return Ok(false),
                (Some(lowest), unopened) if unopened.is_none_or(|block| block.first > lowest) => {
                    let other = self.open.iter().rev().nth(1).map_or(u64::MAX, OpenBlock::next_seq);
                    self.limit = other.min(unopened.map_or(u64::MAX, |block| block.first));
                    // Two blocks that claim the same number: one of them is damaged.
                    self.limit = self.limit.max(lowest + 1);
                    return Ok(true);
                }
                (_, Some(block)) => {
                    self.opened += 1;
                    let slots = self.scanner.slots_of(block, self.spare.pop().unwrap_or_default())?;
                    if slots.next_seq() == u64::MAX {
                        self.spare.push(slots.into_buffer());
                    } else {
                        self.open.push(OpenBlock { block, slots });
                    }
                }
                (Some(_), None) => unreachable!("no unopened block is none before the lowest"),
            }
        }
    }

    /// Goes on with the first event whose sequence number is at least `seq`. Those that are skipped don't
    /// count as lost.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn seek(&mut self, seq: u64) -> Result<(), ReadError> {
        self.open.clear();
        self.limit = 0;
        self.expected = seq.max(1);
        // A lane fills its blocks one after the other: a block ends before its lane's next one begins.
        let mut first_of_next = std::collections::BTreeMap::new();
        let mut opened = self.blocks.len();
        for (at, block) in self.blocks.iter().enumerate().rev() {
            let ends = first_of_next.insert(block.lane, block.first).unwrap_or(u64::MAX);
            if ends > seq {
                opened = at;
            }
        }
        self.opened = opened;
        Ok(())
    }

    /// The highest sequence number in the file; 0 if it holds no event.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn last_seq(&mut self) -> Result<u64, ReadError> {
        let mut last_of_lane = std::collections::BTreeMap::new();
        for block in &self.blocks {
            last_of_lane.insert(block.lane, *block);
        }
        let mut last = 0;
        for block in last_of_lane.into_values() {
            let slots = self.scanner.slots_of(block, Vec::new())?;
            last = last.max(slots.last_seq().unwrap_or(block.first));
        }
        Ok(last)
    }

    /// Where the file lies.
    pub fn path(&self) -> &Path {
        self.scanner.path()
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

    /// The same, for keeps.
    pub fn into_definitions(self) -> Definitions {
        self.definitions
    }

    /// How many events are missing among those returned: gaps in the sequence, and at the end what was
    /// announced but never came.
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Parts of the file that can't be trusted, as far as it was read.
    pub fn damage(&self) -> &[Damage] {
        &self.scanner.damage
    }
}
