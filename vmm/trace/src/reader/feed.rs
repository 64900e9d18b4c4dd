//! What a trace file gains while it grows, as bytes: for a copy of it elsewhere.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::ReadError;
use super::block::{CONTENT_BYTES, block_header, block_offset, content_offset};
use crate::format::header::{Header, Kinds, word};
use crate::format::{BLOCK_BYTES, BlockKind, HEADER_BYTES, MAGIC, SEALED, SLOT_BYTES, block};

/// About how much one call of [`Feed::poll`] gives, in bytes.
const ENOUGH: usize = 4 << 20;

/// A part of a trace's file.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// The file has this many bytes, those that are new all zeros.
    Length(u64),
    /// Bytes at this offset.
    Bytes(u64, Vec<u8>),
}

/// Follows a trace that is being written, by this process or another.
///
/// It understands as much of the file as it takes to look at nothing again that stays as it is. A copy that takes
/// piece after piece can be read after each of them, like the trace of a writer that was killed: what records
/// refer to comes before them, and blocks begin in their order.
pub struct Feed {
    file: File,
    path: PathBuf,
    kinds: Kinds,
    /// The header page as it was given.
    header: Vec<u8>,
    /// The length that was given.
    length: u64,
    /// The block that is looked at next.
    next: usize,
    /// Blocks that were begun and are not closed, and how much of their content was given.
    open: Vec<Open>,
}

struct Open {
    index: usize,
    kind: BlockKind,
    given: usize,
}

