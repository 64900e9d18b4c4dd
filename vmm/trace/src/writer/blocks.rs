//! The file's space: allocated ahead in chunks, handed out in blocks.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::{Errno, retry_on_intr};

use super::WriteError;
use crate::format::{
    BLOCK_BYTES, BLOCK_SLOTS, BLOCK_WORDS, BlockKind, CHUNK_BYTES, HEADER_BYTES, SEALED, SLOT_BYTES,
    SLOT_WORDS, block, block_checksum, slot,
};
use crate::mapping::Mapping;

/// Gives `length` bytes from `offset` room on the disk, as zeros.
///
/// # Errors
/// There isn't enough: better here than as SIGBUS at a store to a mapped hole.
pub(super) fn allocate(file: &File, offset: u64, length: u64) -> io::Result<()> {
    // Signals, which take vCPUs out of their guest, interrupt it too.
    match retry_on_intr(|| fallocate(file, FallocateFlags::empty(), offset, length)) {
        // Some file systems (NFS before 4.2, for one) can't promise space; writing takes it.
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => {
            let mut at = offset;
            while at < offset + length {
                file.write_all_at(&[0; HEADER_BYTES as usize], at)?;
                at += HEADER_BYTES;
            }
            Ok(())
        }
        result => Ok(result?),
    }
}

/// How many blocks have their pages before they are taken: one for each lane of two busy ones.
const AHEAD: usize = 2;
/// How many full blocks wait for their checksums at most: a lane that fills them faster closes its own.
pub(super) const WAITING: usize = 8;

/// Something to be done for a block.
pub(super) enum Chore {
    /// Its pages are to be there when records come.
    Populate(Block),
    /// It is full.
    Close(Block),
}

/// Hands out blocks. A chunk stays mapped while one of its blocks is open: a process has few mappings (Linux's
/// `vm.max_map_count`, 65,530 unless told otherwise), and what is mapped counts as its memory.
///
/// The file ends at a limit. So that no record is lost there, a lane is promised its next block before it needs it,
/// and hears that there is none while what it records still has a place.
#[derive(Debug)]
pub(super) struct Blocks {
    file: File,
    path: PathBuf,
    /// Blocks that were given room and nobody took yet, the next one first.
    free: VecDeque<Block>,
    /// Blocks that were given room. Only at the limit a chunk is smaller than others.
    allocated: usize,
    taken: usize,
    /// The first block whose pages nobody touched yet.
    populated: usize,
    /// Full blocks that wait to be closed.
    full: VecDeque<Block>,
    /// No more of them are taken.
    is_over: bool,
    /// Blocks that were taken, but for those that were closed before the last chunk.
    open: Vec<Block>,
    /// Blocks that lanes will take.
    promised: usize,
    /// The file's limit in bytes.
    limit: u64,
}

impl Blocks {
    pub(super) fn new(file: File, path: PathBuf, limit: u64) -> Self {
        Self {
            file,
            path,
            free: VecDeque::new(),
            allocated: 0,
            taken: 0,
            populated: 0,
            full: VecDeque::with_capacity(WAITING),
            is_over: false,
            open: Vec::new(),
            promised: 0,
            limit,
        }
    }

    /// Promises a lane a block.
    pub(super) fn promise(&mut self) -> Result<(), WriteError> {
        self.check_room()?;
        self.promised += 1;
        Ok(())
    }

    /// Promises a lane its first block, for which there is none refused.
    pub(super) fn promise_first(&mut self) {
        self.promised += 1;
    }

    /// Takes a promise back.
    pub(super) fn release(&mut self) {
        self.promised -= 1;
    }

    /// Whether there is a block that nobody was promised.
    pub(super) fn check_room(&self) -> Result<(), WriteError> {
        let wanted = HEADER_BYTES + (self.taken + self.promised + 1) as u64 * BLOCK_BYTES;
        if wanted > self.limit { Err(self.at_limit()) } else { Ok(()) }
    }

