//! A block of the file, by its header.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use crate::format::{BLOCK_BYTES, BlockKind, HEADER_BYTES, SLOT_BYTES, block, block_checksum};

/// Bytes of a block after its header.
pub(super) const CONTENT_BYTES: usize = BLOCK_BYTES as usize - SLOT_BYTES;

/// A block that was written to, by its header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// Its place among the blocks of the file.
    pub(super) index: usize,
    pub(super) kind: BlockKind,
    /// The sequence number of its first event, or its place among the blocks of definitions.
    pub(super) first: u64,
    /// Bytes of content that hold something.
    pub(super) used: usize,
    /// Its checksum, once it is closed.
    pub(super) check: Option<u32>,
    /// The words that the checksum is of.
    pub(super) words: [u64; block::CHECK],
}

impl Block {
    pub(super) fn closed(&self) -> bool {
        self.check.is_some()
    }

    pub(super) fn offset(&self) -> u64 {
        block_offset(self.index)
    }

    pub(super) fn intact(&self, used: &[u8]) -> bool {
        self.check.is_none_or(|check| block_checksum(self.words, [used]) == check)
    }
}

/// What a block's place holds.
pub(super) enum Found {
    Nothing,
    Broken,
    Block(Block),
}

/// The header of a block. Behind the end of the file there are zeros: a writer that ends cuts off the blocks that it took
/// ahead, maybe since the length was asked for.
pub(super) fn block_header(file: &File, index: usize) -> io::Result<[u8; SLOT_BYTES]> {
    let mut bytes = [0; SLOT_BYTES];
    match file.read_exact_at(&mut bytes, block_offset(index)) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok([0; SLOT_BYTES]),
        result => result.map(|()| bytes),
    }
}

/// Where a block lies in the file.
pub(super) fn block_offset(index: usize) -> u64 {
    HEADER_BYTES.saturating_add((index as u64).saturating_mul(BLOCK_BYTES))
}

/// Where byte `at` of a block's content lies in the file.
pub(super) fn content_offset(index: usize, at: usize) -> u64 {
    block_offset(index).saturating_add((SLOT_BYTES + at) as u64)
}