impl Feed {
    /// Opens the trace at `path` at its beginning.
    ///
    /// # Errors
    /// It can't be read, or is no trace, as one whose writer has only just made the file.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let failed = |source| ReadError::Read { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        let mut page = vec![0; HEADER_BYTES as usize];
        file.read_exact_at(&mut page, 0).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ReadError::Foreign { path: path.to_owned() },
            _ => failed(error),
        })?;
        if word(&page, 0) != MAGIC {
            return Err(ReadError::Foreign { path: path.to_owned() });
        }
        let kinds = Header::parse(&page).kinds;
        let (header, open) = (Vec::new(), Vec::new());
        Ok(Self { file, path: path.to_owned(), kinds, header, length: 0, next: 0, open })
    }

    /// What came since the last call; more may be there unless it is nothing.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn poll(&mut self) -> Result<Vec<Piece>, ReadError> {
        self.take(false).map_err(|source| ReadError::Read { path: self.path.clone(), source })
    }

    /// The same once nobody writes any more: what lies behind a block that was never begun comes as well.
    ///
    /// # Errors
    /// The file can't be read.
    pub fn rest(&mut self) -> Result<Vec<Piece>, ReadError> {
        self.take(true).map_err(|source| ReadError::Read { path: self.path.clone(), source })
    }

    fn take(&mut self, ended: bool) -> io::Result<Vec<Piece>> {
        let mut pieces = Vec::new();
        // The page of a trace that ended meanwhile is for the next time: what it counts has to be there.
        let page = self.read(0, HEADER_BYTES as usize)?;
        if self.header.is_empty() {
            pieces.push(Piece::Length(HEADER_BYTES));
            pieces.push(Piece::Bytes(0, page.clone()));
            self.header.clone_from(&page);
            self.length = HEADER_BYTES;
        }
        self.discover(ended, &mut pieces)?;
        self.definitions(&mut pieces)?;
        if size(&pieces) < ENOUGH {
            let mut events = Vec::new();
            self.events(&mut events)?;
            // Events refer to nothing that isn't there by now.
            self.discover(ended, &mut pieces)?;
            self.definitions(&mut pieces)?;
            pieces.extend(events);
        }
        if pieces.is_empty() && page != self.header {
            pieces.push(Piece::Bytes(0, page.clone()));
            self.header = page;
        }
        Ok(pieces)
    }

    /// Finds blocks that were begun, and gives their headers as they were then: without content.
    fn discover(&mut self, ended: bool, pieces: &mut Vec<Piece>) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        if length != self.length {
            pieces.push(Piece::Length(length));
            self.length = length;
        }
        let there = length.saturating_sub(HEADER_BYTES) / BLOCK_BYTES;
        for index in self.next..usize::try_from(there).unwrap_or(usize::MAX) {
            let mut header = self.block_header(index)?;
            let Some(kind) = BlockKind::from_head(word(&header, block::HEAD)) else {
                if ended {
                    continue;
                }
                break;
            };
            for at in [block::USED, block::CHECK] {
                header[at * 8..][..8].fill(0);
            }
            pieces.push(Piece::Bytes(block_offset(index), header));
            self.open.push(Open { index, kind, given: 0 });
            self.next = index + 1;
        }
        Ok(())
    }

    /// Gives what is new in blocks of definitions: content, then the header that counts it.
    fn definitions(&mut self, pieces: &mut Vec<Piece>) -> io::Result<()> {
        let mut open = Vec::new();
        for mut it in std::mem::take(&mut self.open) {
            let mut closed = false;
            if it.kind == BlockKind::Definitions && size(pieces) < ENOUGH {
                let header = self.block_header(it.index)?;
                let used = used(&header);
                closed = is_closed(&header);
                if used > it.given || closed {
                    pieces.extend(self.content(it.index, it.given, used)?);
                    pieces.push(Piece::Bytes(block_offset(it.index), header));
                    it.given = used;
                }
            }
            if !closed {
                open.push(it);
            }
        }
        self.open = open;
        Ok(())
    }

    /// Gives what is new in blocks of events: whole records, and the header once it is closed.
    fn events(&mut self, pieces: &mut Vec<Piece>) -> io::Result<()> {
        let mut open = Vec::new();
        for mut it in std::mem::take(&mut self.open) {
            let mut closed = false;
            if it.kind != BlockKind::Definitions && size(pieces) < ENOUGH {
                let header = self.block_header(it.index)?;
                closed = is_closed(&header);
                let end = if closed { used(&header) } else { self.recorded(&it)? };
                // Of a record that was just being written, the head, which comes last, may have been seen, but not
                // the rest. Now the rest is there.
                pieces.extend(self.content(it.index, it.given, end)?);
                it.given = it.given.max(end);
                if closed {
                    pieces.push(Piece::Bytes(block_offset(it.index), header));
                }
            }
            if !closed {
                open.push(it);
            }
        }
        self.open = open;
        Ok(())
    }

    /// Where the records of a block end that more may come into.
    fn recorded(&self, block: &Open) -> io::Result<usize> {
        let bytes = self.read(content_offset(block.index, block.given), CONTENT_BYTES - block.given)?;
        let mut at = 0;
        while let Some(record) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            match self.kinds.slots(word(record, 0)) * SLOT_BYTES {
                0 => break,
                length => at += length,
            }
        }
        Ok(block.given + at.min(bytes.len()))
    }

    fn content(&self, index: usize, from: usize, to: usize) -> io::Result<Option<Piece>> {
        if to <= from {
            return Ok(None);
        }
        let offset = content_offset(index, from);
        Ok(Some(Piece::Bytes(offset, self.read(offset, to - from)?)))
    }

    fn block_header(&self, index: usize) -> io::Result<Vec<u8>> {
        Ok(block_header(&self.file, index)?.to_vec())
    }

    fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }
}

fn used(header: &[u8]) -> usize {
    usize::try_from(word(header, block::USED)).map_or(CONTENT_BYTES, |used| used.min(CONTENT_BYTES))
}

fn is_closed(header: &[u8]) -> bool {
    word(header, block::CHECK) & SEALED != 0
}

fn size(pieces: &[Piece]) -> usize {
    pieces.iter().map(|piece| if let Piece::Bytes(_, bytes) = piece { bytes.len() } else { 0 }).sum()
}

#[cfg(test)]
mod tests;
