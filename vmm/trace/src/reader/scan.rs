//! Picks up what a trace file holds that wasn't there the last time.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ReadError;
use super::block::{Block, CONTENT_BYTES, Found, block_offset, content_offset};
use super::damage::{Damage, DamageKind, DamageList};
use super::definition_stream::DefinitionStream;
use super::opened::{self, Opened, read_page};
use super::slots::Slots;
use super::source::Source;
use crate::capability::Capabilities;
use crate::format::header::{Header, Kinds, State, Whole, word};
use crate::format::{BLOCK_BYTES, BlockKind, Clock, HEADER_BYTES, SEALED, SLOT_BYTES, block};

/// Empty blocks in a row that are looked at before the file system is asked whether there is anything behind them.
/// A writer leaves fewer.
const EMPTY_BLOCKS: usize = 64;
/// How often a header page is read that makes no sense: its writer may be sealing it.
const ATTEMPTS: u32 = 4;

/// How far a file was read.
pub(super) struct Scanner {
    file: Source,
    path: PathBuf,
    header: Header,
    /// The block that is looked at next.
    next: usize,
    /// The file was asked where it holds something.
    sparse: bool,
    pub(super) stream: DefinitionStream,
    damage: DamageList,
}

impl Scanner {
    pub(super) fn open(path: &Path) -> Result<Self, ReadError> {
        Self::of(opened::open(path)?, path)
    }

    /// Of what was opened.
    pub(super) fn of(opened: Opened, path: &Path) -> Result<Self, ReadError> {
        let mut scanner = Self::of_source(opened.source, path)?;
        for Damage { offset, kind } in opened.damage {
            scanner.note(offset, kind);
        }
        Ok(scanner)
    }

