//! Picks up what a trace file holds that wasn't there the last time.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::slots::Slots;
use super::{Damage, DamageKind, ReadError, packed};
use crate::definition::Definition;
use crate::definitions::Definitions;
use crate::event::Event;
use crate::format::{
    BLOCK_BYTES, BLOCK_SLOTS, BlockKind, Clock, End, HEADER_BYTES, MAGIC, RUNNING, SLOT_BYTES, SLOT_WORDS,
    VERSION, block, header, slot,
};

const WORD: usize = size_of::<u64>();
/// Bytes of a block after its header.
const CONTENT_BYTES: usize = BLOCK_BYTES as usize - SLOT_BYTES;

/// What the header page says.
pub(super) struct Header {
    pub(super) clock: Clock,
    /// `None` while the trace is being written, and for ever if the writer was killed.
    pub(super) end: Option<End>,
    /// How many sequence numbers were handed out; valid with `end`.
    pub(super) events: u64,
}

/// How far a file was read.
pub(super) struct Scanner {
    file: File,
    path: PathBuf,
    blocks: Vec<Progress>,
    /// Bytes of the stream of definitions that are no whole record yet.
    stream: Vec<u8>,
    /// A definition was damaged: what follows has unknown ids.
    stream_broken: bool,
    /// What was found broken.
    pub(super) damage: Vec<Damage>,
}

/// How far a block was read.
#[derive(Clone, Copy, Default)]
struct Progress {
    /// Bytes after the header.
    read: usize,
    /// Nothing will come any more.
    done: bool,
}

/// A block of events, by its header.
#[derive(Clone, Copy, Debug)]
pub(super) struct EventBlock {
    /// Its place among the blocks of the file.
    index: usize,
    /// Who wrote it: a vCPU, or no one of them.
    pub(super) lane: Option<u8>,
    /// The sequence number of its first event.
    pub(super) first: u64,
    used: usize,
    crc: Option<u32>,
    /// How many bytes of content the file has.
    available: usize,
}

impl EventBlock {
    /// `None` if it is a block of something else.
    fn new(index: usize, header: &BlockHeader, available: usize) -> Option<Self> {
        let BlockHeader { kind: BlockKind::Events { vcpu: lane }, first, used, crc } = *header else {
            return None;
        };
        Some(Self { index, lane, first, used, crc, available })
    }
}

/// The header of a block.
struct BlockHeader {
    kind: BlockKind,
    first: u64,
    used: usize,
    /// Its CRC, once it is closed.
    crc: Option<u32>,
}

