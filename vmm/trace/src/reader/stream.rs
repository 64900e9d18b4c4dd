//! The events of a trace in their order, without holding more of it than the blocks that overlap.

use std::io;
use std::path::Path;

use super::block::Block;
use super::scan::Scanner;
use super::slots::{Next, Slots};
use super::{ReadError, TraceInfo};
use crate::definitions::Definitions;
use crate::event::Event;
use crate::format::BlockKind;

/// The most blocks that events are merged of. There is one for each thread that records; a file whose blocks overlap
/// in greater numbers was made to take memory and time.
const OPEN_MAX: usize = 1024;

/// Reads what a trace file holds now, one event after the other: finished, still growing, or left behind
/// by a killed process. Memory does not grow with the number of events.
///
/// ```no_run
/// # fn main() -> Result<(), barscope_trace::ReadError> {
/// let mut stream = barscope_trace::Stream::open("barscope.trace".as_ref())?;
/// while let Some(event) = stream.next()? {
///     println!("{} {:?}", event.seq, event.kind);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Stream {
    scanner: Scanner,
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
    unknown: u64,
}

/// A block of events, and how much of it is read.
#[derive(Clone, Copy)]
struct EventBlock {
    block: Block,
    /// What was there of a block that wasn't closed, in bytes.
    length: Option<usize>,
    cut_off: bool,
}

impl EventBlock {
    fn first(&self) -> u64 {
        self.block.first
    }

    /// Who wrote it: a vCPU, or no one of them.
    fn lane(&self) -> Option<u8> {
        match self.block.kind {
            BlockKind::Events { vcpu } => vcpu,
            BlockKind::Definitions => None,
        }
    }
}

