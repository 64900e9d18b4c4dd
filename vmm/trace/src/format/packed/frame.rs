//! A packed trace is a chain of frames, one for each block that holds something.
//!
//! ```text
//! 0     magic `BARSPACK`
//! 8     version, 1
//! 16    frames; each begins at a multiple of 8 bytes
//! ```
//!
//! A frame is 72 bytes, and the packed bytes:
//!
//! | word | content |
//! |---|---|
//! | 0-4 | the first words of the block's header, as they are in the trace; of the header page 0 |
//! | 5 | the block's place in the trace plus one; 0 for the header page, which comes first; 2^64 - 1 for the end |
//! | 6 | length of the content (32 bits), of the packed bytes (32 bits) |
//! | 7 | what it is packed with (bits 7:0), 0 (31:8), checksum of the packed bytes (63:32) |
//! | 8 | checksum of words 0 to 7 (31:0), 0 |
//!
//! The end's word 1 is the number of frames before it, word 2 the trace's length in bytes.

use std::io::Read;

use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};

use super::columns;
use crate::format::header::word;
use crate::format::{BLOCK_BYTES, HEADER_BYTES, SLOT_BYTES, block};

/// First word of a packed trace.
pub(crate) const MAGIC: u64 = u64::from_le_bytes(*b"BARSPACK");
/// Goes up with each change that an older reader would misread.
pub(crate) const VERSION: u64 = 1;
/// Bytes before the first frame.
pub(crate) const START: u64 = 16;
/// Bytes of a frame before what is packed.
pub(crate) const HEAD_BYTES: usize = 72;
/// Those of them that the head's checksum is of.
const CHECKED: usize = 64;
/// The most bytes that a frame's content has.
pub(crate) const CONTENT_MAX: usize = BLOCK_BYTES as usize - SLOT_BYTES;
/// The most bytes of packed content: what doesn't compress grows a little.
const PACKED_MAX: usize = 2 * BLOCK_BYTES as usize;
/// The most bytes that a block's columns have: two bytes, a class a slot, five bytes a half of a word.
const COLUMNS_MAX: u64 = 2 + 1024 + (CONTENT_MAX as u64 / 4) * 5;
/// The last place that a block may have: a trace of a TiB.
const PLACE_MAX: u64 = 1 << 24;
/// Place of the end.
const END: u64 = u64::MAX;

/// Deflate, RFC 1951, of the content.
const PLAIN: u8 = 0;
/// Deflate of the content's columns.
const COLUMNS: u8 = 1;

/// What a frame is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// The header page.
    Page,
    /// A block, by its place.
    Block(usize),
    /// Nothing: it is the end.
    End,
}

/// A frame without what is packed in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame {
    pub(crate) of: Of,
    /// The first words of the block's header.
    pub(crate) words: [u64; block::CHECK + 1],
    /// Bytes of content.
    pub(crate) length: usize,
    /// Bytes that it is packed in.
    pub(crate) packed: usize,
    method: u8,
    /// Checksum of those.
    check: u32,
}

impl Frame {
    /// Reads a frame; `None` if it isn't as it was written, or makes no sense.
    pub(crate) fn parse(head: &[u8; HEAD_BYTES]) -> Option<Self> {
        let of = match word(head, 5) {
            0 => Of::Page,
            END => Of::End,
            place if place <= PLACE_MAX => Of::Block(usize::try_from(place - 1).ok()?),
            _ => return None,
        };
        let (length, packed) = (word(head, 6) as u32 as usize, (word(head, 6) >> 32) as usize);
        let most = match of {
            Of::Page => HEADER_BYTES as usize,
            Of::Block(_) => CONTENT_MAX,
            Of::End => 0,
        };
        let method = head[56];
        let intact = word(head, 8) == u64::from(crc32fast::hash(&head[..CHECKED]));
        let sound = length <= most && packed <= PACKED_MAX && method <= COLUMNS && head[57..60] == [0; 3];
        let check = word(head, 7) >> 32;
        let words = std::array::from_fn(|at| word(head, at));
        let frame = Self { of, words, length, packed, method, check: check as u32 };
        (intact && sound).then_some(frame)
    }

    /// Bytes from the beginning of this frame to that of the next one.
    pub(crate) fn span(&self) -> u64 {
        (HEAD_BYTES + self.packed.next_multiple_of(8)) as u64
    }

    /// The end of so many frames, of a trace of this length.
    pub(crate) fn end(frames: u64, length: u64) -> Vec<u8> {
        let mut words = [0; block::CHECK + 1];
        (words[1], words[2]) = (frames, length);
        write(END, words, (0, PLAIN), &[])
    }

    /// A frame of this content, whole. `slots_of` is the size of a record in slots by its word 0, for blocks of records.
    pub(crate) fn encode(
        of: Of,
        words: [u64; block::CHECK + 1],
        content: &[u8],
        slots_of: Option<&dyn Fn(u64) -> usize>,
    ) -> std::io::Result<Vec<u8>> {
        let place = match of {
            Of::Page => 0,
            Of::Block(place) => place as u64 + 1,
            Of::End => END,
        };
        let columns = slots_of.and_then(|slots_of| columns::encode(content, slots_of));
        let (method, bytes) = match &columns {
            Some(columns) => (COLUMNS, &columns[..]),
            None => (PLAIN, content),
        };
        let mut packed = Vec::new();
        // Columns are small already; definitions are few.
        let level = if columns.is_some() { Compression::new(6) } else { Compression::best() };
        DeflateEncoder::new(bytes, level).read_to_end(&mut packed)?;
        Ok(write(place, words, (content.len(), method), &packed))
    }

    /// The content; `None` if what is packed isn't as it was written, or can't be unpacked to as many bytes as the frame says. Never takes more
    /// memory than a few blocks have.
    pub(crate) fn unpack(&self, packed: &[u8]) -> Option<Vec<u8>> {
        if packed.len() != self.packed || crc32fast::hash(packed) != self.check {
            return None;
        }
        let limit = if self.method == COLUMNS { COLUMNS_MAX } else { self.length as u64 };
        let mut bytes = Vec::new();
        DeflateDecoder::new(packed).take(limit + 1).read_to_end(&mut bytes).ok()?;
        match self.method {
            COLUMNS => columns::decode(&bytes, self.length),
            _ => (bytes.len() == self.length).then_some(bytes),
        }
    }
}

fn write(
    place: u64,
    words: [u64; block::CHECK + 1],
    (length, method): (usize, u8),
    packed: &[u8],
) -> Vec<u8> {
    let mut head = [0; HEAD_BYTES];
    let lengths = length as u64 | (packed.len() as u64) << 32;
    let about = u64::from(method) | u64::from(crc32fast::hash(packed)) << 32;
    for (at, word) in words.into_iter().chain([place, lengths, about]).enumerate() {
        head[8 * at..][..8].copy_from_slice(&word.to_le_bytes());
    }
    let check = u64::from(crc32fast::hash(&head[..CHECKED]));
    head[CHECKED..].copy_from_slice(&check.to_le_bytes());
    let mut frame = head.to_vec();
    frame.extend_from_slice(packed);
    frame.resize(frame.len().next_multiple_of(8), 0);
    frame
}
