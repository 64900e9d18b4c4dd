//! What a trace file gains while it grows, as bytes: for a copy of it elsewhere.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::ReadError;
use super::scan::{CONTENT_BYTES, block_offset, content_offset};
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
        self.read(block_offset(index), SLOT_BYTES)
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
mod tests {
    use std::fs;

    use super::*;
    use crate::definition::Definition;
    use crate::event::{Event, EventKind};
    use crate::format::{Clock, End};
    use crate::reader::Trace;
    use crate::writer::{Lane, Writer};

    /// A trace and a copy of it.
    struct Fixture {
        directory: tempfile::TempDir,
        writer: Writer,
        feed: Feed,
        copy: File,
        /// Bytes that were given.
        bytes: usize,
    }

    impl Fixture {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let writer = Writer::create(&directory.path().join("t"), Clock::Virtual).unwrap();
            let feed = Feed::open(&directory.path().join("t")).unwrap();
            let copy = File::create_new(directory.path().join("copy")).unwrap();
            Self { directory, writer, feed, copy, bytes: 0 }
        }

        fn apply(&mut self, piece: &Piece) {
            match piece {
                Piece::Length(length) => self.copy.set_len(*length).unwrap(),
                Piece::Bytes(offset, bytes) => {
                    self.bytes += bytes.len();
                    self.copy.write_all_at(bytes, *offset).unwrap();
                }
            }
        }

        /// Takes what there is; how many bytes of it.
        fn follow(&mut self) -> usize {
            let before = self.bytes;
            loop {
                let pieces = self.feed.poll().unwrap();
                if pieces.is_empty() {
                    return self.bytes - before;
                }
                pieces.iter().for_each(|piece| self.apply(piece));
            }
        }

        fn is_whole(&self) -> bool {
            let read = |name| fs::read(self.directory.path().join(name)).unwrap();
            read("copy") == read("t")
        }

