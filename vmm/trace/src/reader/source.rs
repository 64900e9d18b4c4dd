//! Where a trace's bytes come from: its file, or a packed one, a block at a time.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Mutex, PoisonError};

use super::block::{block_header, block_offset};
use super::sparse::Sparse;
use super::{Damage, DamageKind};
use crate::format::header::word;
use crate::format::packed::{Frame, HEAD_BYTES, Of, START, VERSION};
use crate::format::{BLOCK_BYTES, HEADER_BYTES, SLOT_BYTES};

/// The bytes of a trace.
pub(crate) enum Source {
    /// Its file, and where that holds something.
    Plain(File, Mutex<Sparse>),
    /// A packed one.
    Packed(Frames),
}

impl Source {
    /// Length of the trace in bytes.
    pub(crate) fn length(&self) -> io::Result<u64> {
        match self {
            Source::Plain(file, _) => Ok(file.metadata()?.len()),
            Source::Packed(frames) => Ok(frames.length),
        }
    }

    /// Reads as many bytes as `bytes` has; of a block or of the header page.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if there are fewer, [`io::ErrorKind::InvalidData`] if they can't be unpacked.
    pub(crate) fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        match self {
            Source::Plain(file, _) => file.read_exact_at(bytes, offset),
            Source::Packed(frames) => frames.read_exact_at(bytes, offset),
        }
    }

    /// The header of a block.
    pub(crate) fn block_header(&self, index: usize) -> io::Result<[u8; SLOT_BYTES]> {
        match self {
            Source::Plain(file, _) => block_header(file, index),
            Source::Packed(frames) => Ok(frames.block_header(index)),
        }
    }

    /// The first byte from `offset` on where it may hold something; `None` if there is none.
    pub(crate) fn next_data(&self, offset: u64) -> Option<u64> {
        match self {
            Source::Plain(file, sparse) => {
                sparse.lock().unwrap_or_else(PoisonError::into_inner).next_data(file, offset)
            }
            Source::Packed(frames) => {
                let index = usize::try_from(offset.saturating_sub(HEADER_BYTES) / BLOCK_BYTES).ok()?;
                frames.blocks.range(index..).next().map(|(index, _)| offset.max(block_offset(*index)))
            }
        }
    }
}

/// A packed trace: its frames by the blocks that they are of.
pub(crate) struct Frames {
    file: File,
    /// Length of the trace in bytes.
    length: u64,
    page: Option<(Frame, u64)>,
    /// Frames of blocks by their place, each with where what is packed begins.
    blocks: BTreeMap<usize, (Frame, u64)>,
    /// The block that was unpacked last.
    last: Mutex<Option<(usize, Vec<u8>)>>,
}

impl Frames {
    /// Finds the frames. Where one is broken it goes on with the next one that isn't.
    ///
    /// # Errors
    /// The file can't be read, or is of another version.
    pub(super) fn open(file: File) -> io::Result<(Self, Vec<Damage>)> {
        let mut start = [0; START as usize];
        file.read_exact_at(&mut start, 0)?;
        if word(&start, 1) != VERSION {
            let version = word(&start, 1);
            return Err(io::Error::other(format!(
                "it is packed by a later barscope (version {version}, this program reads {VERSION})"
            )));
        }
        let size = file.metadata()?.len();
        let mut frames =
            Self { file, length: 0, page: None, blocks: BTreeMap::new(), last: Mutex::default() };
        let mut damage = Vec::new();
        let (mut at, mut count, mut end) = (START, 0, None);
        let mut search = Search::default();
        while end.is_none() && at + HEAD_BYTES as u64 <= size {
            let head = search.head(&frames.file, at, size)?;
            let frame = Frame::parse(&head).filter(|frame| at + frame.span() <= size);
            let Some(frame) = frame else {
                if search.began.is_none() {
                    search.began = Some(at);
                    damage.push(Damage { offset: at, kind: DamageKind::Block });
                }
                at += 8;
                continue;
            };
            search.began = None;
            count += 1;
            let packed = at + HEAD_BYTES as u64;
            let again = match frame.of {
                Of::Page => frames.page.replace((frame, packed)).is_some(),
                Of::Block(place) => frames.blocks.insert(place, (frame, packed)).is_some(),
                Of::End => {
                    end = Some((frame.words[1], frame.words[2]));
                    false
                }
            };
            if again {
                damage.push(Damage { offset: at, kind: DamageKind::Block });
            }
            at += frame.span();
        }
        let after_last =
            frames.blocks.last_key_value().map_or(HEADER_BYTES, |(last, _)| block_offset(last + 1));
        match end {
            Some((expected, length)) => {
                frames.length = length;
                if expected + 1 != count || at != size {
                    damage.push(Damage { offset: at, kind: DamageKind::Block });
                }
            }
            None => {
                frames.length = after_last;
                damage.push(Damage { offset: at, kind: DamageKind::Truncated });
            }
        }
        Ok((frames, damage))
    }

