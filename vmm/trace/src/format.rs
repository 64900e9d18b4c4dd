//! The layout of a trace file; nothing else knows it.
//!
//! The file is the ring that vCPU threads write into: they store records straight into mapped pages,
//! and whatever they stored is in the file even if the process is killed the next moment. All words
//! are 64 bits, little-endian.
//!
//! ```text
//! 0        header page, 4096 bytes
//! 4096     blocks of 64 KiB, each of 1024 slots of 64 bytes; slot 0 is the block's header
//! ```
//!
//! **Header page**, in words: 0 magic `BARSCOPE`, 1 version, 2 clock (1 virtual, 2 host), 3 status (1
//! running, 2 finished, 3 interrupted, 4 failed), 4 sequence numbers handed out, 5 length of the reason
//! in bytes, 6.. the reason in UTF-8. Words 4 and up are valid once the status isn't *running*.
//!
//! **Block header**, in words: 0 kind (byte 0: 1 events, 2 definitions) and vCPU (byte 1 plus one, 0 for
//! none), 1 the first event's sequence number, 2 bytes used after the header, 3 CRC-32 of those bytes
//! with bit 32 set once the block is closed. Word 0 is stored last; it is zero in a block that nothing
//! was written to, which readers skip: the file grows ahead of what is used.
//!
//! **Event**: one slot, see [`slot`]. Its word 0 is not zero and is stored last, so that a slot is there
//! or not, never torn. Word 2 of the block header holds good for events only once the block is closed.
//!
//! **Definitions**: the bytes of all blocks of this kind, in the order of the file, are one stream of
//! records: length of the JSON text (32 bits), length of the blob (32 bits), text, blob, the latter two
//! padded with zeros to 8 bytes. Word 2 of the block header is stored after the bytes that it counts.
//! The n-th record defines id n.

pub(crate) mod slot;

/// First word of the file.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"BARSCOPE");
/// Goes up with each change that an older reader would misread.
pub(crate) const VERSION: u64 = 1;
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

/// Words of the header page.
pub(crate) mod header {
    pub(crate) const MAGIC: usize = 0;
    pub(crate) const VERSION: usize = 1;
    pub(crate) const CLOCK: usize = 2;
    pub(crate) const STATUS: usize = 3;
    pub(crate) const EVENTS: usize = 4;
    pub(crate) const REASON_LENGTH: usize = 5;
    pub(crate) const REASON: usize = 6;
    /// The longest reason in bytes; more is cut off.
    pub(crate) const REASON_MAX: usize = 1024;
}

/// Words of a block's header.
pub(crate) mod block {
    pub(crate) const HEAD: usize = 0;
    pub(crate) const FIRST: usize = 1;
    pub(crate) const USED: usize = 2;
    pub(crate) const CHECK: usize = 3;
    /// In the word CHECK: the block is closed and the CRC valid.
    pub(crate) const CLOSED: u64 = 1 << 32;
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

/// What the device clock of a trace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Each access advances it by a fixed step, and it jumps to the next deadline when the guest is
    /// idle: equal runs give equal traces.
    Virtual,
    /// The host's monotonic clock.
    Host,
}

impl Clock {
    pub(crate) fn code(self) -> u64 {
        match self {
            Clock::Virtual => 1,
            Clock::Host => 2,
        }
    }

    pub(crate) fn from_code(code: u64) -> Option<Self> {
        match code {
            1 => Some(Clock::Virtual),
            2 => Some(Clock::Host),
            _ => None,
        }
    }

    /// How people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Clock::Virtual => "virtual",
            Clock::Host => "host",
        }
    }
}

/// Status of a trace that is being written, or whose writer was killed.
pub(crate) const RUNNING: u64 = 1;

/// How a trace ended. The texts are one line for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The guest was done.
    Finished,
    /// Somebody stopped it: Ctrl-C, a time limit.
    Interrupted(String),
    /// It could not go on: the guest or the host failed.
    Failed(String),
}

impl End {
    pub(crate) fn code(&self) -> u64 {
        match self {
            End::Finished => 2,
            End::Interrupted(_) => 3,
            End::Failed(_) => 4,
        }
    }

    pub(crate) fn from_code(code: u64, reason: String) -> Option<Self> {
        match code {
            2 => Some(End::Finished),
            3 => Some(End::Interrupted(reason)),
            4 => Some(End::Failed(reason)),
            _ => None,
        }
    }

    /// The name of the way it ended.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            End::Finished => "finished",
            End::Interrupted(_) => "interrupted",
            End::Failed(_) => "failed",
        }
    }

    /// Why it ended early; empty for a finished trace.
    pub fn reason(&self) -> &str {
        match self {
            End::Finished => "",
            End::Interrupted(reason) | End::Failed(reason) => reason,
        }
    }

    /// The same, for keeps.
    pub(crate) fn into_reason(self) -> String {
        match self {
            End::Finished => String::new(),
            End::Interrupted(reason) | End::Failed(reason) => reason,
        }
    }
}