        fn copied(&self) -> Trace {
            Trace::open(&self.directory.path().join("copy")).unwrap()
        }
    }

    /// Records a mark with a text of its own.
    fn mark(writer: &Writer, lane: &mut Lane) {
        let seq = writer.reserve();
        let text = writer.define(&Definition::Text { text: format!("mark {seq}") }).unwrap();
        lane.record(&Event { seq, host_ns: 0, device_ns: 0, vcpu: None, kind: EventKind::Mark { text } })
            .unwrap();
    }

    /// Holds the copy of a trace against what has to be true of it at any time; how many events it has.
    fn check(trace: &Trace) -> usize {
        assert_eq!(trace.damage(), []);
        assert_eq!(trace.end(), None);
        for event in trace.events() {
            let EventKind::Mark { text } = event.kind else { panic!("{event:?}") };
            assert_eq!(trace.definitions().text(text), format!("mark {}", event.seq));
        }
        trace.events().len()
    }

    #[test]
    fn a_copy_is_a_readable_trace_after_each_piece() {
        let mut fixture = Fixture::new();
        let mut lanes = [fixture.writer.lane(Some(0)), fixture.writer.lane(Some(1))];
        let (mut seen, mut pieces) = (0, 0);
        for round in 0..40 {
            for count in 0..97 {
                mark(&fixture.writer, &mut lanes[(round + count) % 2]);
            }
            for piece in fixture.feed.poll().unwrap() {
                fixture.apply(&piece);
                // The first says how long it will be.
                if fixture.bytes > 0 {
                    let events = check(&fixture.copied());
                    assert!(events >= seen, "{events} of {seen}");
                    seen = events;
                    pieces += 1;
                }
            }
            assert_eq!(seen, (round + 1) * 97);
        }
        assert!(pieces > 120, "{pieces}");
    }

    #[test]
    fn a_copy_of_a_trace_that_has_ended_is_the_same_file() {
        let mut fixture = Fixture::new();
        let mut lane = fixture.writer.lane(None);
        let blob = vec![7; 300_000];
        fixture.writer.define_with_blob(&Definition::Text { text: String::new() }, &blob).unwrap();
        for round in 0..5 {
            (0..1000).for_each(|_| mark(&fixture.writer, &mut lane));
            if round % 2 == 0 {
                fixture.follow();
            }
        }
        fixture.writer.finish(End::Failed("reset".into())).unwrap();
        fixture.follow();
        assert!(fixture.is_whole());
        assert_eq!(fixture.copied().end(), Some(&End::Failed("reset".into())));
    }

    #[test]
    fn what_was_given_is_not_given_again() {
        let mut fixture = Fixture::new();
        let mut lane = fixture.writer.lane(None);
        (0..500).for_each(|_| mark(&fixture.writer, &mut lane));
        assert!(fixture.follow() > 500 * 64);
        assert_eq!(fixture.follow(), 0);
        mark(&fixture.writer, &mut lane);
        // A slot, and of definitions a record of 8 bytes, its text of 38, and the block's header.
        assert_eq!(fixture.follow(), 64 + 8 + 40 + 64);
        for _ in 0..20 {
            (0..500).for_each(|_| mark(&fixture.writer, &mut lane));
            fixture.follow();
        }
        fixture.writer.finish(End::Finished).unwrap();
        fixture.follow();
        assert!(fixture.is_whole());
        let length = fs::metadata(fixture.directory.path().join("t")).unwrap().len();
        assert!((fixture.bytes as u64) < length + 32 * 1024, "{} of {length}", fixture.bytes);
    }

    #[test]
    fn one_call_gives_a_bounded_part_of_what_is_there() {
        let mut fixture = Fixture::new();
        let mut lane = fixture.writer.lane(None);
        let (text, kind) = (Definition::Text { text: "mark".into() }, EventKind::Mark { text: 1 });
        fixture.writer.define(&text).unwrap();
        for seq in 1..=200_000 {
            assert_eq!(fixture.writer.reserve(), seq);
            lane.record(&Event { seq, host_ns: 0, device_ns: 0, vcpu: None, kind: kind.clone() }).unwrap();
        }
        let mut calls = 0;
        loop {
            let pieces = fixture.feed.poll().unwrap();
            assert!(size(&pieces) < (4 << 20) + (128 << 10));
            if pieces.is_empty() {
                break;
            }
            pieces.iter().for_each(|piece| fixture.apply(piece));
            calls += 1;
        }
        assert_eq!((calls, fixture.copied().events().len()), (4, 200_000));
    }

    #[test]
    fn a_trace_whose_writer_died_is_copied_as_it_is_left() {
        let mut fixture = Fixture::new();
        // The first lane's block was taken and never begun, as a writer leaves it that dies there.
        let mut lanes = [fixture.writer.lane(Some(0)), fixture.writer.lane(Some(1))];
        mark(&fixture.writer, &mut lanes[0]);
        mark(&fixture.writer, &mut lanes[1]);
        let trace = File::options().write(true).open(fixture.directory.path().join("t")).unwrap();
        let begun = 4096 + 65536;
        trace.write_all_at(&[0; 8], begun).unwrap();
        fixture.follow();
        loop {
            let pieces = fixture.feed.rest().unwrap();
            if pieces.is_empty() {
                break;
            }
            pieces.iter().for_each(|piece| fixture.apply(piece));
        }
        assert_eq!(fixture.copied().events().len(), 1);
        assert_eq!(fixture.copied().damage().len(), 2, "{:?}", fixture.copied().damage());
    }

    #[test]
    fn a_copy_made_while_others_write_misses_nothing() {
        let mut fixture = Fixture::new();
        let writers: Vec<_> = (0..2)
            .map(|vcpu| {
                let writer = fixture.writer.clone();
                std::thread::spawn(move || {
                    let mut lane = writer.lane(Some(vcpu));
                    (0..20_000).for_each(|_| mark(&writer, &mut lane));
                })
            })
            .collect();
        while writers.iter().any(|thread| !thread.is_finished()) {
            for piece in fixture.feed.poll().unwrap() {
                fixture.apply(&piece);
            }
            if fixture.bytes > 0 {
                check(&fixture.copied());
            }
        }
        fixture.writer.finish(End::Finished).unwrap();
        fixture.follow();
        assert!(fixture.is_whole());
        assert_eq!(fixture.copied().events().len(), 40_000);
    }

    #[test]
    fn a_file_that_is_no_trace_yet_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(matches!(Feed::open(file.path()), Err(ReadError::Foreign { .. })));
        fs::write(file.path(), [0; 8192]).unwrap();
        assert!(matches!(Feed::open(file.path()), Err(ReadError::Foreign { .. })));
    }
}
