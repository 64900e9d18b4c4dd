//! The file's space: allocated ahead in chunks, handed out in blocks.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::{Errno, retry_on_intr};

use super::WriteError;
use crate::format::{
    BLOCK_BYTES, BLOCK_SLOTS, BLOCK_WORDS, BlockKind, CHUNK_BYTES, HEADER_BYTES, SLOT_BYTES, SLOT_WORDS,
    block,
};
use crate::mapping::Mapping;

/// Blocks in a chunk.
const CHUNK_BLOCKS: usize = (CHUNK_BYTES / BLOCK_BYTES) as usize;

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

/// Hands out blocks. They stay mapped until the trace is closed.
#[derive(Debug)]
pub(super) struct Blocks {
    file: File,
    path: PathBuf,
    chunks: Vec<Arc<Mapping>>,
    taken: usize,
}

impl Blocks {
    pub(super) fn new(file: File, path: PathBuf) -> Self {
        Self { file, path, chunks: Vec::new(), taken: 0 }
    }

    /// The next unused block. Nothing marks it as used until it is published.
    pub(super) fn take(&mut self) -> Result<Block, WriteError> {
        if self.taken == self.chunks.len() * CHUNK_BLOCKS {
            let grown = self.grow().map_err(|source| WriteError::Grow { path: self.path.clone(), source })?;
            self.chunks.push(Arc::new(grown));
        }
        self.taken += 1;
        Ok(self.block(self.taken - 1))
    }

    fn grow(&self) -> io::Result<Mapping> {
        let offset = HEADER_BYTES + self.chunks.len() as u64 * CHUNK_BYTES;
        allocate(&self.file, offset, CHUNK_BYTES)?;
        Mapping::new(&self.file, offset, CHUNK_BYTES)
    }

    fn block(&self, index: usize) -> Block {
        let chunk = Arc::clone(&self.chunks[index / CHUNK_BLOCKS]);
        Block { chunk, first_word: index % CHUNK_BLOCKS * BLOCK_WORDS }
    }

    /// Closes all blocks and cuts the file after the last one that was taken. Those that lanes still
    /// hold stay within it, so that a late store hits no missing page.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        for index in 0..self.taken {
            self.block(index).close();
        }
        self.file.set_len(HEADER_BYTES + self.taken as u64 * BLOCK_BYTES)
    }
}

/// A block of the file, mapped.
#[derive(Debug)]
pub(super) struct Block {
    chunk: Arc<Mapping>,
    first_word: usize,
}

impl Block {
    /// All its words, the header's first.
    pub(super) fn words(&self) -> &[AtomicU64] {
        &self.chunk.words()[self.first_word..][..BLOCK_WORDS]
    }

    /// The words after the header.
    pub(super) fn content(&self) -> &[AtomicU64] {
        &self.words()[SLOT_WORDS..]
    }

    /// Says what it holds: from here on readers look into it.
    pub(super) fn publish(&self, kind: BlockKind, first: u64) {
        let words = self.words();
        words[block::FIRST].store(first, Ordering::Relaxed);
        words[block::HEAD].store(kind.head(), Ordering::Release);
    }

    /// Says how many bytes of the content are valid.
    pub(super) fn set_used(&self, bytes: usize) {
        self.words()[block::USED].store(bytes as u64, Ordering::Release);
    }

    /// Seals what was written with a checksum. Only under a lock that `Writer::finish` holds as well;
    /// a sealed or unpublished block stays as it is.
    pub(super) fn close(&self) {
        let words = self.words();
        if words[block::CHECK].load(Ordering::Relaxed) & block::CLOSED != 0 {
            return;
        }
        let used = match BlockKind::from_head(words[block::HEAD].load(Ordering::Relaxed)) {
            None => return,
            Some(BlockKind::Definitions) => words[block::USED].load(Ordering::Relaxed) as usize,
            Some(BlockKind::Events { .. }) => {
                // Slots fill in order, and one whose head is there never changes.
                let slots = 1..BLOCK_SLOTS;
                let present =
                    slots.take_while(|slot| words[slot * SLOT_WORDS].load(Ordering::Acquire) != 0).count();
                self.set_used(present * SLOT_BYTES);
                present * SLOT_BYTES
            }
        };
        let crc = crc(&self.content()[..used.div_ceil(size_of::<u64>())]);
        words[block::CHECK].store(u64::from(crc) | block::CLOSED, Ordering::Release);
    }
}

/// CRC-32 of `words` as bytes.
fn crc(words: &[AtomicU64]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    let mut bytes = Vec::with_capacity(words.len() * size_of::<u64>());
    for word in words {
        bytes.extend_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
    }
    hasher.update(&bytes);
    hasher.finalize()
}

/// Stores `bytes` from the first of `words` on, zeros after them up to a whole word.
pub(super) fn store_bytes(words: &[AtomicU64], bytes: &[u8]) {
    for (word, part) in words.iter().zip(bytes.chunks(size_of::<u64>())) {
        let mut value = [0; size_of::<u64>()];
        value[..part.len()].copy_from_slice(part);
        word.store(u64::from_le_bytes(value), Ordering::Relaxed);
    }
}