    fn at_limit(&self) -> WriteError {
        WriteError::Limit { path: self.path.clone(), limit: self.limit }
    }

    /// How many blocks were taken.
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    /// The next unused block. Nothing marks it as used until it is published.
    pub(super) fn take(&mut self) -> Result<Block, WriteError> {
        if self.free.is_empty() {
            self.grow()?;
        }
        let Some(block) = self.free.pop_front() else { return Err(self.at_limit()) };
        self.open.push(block.clone());
        self.taken += 1;
        Ok(block)
    }

    /// A block is full: it will be closed, or is to be closed by the caller if it is given back.
    pub(super) fn fill(&mut self, full: Block) -> Option<Block> {
        if self.full.len() >= WAITING {
            return Some(full);
        }
        self.full.push_back(full);
        None
    }

    /// What is to be done next for blocks, if anything.
    pub(super) fn next_chore(&mut self) -> Option<Chore> {
        let next = self.populated.max(self.taken);
        if next < self.taken + AHEAD {
            if next >= self.allocated {
                // If that fails, whoever takes the next block tries again, and is told so.
                self.grow().ok();
            }
            if let Some(block) = self.free.get(next - self.taken) {
                self.populated = next + 1;
                return Some(Chore::Populate(block.clone()));
            }
        }
        self.full.pop_front().map(Chore::Close)
    }

    /// No more chores are wanted.
    pub(super) fn end(&mut self) {
        self.is_over = true;
    }

    /// Whether no more chores are wanted.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Gives the file its next chunk.
    fn grow(&mut self) -> Result<(), WriteError> {
        self.check_file()?;
        self.open.retain(|block| !block.is_closed());
        let offset = HEADER_BYTES + self.allocated as u64 * BLOCK_BYTES;
        let length = CHUNK_BYTES.min(self.limit.saturating_sub(offset) / BLOCK_BYTES * BLOCK_BYTES);
        if length == 0 {
            return Err(self.at_limit());
        }
        let grown = allocate(&self.file, offset, length);
        let grown = grown.and_then(|()| Mapping::new(&self.file, offset, length));
        let grown = grown.map_err(|source| WriteError::Grow { path: self.path.clone(), source })?;
        let chunk = Arc::new(grown);
        let blocks = chunk.words().len() / BLOCK_WORDS;
        self.free.extend((0..blocks).map(|place| Block {
            chunk: Arc::clone(&chunk),
            first_word: place * BLOCK_WORDS,
            index: self.allocated + place,
        }));
        self.allocated += blocks;
        Ok(())
    }

    /// Whether the file is still there, and as long as it was made.
    pub(super) fn check_file(&self) -> Result<(), WriteError> {
        let found = self.file.metadata();
        let found = found.map_err(|source| WriteError::Grow { path: self.path.clone(), source })?;
        let is_cut = found.len() < HEADER_BYTES + self.allocated as u64 * BLOCK_BYTES;
        if is_cut || self.open.iter().any(|block| block.chunk.is_cut()) {
            return Err(WriteError::Cut { path: self.path.clone() });
        }
        if found.nlink() == 0 {
            return Err(WriteError::Deleted { path: self.path.clone() });
        }
        Ok(())
    }

    /// Closes all blocks and cuts the file after the last one that was taken. Those that lanes still
    /// hold stay within it, so that a late store hits no missing page.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.end();
        self.free.clear();
        self.full.clear();
        self.open.iter().for_each(Block::close);
        self.file.set_len(HEADER_BYTES + self.taken as u64 * BLOCK_BYTES)?;
        self.allocated = self.taken;
        Ok(())
    }
}

/// A block of the file, mapped.
#[derive(Clone, Debug)]
pub(super) struct Block {
    chunk: Arc<Mapping>,
    first_word: usize,
    /// Its place in the file.
    index: usize,
}