    fn of_source(file: Source, path: &Path) -> Result<Self, ReadError> {
        let header = read_header(&file, path)?;
        let mut scanner = Self {
            file,
            path: path.to_owned(),
            header,
            next: 0,
            sparse: false,
            stream: DefinitionStream::default(),
            damage: DamageList::default(),
        };
        scanner.check_header();
        Ok(scanner)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn clock(&self) -> Clock {
        self.header.clock
    }

    pub(super) fn capabilities(&self) -> Capabilities {
        self.header.capabilities
    }

    pub(super) fn kinds(&self) -> &Kinds {
        &self.header.kinds
    }

    /// What there has to be; `None` while the trace is being written, and for ever if its writer was killed or its
    /// header is damaged.
    pub(super) fn whole(&self) -> Option<&Whole> {
        match &self.header.state {
            State::Ended(whole) => Some(whole),
            _ => None,
        }
    }

    pub(super) fn damage(&self) -> &[Damage] {
        self.damage.list()
    }

    pub(super) fn error(&self, source: io::Error) -> ReadError {
        ReadError::Read { path: self.path.clone(), source }
    }

    /// Reads the header page again.
    pub(super) fn refresh(&mut self) -> Result<(), ReadError> {
        if self.header.state == State::Running {
            self.header = read_header(&self.file, &self.path)?;
            self.check_header();
        }
        Ok(())
    }

    fn check_header(&mut self) {
        if self.header.state == State::Damaged {
            self.note(0, DamageKind::Header);
        }
    }

    /// Notes damage; of a block that may have held definitions, also that they may be missing.
    fn note(&mut self, offset: u64, kind: DamageKind) {
        self.damage.note(offset, kind);
        let of_block = matches!(
            kind,
            DamageKind::Checksum | DamageKind::Block | DamageKind::Missing | DamageKind::Truncated
        );
        // Of a trace that has ended the definitions are counted.
        if of_block && self.whole().is_none() {
            self.damage.note(offset, DamageKind::Definition);
        }
    }

    /// Notes that definitions are missing, from somewhere before byte `offset` of the file on.
    pub(super) fn note_definitions(&mut self, offset: u64) {
        self.stream.give_up();
        self.damage.note(offset, DamageKind::Definition);
    }

    /// Blocks of events that weren't there before, in the order of the file; those of definitions are kept for
    /// [`Scanner::definitions`]. Unless the trace has ended, `live` is content with those before the first empty
    /// one.
    pub(super) fn discover(&mut self, live: bool) -> io::Result<Vec<Block>> {
        let length = self.file.length()?.saturating_sub(HEADER_BYTES);
        let there = usize::try_from(length / BLOCK_BYTES).unwrap_or(usize::MAX);
        let counted = self.whole().map(|whole| usize::try_from(whole.blocks).unwrap_or(usize::MAX));
        let end = there.min(counted.unwrap_or(there));
        let mut found = Vec::new();
        let mut index = self.next;
        // The first of a row of empty blocks.
        let mut empty = None;
        while index < end {
            let row = index - empty.unwrap_or(index);
            if row >= EMPTY_BLOCKS || (row > 0 && self.sparse) {
                self.sparse = true;
                let data = self.file.next_data(block_offset(index));
                let Some(data) = data else { break };
                // A hole may begin in the header page.
                index = index.max(usize::try_from((data - HEADER_BYTES) / BLOCK_BYTES).unwrap_or(end));
                if index >= end {
                    break;
                }
            }
            let block = match self.block_at(index)? {
                Found::Nothing if live && counted.is_none() => break,
                Found::Nothing => {
                    empty.get_or_insert(index);
                    index += 1;
                    continue;
                }
                Found::Broken => None,
                Found::Block(block) => Some(block),
            };
            if let Some(first) = empty.take() {
                // Blocks are begun in order. The writer may have begun both between the two looks.
                if counted.is_none() && !matches!(self.block_at(first)?, Found::Nothing) {
                    index = first;
                    continue;
                }
                self.note(block_offset(first), DamageKind::Missing);
            }
            match block {
                Some(block) if block.kind == BlockKind::Definitions => self.stream.found(block),
                Some(block) => found.push(block),
                None => self.note(block_offset(index), DamageKind::Block),
            }
            index += 1;
            self.next = index;
        }
        if counted.is_some() {
            if let Some(first) = empty.or_else(|| (index < end).then_some(index)) {
                self.note(block_offset(first), DamageKind::Missing);
            }
            self.next = end;
        }
        if counted.map_or(!length.is_multiple_of(BLOCK_BYTES), |counted| counted > there) {
            self.note(HEADER_BYTES + length, DamageKind::Truncated);
        }
        Ok(found)
    }

    /// A last block that was cut off, and how many bytes of content it has.
    pub(super) fn cut_off(&mut self) -> io::Result<Option<(Block, usize)>> {
        let length = self.file.length()?.saturating_sub(HEADER_BYTES);
        let available =
            ((length % BLOCK_BYTES) as usize / SLOT_BYTES * SLOT_BYTES).saturating_sub(SLOT_BYTES);
        let index = usize::try_from(length / BLOCK_BYTES).unwrap_or(usize::MAX);
        let counted = self.whole().is_none_or(|whole| (index as u64) < whole.blocks);
        if available == 0 || !counted {
            return Ok(None);
        }
        Ok(match self.block_at(index)? {
            Found::Block(block) if block.kind != BlockKind::Definitions => Some((block, available)),
            _ => None,
        })
    }

    /// Looks at the header of a block.
    pub(super) fn block_at(&self, index: usize) -> io::Result<Found> {
        let bytes = self.file.block_header(index)?;
        let words: [u64; block::CHECK] = std::array::from_fn(|at| word(&bytes, at));
        if words[block::HEAD] == 0 {
            return Ok(Found::Nothing);
        }
        let used = usize::try_from(words[block::USED]).unwrap_or(usize::MAX);
        let sound = used <= CONTENT_BYTES && words[block::INDEX] == index as u64;
        let Some(kind) = BlockKind::from_head(words[block::HEAD]).filter(|_| sound) else {
            return Ok(Found::Broken);
        };
        let check = word(&bytes, block::CHECK);
        let check = (check & SEALED != 0).then_some(check as u32);
        Ok(Found::Block(Block { index, kind, first: words[block::FIRST], used, check, words }))
    }

    /// A block as it is now, with the bytes that it uses. `None` if it is damaged, which is noted. Of an open block
    /// of events, all that it may hold is read, from byte `from` of its content on.
    pub(super) fn used(
        &mut self,
        block: Block,
        from: usize,
        mut buffer: Vec<u8>,
    ) -> io::Result<Option<(Block, Vec<u8>)>> {
        // Caught while it was being closed, a block makes no sense.
        for _ in 0..2 {
            let Found::Block(block) = self.block_at(block.index)? else { continue };
            let open_events = !block.closed() && block.kind != BlockKind::Definitions;
            let (from, to) = if open_events { (from, CONTENT_BYTES) } else { (0, block.used) };
            buffer.resize(to, 0);
            match self.file.read_exact_at(&mut buffer[from..], content_offset(block.index, from)) {
                // It can't be unpacked.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => break,
                result => result?,
            }
            if block.intact(&buffer) && (block.closed() || self.whole().is_none()) {
                return Ok(Some((block, buffer)));
            }
        }
        self.note(block.offset(), DamageKind::Checksum);
        if block.kind == BlockKind::Definitions {
            self.note_definitions(block.offset());
        }
        Ok(None)
    }

    /// The events of a block from byte `from` of its content on, and before byte `to`, with the block as it is now;
    /// `None` if it is damaged.
    pub(super) fn slots(
        &mut self,
        block: Block,
        from: usize,
        to: Option<usize>,
        buffer: Vec<u8>,
    ) -> io::Result<Option<(Block, Slots)>> {
        let Some((block, mut bytes)) = self.used(block, from, buffer)? else { return Ok(None) };
        if let Some(to) = to {
            bytes.truncate(to);
        }
        let mut slots = Slots::new(bytes, from, self.kinds());
        if block.closed() {
            slots.must_end(to.map_or(block.used, |to| to.min(block.used)));
        } else {
            // Of a record that was just being written, this may have caught the head, which comes last, but not the
            // rest. Now that the heads are there, so is the rest.
            let length = slots.length();
            self.take_broken(block, &mut slots);
            bytes = slots.into_buffer();
            bytes.resize(length, 0);
            self.file.read_exact_at(&mut bytes[from..], content_offset(block.index, from))?;
            slots = Slots::new(bytes, from, self.kinds());
        }
        self.take_broken(block, &mut slots);
        Ok(Some((block, slots)))
    }

    /// The events of a block that was cut off after `available` bytes of its content: its checksum is of more than
    /// is there, but records are whole or not there, each by itself.
    pub(super) fn slots_cut_off(&mut self, block: Block, available: usize) -> io::Result<Slots> {
        let mut bytes = vec![0; available];
        self.file.read_exact_at(&mut bytes, content_offset(block.index, 0))?;
        Ok(Slots::new(bytes, 0, self.kinds()))
    }

    fn take_broken(&mut self, block: Block, slots: &mut Slots) {
        for at in slots.take_broken() {
            self.broken_slot(block, at);
        }
    }

    /// Reports that the slot at byte `at` of a block's content holds no event.
    #[cold]
    pub(super) fn broken_slot(&mut self, block: Block, at: usize) {
        self.note(content_offset(block.index, at), DamageKind::Slot);
    }

    /// Reports that a block can't be in its place.
    #[cold]
    pub(super) fn broken_block(&mut self, block: Block) {
        self.note(block.offset(), DamageKind::Block);
    }
}

fn read_header(file: &Source, path: &Path) -> Result<Header, ReadError> {
    let mut attempts = 1;
    loop {
        let header = Header::parse(&read_page(file, path)?);
        if header.state != State::Damaged || attempts == ATTEMPTS {
            return Ok(header);
        }
        attempts += 1;
        std::thread::sleep(Duration::from_micros(50));
    }
}
