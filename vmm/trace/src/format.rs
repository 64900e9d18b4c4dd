//! The layout of a trace file; nothing else knows it.
//!
//! The file is the ring that vCPU threads write into: they store records straight into mapped pages,
//! and whatever they stored is in the file even if the process is killed the next moment. All words
//! are 64 bits, little-endian; all checksums are CRC-32 (IEEE 802.3).
//!
//! ```text
//! 0        header page, 4096 bytes
//! 4096     blocks of 64 KiB, each of 1024 slots of 64 bytes; slot 0 is the block's header
//! ```
//!
//! **Header page**, see [`header`]: clock, end, how much of everything there has to be, the kinds of records with
//! their sizes, and what the trace can tell. It is sealed when the trace ends: a reader that finds the seal intact
//! knows of every block and every definition whether it is missing.
//!
//! **Block header**, in words:
//!
//! | word | content |
//! |---|---|
//! | 0 | kind (byte 0: 1 events, 2 definitions) and vCPU (byte 1 plus one, 0 for none) |
//! | 1 | events: the first one's sequence number; definitions: the block's place among those of definitions, from 0 |
//! | 2 | bytes used after the header |
//! | 3 | the block's place in the file, from 0 |
//! | 4 | checksum of words 0 to 3 and of the bytes used, with bit 32 set once the block is closed |
//! | 5-7 | 0 |
//!
//! Word 0 is stored last; it is zero in a block that nothing was written to: the file grows ahead of what is used.
//! Blocks are begun in the order of the file, so that an empty one before one that isn't was lost. In a trace that
//! has ended, all blocks that the header page counts are closed; what lies behind them means nothing.
//!
//! **Event**: a record of one or more slots, see [`slot`]. Its word 0 is not zero and is stored last, so that a
//! record is there or not, never torn. A record that doesn't fit into what is left of a block goes to the next one:
//! slots that stay empty end a block early. Word 2 of the block header holds good for events only once the block is
//! closed.
//!
//! **Definitions**: the bytes of all blocks of this kind, in the order of the file, are one stream of
//! records: length of the JSON text (32 bits), length of the blob (32 bits), text, blob, the latter two
//! padded with zeros to 8 bytes. Word 2 of the block header is stored after the bytes that it counts. A block that
//! isn't full is the last that holds any. The n-th record defines id n; one whose `define` a reader doesn't know
//! only takes its number.

mod end;
pub(crate) mod header;
pub(crate) mod packed;
pub(crate) mod slot;

pub use end::{Clock, End};

/// First word of the file.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"BARSCOPE");
/// Goes up with each change that an older reader would misread. A new kind of record is none.
pub(crate) const VERSION: u64 = 2;
/// Size of the header page in bytes.
pub(crate) const HEADER_BYTES: u64 = 4096;
/// Size of a block in bytes.
pub(crate) const BLOCK_BYTES: u64 = 64 << 10;
/// How much the file grows at a time, in bytes.
pub(crate) const CHUNK_BYTES: u64 = 1 << 20;
/// Size of a slot in bytes.
pub(crate) const SLOT_BYTES: usize = 64;
/// Words in a slot.
pub(crate) const SLOT_WORDS: usize = 8;
/// Slots in a block, the header's among them.
pub(crate) const BLOCK_SLOTS: usize = BLOCK_BYTES as usize / SLOT_BYTES;
/// Words in a block.
pub(crate) const BLOCK_WORDS: usize = BLOCK_SLOTS * SLOT_WORDS;

/// Words of a block's header.
pub(crate) mod block {
    pub(crate) const HEAD: usize = 0;
    pub(crate) const FIRST: usize = 1;
    pub(crate) const USED: usize = 2;
    pub(crate) const INDEX: usize = 3;
    pub(crate) const CHECK: usize = 4;
}

/// In a word that holds a checksum: what it is of is complete, and the checksum valid.
pub(crate) const SEALED: u64 = 1 << 32;

/// Checksum of a block: of its header's words before the checksum, then of the bytes used, piece by piece.
pub(crate) fn block_checksum<P: AsRef<[u8]>>(
    header: [u64; block::CHECK],
    used: impl IntoIterator<Item = P>,
) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for word in header {
        hasher.update(&word.to_le_bytes());
    }
    for piece in used {
        hasher.update(piece.as_ref());
    }
    hasher.finalize()
}

/// What a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockKind {
    /// Events that one lane wrote.
    Events {
        /// The lane's vCPU.
        vcpu: Option<u8>,
    },
    /// A part of the stream of definitions.
    Definitions,
}

impl BlockKind {
    /// Word 0 of the block's header.
    pub(crate) fn head(self) -> u64 {
        match self {
            BlockKind::Events { vcpu } => 1 | vcpu_code(vcpu) << 8,
            BlockKind::Definitions => 2,
        }
    }

    /// The kind that word 0 of a block's header stands for.
    pub(crate) fn from_head(head: u64) -> Option<Self> {
        match head & 0xff {
            1 => Some(BlockKind::Events { vcpu: vcpu_from_code(head >> 8) }),
            2 => Some(BlockKind::Definitions),
            _ => None,
        }
    }
}

/// Nine bits for a vCPU: its index plus one, or 0 for none.
fn vcpu_code(vcpu: Option<u8>) -> u64 {
    vcpu.map_or(0, |index| u64::from(index) + 1)
}

fn vcpu_from_code(code: u64) -> Option<u8> {
    code.checked_sub(1).and_then(|index| u8::try_from(index).ok())
}