/// A block whose events are being returned.
struct OpenBlock {
    block: Block,
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
    /// [`Stream::info`].
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        Self::of(Scanner::open(path)?)
    }

    /// Of a file whose header was read.
    pub(super) fn of(mut scanner: Scanner) -> Result<Self, ReadError> {
        let mut definitions = Definitions::default();
        let blocks = survey(&mut scanner, &mut definitions).map_err(|source| scanner.error(source))?;
        Ok(Self {
            scanner,
            definitions,
            blocks,
            opened: 0,
            open: Vec::new(),
            spare: Vec::new(),
            limit: 0,
            expected: 1,
            lost: 0,
            unknown: 0,
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
                match slots.next(self.scanner.kinds()) {
                    // A damaged header led here too late: the order can't be mended.
                    Next::Event(event) if event.seq < self.expected => continue,
                    Next::Event(event) => {
                        self.lost += event.seq - self.expected;
                        self.expected = event.seq + 1;
                        return Ok(Some(event));
                    }
                    Next::Unknown(seq) => {
                        if seq >= self.expected {
                            self.lost += seq - self.expected;
                            self.expected = seq + 1;
                            self.unknown += 1;
                        }
                        continue;
                    }
                    Next::Broken(at) => {
                        self.scanner.broken_slot(*block, at);
                        continue;
                    }
                    Next::End => (),
                }
            }
            if !self.turn_to_next_block()? {
                let end = self.handed_out().saturating_add(1);
                self.lost = self.lost.saturating_add(end.saturating_sub(self.expected));
                self.expected = self.expected.max(end);
                return Ok(None);
            }
        }
    }

    /// Puts the block with the next event last, and says how far it may be read; false if there is none.
    fn turn_to_next_block(&mut self) -> Result<bool, ReadError> {
        // No other was read from.
        if let Some(read) = self.open.pop_if(|block| block.next_seq() == u64::MAX) {
            self.spare.push(read.slots.into_buffer());
        }
        loop {
            let (lowest, other) = self.lowest_open();
            let unopened = self.blocks.get(self.opened).copied();
            match (lowest, unopened) {
                (None, None) => return Ok(false),
                (Some((at, lowest)), unopened) if unopened.is_none_or(|block| block.first() > lowest) => {
                    let last = self.open.len() - 1;
                    self.open.swap(at, last);
                    self.limit = other.min(unopened.map_or(u64::MAX, |block| block.first()));
                    // Two blocks that claim the same number: one of them is damaged.
                    self.limit = self.limit.max(lowest + 1);
                    return Ok(true);
                }
                (_, Some(block)) => {
                    self.opened += 1;
                    let Some(slots) = self.slots_of(block)? else { continue };
                    if slots.next_seq() == u64::MAX {
                        self.spare.push(slots.into_buffer());
                    } else if self.open.len() == OPEN_MAX {
                        self.scanner.broken_block(block.block);
                    } else {
                        self.open.push(OpenBlock { block: block.block, slots });
                    }
                }
                (Some(_), None) => unreachable!("no unopened block is none before the lowest"),
            }
        }
    }

    /// Which open block has the next event, and that event's sequence number; and the lowest one of the others.
    fn lowest_open(&self) -> (Option<(usize, u64)>, u64) {
        let mut lowest = None;
        let mut other = u64::MAX;
        for (at, block) in self.open.iter().enumerate() {
            let seq = block.next_seq();
            match lowest {
                Some((_, known)) if seq >= known => other = other.min(seq),
                known => {
                    other = known.map_or(other, |(_, known)| known);
                    lowest = Some((at, seq));
                }
            }
        }
        (lowest, other)
    }

    /// The events of a block; `None` if it is damaged.
    fn slots_of(&mut self, block: EventBlock) -> Result<Option<Slots>, ReadError> {
        let EventBlock { block, length, cut_off } = block;
        let slots = match length {
            Some(length) if cut_off => self.scanner.slots_cut_off(block, length).map(Some),
            _ => {
                let buffer = self.spare.pop().unwrap_or_default();
                self.scanner.slots(block, 0, length, buffer).map(|found| found.map(|(_, slots)| slots))
            }
        };
        slots.map_err(|source| self.scanner.error(source))
    }

    /// Sequence numbers that were handed out; 0 if the header doesn't say.
    fn handed_out(&self) -> u64 {
        self.scanner.whole().map_or(0, |whole| whole.events)
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
            let ends = first_of_next.insert(block.lane(), block.first()).unwrap_or(u64::MAX);
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
            last_of_lane.insert(block.lane(), *block);
        }
        let mut last = 0;
        for block in last_of_lane.into_values() {
            let slots = self.slots_of(block)?;
            let found = slots.and_then(|slots| slots.last_seq(self.scanner.kinds()));
            last = last.max(found.unwrap_or(block.first()));
        }
        Ok(last)
    }

    /// What is known of it besides its events.
    pub fn info(&self) -> TraceInfo<'_> {
        TraceInfo {
            path: self.scanner.path(),
            definitions: &self.definitions,
            clock: self.scanner.clock(),
            end: self.scanner.whole().map(|whole| &whole.end),
            lost: self.lost,
            damage: self.scanner.damage(),
            capabilities: self.scanner.capabilities(),
            unknown_kinds: self.unknown + self.definitions.unknown(),
        }
    }

    /// What events refer to.
    pub fn definitions(&self) -> &Definitions {
        &self.definitions
    }

    /// The same, for keeps.
    pub fn into_definitions(self) -> Definitions {
        self.definitions
    }

    /// Sequence numbers that were handed out, as far as the file tells.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn reserved(&mut self) -> Result<u64, ReadError> {
        match self.handed_out() {
            0 => self.last_seq(),
            handed_out => Ok(handed_out),
        }
    }
}

/// What there is: the blocks of events by their first sequence number, and all definitions.
fn survey(scanner: &mut Scanner, definitions: &mut Definitions) -> io::Result<Vec<EventBlock>> {
    let mut blocks = Vec::new();
    for block in scanner.discover(false)? {
        // What comes into an open block later may refer to definitions that come later.
        let length = match block.closed() {
            true => None,
            false => scanner.slots(block, 0, None, Vec::new())?.map(|(_, slots)| slots.length()),
        };
        blocks.push(EventBlock { block, length, cut_off: false });
    }
    let cut_off = scanner.cut_off()?;
    blocks.extend(cut_off.map(|(block, length)| EventBlock { block, length: Some(length), cut_off: true }));
    blocks.sort_by_key(EventBlock::first);
    // Those of events that were begun meanwhile are too late.
    scanner.discover(false)?;
    scanner.definitions(definitions)?;
    Ok(blocks)
}