    fn block_header(&self, index: usize) -> [u8; SLOT_BYTES] {
        let mut bytes = [0; SLOT_BYTES];
        if let Some((frame, _)) = self.blocks.get(&index) {
            for (at, word) in frame.words.into_iter().enumerate() {
                bytes[8 * at..][..8].copy_from_slice(&word.to_le_bytes());
            }
        }
        bytes
    }

    fn unpack(&self, (frame, offset): (Frame, u64)) -> io::Result<Vec<u8>> {
        let mut packed = vec![0; frame.packed];
        self.file.read_exact_at(&mut packed, offset)?;
        frame.unpack(&packed).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn read_exact_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        if offset.saturating_add(bytes.len() as u64) > self.length.max(HEADER_BYTES) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.fill(0);
        if offset < HEADER_BYTES {
            let page = self.page.ok_or(io::ErrorKind::InvalidData)?;
            copy(bytes, &self.unpack(page)?, offset as usize);
            return Ok(());
        }
        let (index, within) = ((offset - HEADER_BYTES) / BLOCK_BYTES, (offset - HEADER_BYTES) % BLOCK_BYTES);
        let index = usize::try_from(index).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let within = within as usize;
        let Some(found) = self.blocks.get(&index) else { return Ok(()) };
        if within < SLOT_BYTES {
            copy(bytes, &self.block_header(index), within);
            return Ok(());
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.as_ref().is_none_or(|(known, _)| *known != index) {
            *last = None;
            *last = Some((index, self.unpack(*found)?));
        }
        if let Some((_, content)) = &*last {
            copy(bytes, content, within - SLOT_BYTES);
        }
        Ok(())
    }
}

/// Copies what there is of `content` from `from` on; the rest stays 0.
fn copy(bytes: &mut [u8], content: &[u8], from: usize) {
    let content = content.get(from..).unwrap_or_default();
    let length = bytes.len().min(content.len());
    bytes[..length].copy_from_slice(&content[..length]);
}

/// Looks for the next frame behind a broken one.
#[derive(Default)]
struct Search {
    /// Where it began.
    began: Option<u64>,
    /// Bytes of the file, from this offset on.
    bytes: Vec<u8>,
    from: u64,
}

impl Search {
    /// Bytes that are read at a time.
    const PART: u64 = 1 << 16;

    /// What may be a frame's head.
    fn head(&mut self, file: &File, at: u64, size: u64) -> io::Result<[u8; HEAD_BYTES]> {
        let mut head = [0; HEAD_BYTES];
        if self.began.is_none() {
            file.read_exact_at(&mut head, at)?;
            return Ok(head);
        }
        let there = self.from..self.from + self.bytes.len() as u64;
        if !(there.contains(&at) && at + HEAD_BYTES as u64 <= there.end) {
            let length = (size - at).min(Self::PART);
            self.bytes.resize(length as usize, 0);
            self.from = at;
            file.read_exact_at(&mut self.bytes, at)?;
        }
        head.copy_from_slice(&self.bytes[(at - self.from) as usize..][..HEAD_BYTES]);
        Ok(head)
    }
}
