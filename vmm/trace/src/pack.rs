//! Packed traces: a fraction of the bytes, and every reader takes them as they are, a block at a time.
//!
//! What a trace holds is packed block by block, damage and all; what readers check a trace by is what they check a packed
//! one by. `docs/trace-format.md` tells the layout.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::format::header::{Header, word};
use crate::format::packed::{CONTENT_MAX, Frame, MAGIC, Of, VERSION};
use crate::format::{self, BLOCK_BYTES, BlockKind, HEADER_BYTES, SEALED, SLOT_BYTES, block};
use crate::reader::{ReadError, open_source};

/// What a packed trace begins with.
pub const BEGINS: [u8; 8] = *b"BARSPACK";
/// What a trace that isn't packed begins with.
pub const UNPACKED_BEGINS: [u8; 8] = format::MAGIC.to_le_bytes();

/// Why a trace can't be packed, or unpacked.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// The trace can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What it becomes can't be written.
    #[error("cannot write it")]
    Write(#[source] io::Error),
}

/// How many bytes a trace had, and has now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packed {
    /// Bytes of the trace.
    pub before: u64,
    /// Bytes that were written.
    pub after: u64,
}

/// Packs the trace at `path` into `out`: however it ended, and whatever of it is damaged. Of one that is still being
/// written, what it holds now.
///
/// # Errors
/// One can't be read, the other can't be written.
pub fn pack(path: &Path, out: &mut impl Write) -> Result<Packed, PackError> {
    let (source, page) = open_source(path)?;
    let kinds = Header::parse(&page).kinds;
    let read = |source| ReadError::Read { path: path.to_owned(), source };
    let length = source.length().map_err(read)?;
    let mut out = Counted { out, count: 0 };
    out.write_all(&MAGIC.to_le_bytes())?;
    out.write_all(&VERSION.to_le_bytes())?;
    let no_words = [0; block::CHECK + 1];
    out.write_all(&Frame::encode(Of::Page, no_words, &page, None).map_err(PackError::Write)?)?;
    let mut frames = 1;
    let mut content = vec![0; CONTENT_MAX];
    let blocks = length.saturating_sub(HEADER_BYTES).div_ceil(BLOCK_BYTES);
    let mut index = 0;
    while index < blocks {
        let offset = HEADER_BYTES + index * BLOCK_BYTES;
        // Where there is nothing, nothing is looked at.
        let Some(data) = source.next_data(offset) else { break };
        if data >= offset + BLOCK_BYTES {
            index = (data - HEADER_BYTES) / BLOCK_BYTES;
            continue;
        }
        let place =
            usize::try_from(index).map_err(|_| PackError::Write(io::ErrorKind::FileTooLarge.into()))?;
        let head = source.block_header(place).map_err(read)?;
        index += 1;
        let words: [u64; block::CHECK + 1] = std::array::from_fn(|at| word(&head, at));
        if words[block::HEAD] == 0 {
            continue;
        }
        let there = (length - offset).saturating_sub(SLOT_BYTES as u64).min(CONTENT_MAX as u64) as usize;
        content.truncate(0);
        content.resize(there, 0);
        match source.read_exact_at(&mut content, offset + SLOT_BYTES as u64) {
            // What can't be unpacked stays so: its checksum is that of something else.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => content.fill(0),
            result => result.map_err(read)?,
        }
        let used = used(&words, &content);
        let kind = BlockKind::from_head(words[block::HEAD]);
        let slots_of = |head| kinds.slots(head);
        let slots_of: Option<&dyn Fn(u64) -> usize> = match kind {
            Some(BlockKind::Events { .. }) => Some(&slots_of),
            _ => None,
        };
        let frame = Frame::encode(Of::Block(place), words, &content[..used], slots_of);
        out.write_all(&frame.map_err(PackError::Write)?)?;
        frames += 1;
    }
    out.write_all(&Frame::end(frames, length))?;
    Ok(Packed { before: length, after: out.count })
}

/// How much of a block's content is more than zeros: what its header says if it is closed, or of definitions.
fn used(words: &[u64; block::CHECK + 1], content: &[u8]) -> usize {
    let counts = words[block::CHECK] & SEALED != 0 || words[block::HEAD] == BlockKind::Definitions.head();
    match usize::try_from(words[block::USED]) {
        Ok(used) if counts && used <= content.len() => used,
        _ => content
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| (last + 1).next_multiple_of(SLOT_BYTES)),
    }
    .min(content.len())
}

/// Unpacks the trace at `path` into `out`, an empty file. One that isn't packed is copied.
///
/// # Errors
/// One can't be read, the other can't be written.
pub fn unpack(path: &Path, out: &File) -> Result<Packed, PackError> {
    let (source, page) = open_source(path)?;
    let read = |source| ReadError::Read { path: path.to_owned(), source };
    let length = source.length().map_err(read)?;
    out.write_all_at(&page, 0).map_err(PackError::Write)?;
    let mut bytes = vec![0; BLOCK_BYTES as usize];
    let mut offset = HEADER_BYTES;
    while offset < length
        && let Some(data) = source.next_data(offset)
    {
        offset = HEADER_BYTES + (data - HEADER_BYTES) / BLOCK_BYTES * BLOCK_BYTES;
        let there = length.saturating_sub(offset).min(BLOCK_BYTES) as usize;
        let (head, content) = bytes[..there].split_at_mut(SLOT_BYTES.min(there));
        let index = usize::try_from((offset - HEADER_BYTES) / BLOCK_BYTES).unwrap_or(usize::MAX);
        head.copy_from_slice(&source.block_header(index).map_err(read)?[..head.len()]);
        match source.read_exact_at(content, offset + SLOT_BYTES as u64) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => content.fill(0),
            result => result.map_err(read)?,
        }
        out.write_all_at(&bytes[..there], offset).map_err(PackError::Write)?;
        offset += BLOCK_BYTES;
    }
    out.set_len(length).map_err(PackError::Write)?;
    Ok(Packed { before: length, after: length })
}

/// Counts what is written.
struct Counted<'a, W> {
    out: &'a mut W,
    count: u64,
}

impl<W: Write> Counted<'_, W> {
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), PackError> {
        self.count += bytes.len() as u64;
        self.out.write_all(bytes).map_err(PackError::Write)
    }
}

#[cfg(test)]
mod tests;