impl Scanner {
    pub(super) fn open(path: &Path) -> Result<Self, ReadError> {
        let opened =
            packed::open(path).map_err(|source| ReadError::Read { path: path.to_owned(), source })?;
        let (file, cut_off) = opened;
        let damage = cut_off.map(|offset| Damage { offset, kind: DamageKind::Truncated });
        Ok(Self {
            file,
            path: path.to_owned(),
            blocks: Vec::new(),
            stream: Vec::new(),
            stream_broken: false,
            damage: damage.into_iter().collect(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn error(&self, source: io::Error) -> ReadError {
        ReadError::Read { path: self.path.clone(), source }
    }

    /// Reads the header page.
    pub(super) fn header(&self) -> Result<Header, ReadError> {
        let mut page = vec![0; HEADER_BYTES as usize];
        self.file.read_exact_at(&mut page, 0).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ReadError::Foreign { path: self.path.clone() },
            _ => self.error(error),
        })?;
        if word(&page, header::MAGIC) != MAGIC {
            return Err(ReadError::Foreign { path: self.path.clone() });
        }
        let version = word(&page, header::VERSION);
        if version != VERSION {
            return Err(ReadError::Version { path: self.path.clone(), version, supported: VERSION });
        }
        let damaged = || ReadError::Header { path: self.path.clone() };
        let status = word(&page, header::STATUS);
        let end = if status == RUNNING {
            None
        } else {
            let length = (word(&page, header::REASON_LENGTH) as usize).min(header::REASON_MAX);
            let reason = String::from_utf8_lossy(&page[header::REASON * WORD..][..length]);
            Some(End::from_code(status, reason.into_owned()).ok_or_else(damaged)?)
        };
        let clock = Clock::from_code(word(&page, header::CLOCK)).ok_or_else(damaged)?;
        Ok(Header { clock, end, events: word(&page, header::EVENTS) })
    }

    /// Adds what is new. Definitions come after events: an event that was read refers to nothing that
    /// isn't there afterwards, since its writer defined it first.
    pub(super) fn scan(
        &mut self,
        events: &mut Vec<Event>,
        definitions: &mut Definitions,
    ) -> Result<(), ReadError> {
        self.scan_events(events).map_err(|source| self.error(source))?;
        self.scan_definitions(definitions).map_err(|source| self.error(source))
    }

    /// What there is: the blocks of events by their first sequence number, and all definitions.
    pub(super) fn survey(&mut self, definitions: &mut Definitions) -> Result<Vec<EventBlock>, ReadError> {
        let mut survey = |scanner: &mut Self| {
            let mut found = Vec::new();
            let whole = scanner.count_blocks()?;
            for index in 0..whole {
                let Some(header) = scanner.block_header(index)? else { continue };
                found.extend(EventBlock::new(index, &header, CONTENT_BYTES));
            }
            let cut_off = scanner.cut_off_slots()?;
            if cut_off > 0 {
                // Its checksum is of more than is there; slots are whole or not there, each by itself.
                scanner.blocks.push(Progress::default());
                if let Some(header) = scanner.block_header(whole)? {
                    let header = BlockHeader { crc: None, ..header };
                    found.extend(EventBlock::new(whole, &header, cut_off * SLOT_BYTES));
                }
                scanner.blocks.truncate(whole);
            }
            found.sort_by_key(|block| block.first);
            scanner.scan_definitions(definitions)?;
            Ok(found)
        };
        survey(self).map_err(|source| self.error(source))
    }

    /// The events of a block, in the order of their sequence numbers; none if it is damaged. `buffer` is
    /// memory to use.
    pub(super) fn slots_of(&mut self, block: EventBlock, mut buffer: Vec<u8>) -> Result<Slots, ReadError> {
        let EventBlock { index, used, crc, available, .. } = block;
        buffer.resize(available, 0);
        let read = self.file.read_exact_at(&mut buffer, content_offset(index, 0));
        read.map_err(|source| self.error(source))?;
        if crc.is_some_and(|crc| crc32fast::hash(&buffer[..used]) != crc) {
            self.note(Damage { offset: block_offset(index), kind: DamageKind::Checksum });
            buffer.clear();
        }
        Ok(Slots::new(buffer, |at| self.broken_slot(block, at)))
    }

    /// Reports that the slot at byte `at` of a block's content holds no event.
    #[cold]
    pub(super) fn broken_slot(&mut self, block: EventBlock, at: usize) {
        self.note(Damage { offset: content_offset(block.index, at), kind: DamageKind::Slot });
    }

    /// Reports damage once, however often it is met.
    fn note(&mut self, damage: Damage) {
        if !self.damage.contains(&damage) {
            self.damage.push(damage);
        }
    }

    /// How many whole blocks there are: fewer after a writer gave back what it didn't use.
    fn count_blocks(&mut self) -> io::Result<usize> {
        let length = self.file.metadata()?.len().saturating_sub(HEADER_BYTES);
        let blocks = (length / BLOCK_BYTES) as usize;
        self.blocks.resize(self.blocks.len().max(blocks), Progress::default());
        if !length.is_multiple_of(BLOCK_BYTES) {
            self.note(Damage { offset: HEADER_BYTES + length, kind: DamageKind::Truncated });
        }
        Ok(blocks)
    }

    /// How many slots there are of a last block that was cut off.
    fn cut_off_slots(&self) -> io::Result<usize> {
        let rest = self.file.metadata()?.len().saturating_sub(HEADER_BYTES) % BLOCK_BYTES;
        Ok((rest as usize / SLOT_BYTES).saturating_sub(1))
    }

    fn scan_events(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        for index in 0..self.count_blocks()? {
            if self.blocks[index].done {
                continue;
            }
            let Some(found) = self.block_header(index)? else { continue };
            if matches!(found.kind, BlockKind::Events { .. }) && self.intact(index, &found)? {
                self.read_slots(index, &found, events)?;
            }
        }
        Ok(())
    }

    fn scan_definitions(&mut self, definitions: &mut Definitions) -> io::Result<()> {
        let mut read_to = HEADER_BYTES;
        for index in 0..self.blocks.len() {
            if self.blocks[index].done {
                continue;
            }
            let Some(found) = self.block_header(index)? else { continue };
            if found.kind != BlockKind::Definitions {
                continue;
            }
            if !self.intact(index, &found)? {
                self.stream_broken = true;
                continue;
            }
            let progress = self.blocks[index];
            if found.used > progress.read {
                let start = self.stream.len();
                self.stream.resize(start + found.used - progress.read, 0);
                self.file.read_exact_at(&mut self.stream[start..], content_offset(index, progress.read))?;
                self.blocks[index].read = found.used;
                read_to = content_offset(index, found.used);
            }
            if found.used < CONTENT_BYTES {
                // The stream continues in the next block only after this one is full.
                break;
            }
            self.blocks[index].done = true;
        }
        self.decode_stream(definitions, read_to);
        Ok(())
    }

    /// The header of a block that was written to.
    fn block_header(&mut self, index: usize) -> io::Result<Option<BlockHeader>> {
        let mut bytes = [0; SLOT_BYTES];
        let offset = block_offset(index);
        self.file.read_exact_at(&mut bytes, offset)?;
        let head = word(&bytes, block::HEAD);
        if head == 0 {
            return Ok(None);
        }
        let used = word(&bytes, block::USED) as usize;
        let Some(kind) = BlockKind::from_head(head).filter(|_| used <= CONTENT_BYTES) else {
            self.give_up(index, offset, DamageKind::Block);
            return Ok(None);
        };
        let check = word(&bytes, block::CHECK);
        let crc = (check & block::CLOSED != 0).then_some(check as u32);
        Ok(Some(BlockHeader { kind, first: word(&bytes, block::FIRST), used, crc }))
    }

    fn give_up(&mut self, index: usize, offset: u64, kind: DamageKind) {
        self.damage.push(Damage { offset, kind });
        self.blocks[index].done = true;
    }

    /// Holds a block that is met closed against its checksum.
    fn intact(&mut self, index: usize, found: &BlockHeader) -> io::Result<bool> {
        let Some(crc) = found.crc.filter(|_| self.blocks[index].read == 0) else { return Ok(true) };
        let mut content = vec![0; found.used];
        self.file.read_exact_at(&mut content, content_offset(index, 0))?;
        if crc32fast::hash(&content) == crc {
            return Ok(true);
        }
        self.give_up(index, block_offset(index), DamageKind::Checksum);
        Ok(false)
    }

    fn read_slots(&mut self, index: usize, found: &BlockHeader, events: &mut Vec<Event>) -> io::Result<()> {
        let read = self.blocks[index].read;
        let offset = content_offset(index, read);
        let mut content = vec![0; CONTENT_BYTES - read];
        self.file.read_exact_at(&mut content, offset)?;
        let present = content.chunks_exact(SLOT_BYTES).take_while(|slot| word(slot, 0) != 0).count();
        let content = &mut content[..present * SLOT_BYTES];
        if found.crc.is_none() {
            // Of a slot that was just being written, this may have caught the head, which comes last,
            // but not the rest. Now that the heads are there, so is the rest.
            self.file.read_exact_at(content, offset)?;
        }
        for (position, bytes) in content.chunks_exact(SLOT_BYTES).enumerate() {
            match slot::decode(&words(bytes)) {
                Some(event) => events.push(event),
                None => self
                    .damage
                    .push(Damage { offset: offset + (position * SLOT_BYTES) as u64, kind: DamageKind::Slot }),
            }
        }
        let read = read + content.len();
        self.blocks[index] =
            Progress { read, done: read == (BLOCK_SLOTS - 1) * SLOT_BYTES || found.crc.is_some() };
        Ok(())
    }

    /// Takes the whole records off the stream, which was read up to byte `read_to` of the file.
    fn decode_stream(&mut self, definitions: &mut Definitions, read_to: u64) {
        let mut at = 0;
        while !self.stream_broken {
            let Some((json, blob, length)) = record(&self.stream[at..]) else { break };
            match serde_json::from_slice::<Definition>(json) {
                Ok(definition) => definitions.push(definition, blob.to_vec()),
                Err(_) => {
                    self.stream_broken = true;
                    self.damage.push(Damage { offset: read_to, kind: DamageKind::Definition });
                }
            }
            at += length;
        }
        self.stream.drain(..at);
    }
}

/// The JSON text, the blob and the total length of the first record, if all of it is there.
fn record(stream: &[u8]) -> Option<(&[u8], &[u8], usize)> {
    let lengths = u64::from_le_bytes(*stream.first_chunk()?);
    let (json, blob) = (lengths as u32 as usize, (lengths >> 32) as usize);
    let blob_at = WORD + json.next_multiple_of(WORD);
    let end = blob_at + blob.next_multiple_of(WORD);
    (stream.len() >= end).then(|| (&stream[WORD..WORD + json], &stream[blob_at..blob_at + blob], end))
}

/// Where a block lies in the file.
fn block_offset(index: usize) -> u64 {
    HEADER_BYTES + index as u64 * BLOCK_BYTES
}

/// Where byte `at` of a block's content lies in the file.
fn content_offset(index: usize, at: usize) -> u64 {
    block_offset(index) + (SLOT_BYTES + at) as u64
}

/// The words of a slot.
pub(super) fn words(bytes: &[u8]) -> [u64; SLOT_WORDS] {
    std::array::from_fn(|at| word(bytes, at))
}

/// The word at `index`, of bytes that hold at least as many.
pub(super) fn word(bytes: &[u8], index: usize) -> u64 {
    bytes[index * WORD..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}
