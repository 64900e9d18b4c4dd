//! A copy that takes piece after piece, held against the trace that it is of.

use std::fs;

use super::*;
use crate::definition::Definition;
use crate::event::{Event, EventKind};
use crate::format::{Clock, End};
use crate::reader::Content;
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

    fn copied(&self) -> Content {
        Content::open(&self.directory.path().join("copy")).unwrap()
    }
}

/// Records a mark with a text of its own.
fn mark(writer: &Writer, lane: &mut Lane) {
    let seq = writer.reserve();
    let text = writer.define(&Definition::Text { text: format!("mark {seq}") }).unwrap();
    lane.record(&Event {
        seq,
        host_ns: 0,
        device_ns: 0,
        vcpu: None,
        kind: EventKind::Mark { text, process: 0 },
    })
    .unwrap();
}

/// Holds the copy of a trace against what has to be true of it at any time; how many events it has.
fn check(trace: &Content) -> usize {
    assert_eq!(trace.info().damage, []);
    assert_eq!(trace.info().end, None);
    for event in trace.events() {
        let EventKind::Mark { text, .. } = event.kind else { panic!("{event:?}") };
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
    assert_eq!(fixture.copied().info().end, Some(&End::Failed("reset".into())));
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
    let (text, kind) = (Definition::Text { text: "mark".into() }, EventKind::Mark { text: 1, process: 0 });
    fixture.writer.define(&text).unwrap();
    for seq in 1..=200_000 {
        assert_eq!(fixture.writer.reserve(), seq);
        lane.record(&Event { seq, host_ns: 0, device_ns: 0, vcpu: None, kind }).unwrap();
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
    assert_eq!(fixture.copied().info().damage.len(), 2, "{:?}", fixture.copied().info().damage);
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