impl Block {
    /// All its words, the header's first.
    #[inline]
    pub(super) fn words(&self) -> &[AtomicU64] {
        &self.chunk.words()[self.first_word..][..BLOCK_WORDS]
    }

    /// The words after the header.
    pub(super) fn content(&self) -> &[AtomicU64] {
        &self.words()[SLOT_WORDS..]
    }

    /// Whether what is stored in it gets lost, since the file ends before it.
    #[inline]
    pub(super) fn is_cut(&self) -> bool {
        self.chunk.is_cut()
    }

    /// Has the system give it its pages now, as the first stores would.
    pub(super) fn populate(&self) {
        // Older kernels can't; and of a file that was cut off there is nothing to be had: stores find that out.
        self.chunk.populate(self.first_word * size_of::<u64>(), BLOCK_BYTES as usize).ok();
    }

    fn is_closed(&self) -> bool {
        self.words()[block::CHECK].load(Ordering::Relaxed) & SEALED != 0
    }

    /// Says what it holds: from here on readers look into it. Blocks are published in their order, which readers
    /// count on.
    pub(super) fn publish(&self, kind: BlockKind, first: u64) {
        let words = self.words();
        words[block::FIRST].store(first, Ordering::Relaxed);
        words[block::INDEX].store(self.index as u64, Ordering::Relaxed);
        words[block::HEAD].store(kind.head(), Ordering::Release);
    }

    /// Says how many bytes of the content are valid.
    pub(super) fn set_used(&self, bytes: usize) {
        self.words()[block::USED].store(bytes as u64, Ordering::Release);
    }

    /// Seals what was written with a checksum. Only if it is full, or under a lock that `Writer::finish` holds as well; a
    /// sealed or unpublished block stays as it is.
    pub(super) fn close(&self) {
        let words = self.words();
        if self.is_closed() {
            return;
        }
        let used = match BlockKind::from_head(words[block::HEAD].load(Ordering::Relaxed)) {
            None => return,
            Some(BlockKind::Definitions) => words[block::USED].load(Ordering::Relaxed) as usize,
            Some(BlockKind::Events { .. }) => {
                let used = self.recorded() * SLOT_BYTES;
                self.set_used(used);
                used
            }
        };
        let header = std::array::from_fn(|at| words[at].load(Ordering::Relaxed));
        // A slot at a time: a lane that closes its own block allocates nothing for that.
        let pieces = self.content()[..used / size_of::<u64>()].chunks(SLOT_WORDS).map(Piece::of);
        let check = block_checksum(header, pieces);
        words[block::CHECK].store(u64::from(check) | SEALED, Ordering::Release);
    }

    /// How many slots of events are there, after the header's. Records fill them in order, and one whose head is
    /// there never changes.
    fn recorded(&self) -> usize {
        let mut at = 1;
        while at < BLOCK_SLOTS {
            let head = self.words()[at * SLOT_WORDS].load(Ordering::Acquire);
            match slot::slots_of(head) {
                0 => break,
                slots => at += slots,
            }
        }
        at - 1
    }
}

/// Stores `bytes` from the first of `words` on, zeros after them up to a whole word.
pub(super) fn store_bytes(words: &[AtomicU64], bytes: &[u8]) {
    for (word, part) in words.iter().zip(bytes.chunks(size_of::<u64>())) {
        let mut value = [0; size_of::<u64>()];
        value[..part.len()].copy_from_slice(part);
        word.store(u64::from_le_bytes(value), Ordering::Relaxed);
    }
}

/// The bytes of at most a slot.
struct Piece {
    bytes: [u8; SLOT_BYTES],
    used: usize,
}

impl Piece {
    fn of(words: &[AtomicU64]) -> Self {
        let mut bytes = [0; SLOT_BYTES];
        for (place, word) in bytes.chunks_exact_mut(size_of::<u64>()).zip(words) {
            place.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        Self { bytes, used: size_of_val(words) }
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.used]
    }
}
