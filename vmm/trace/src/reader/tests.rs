//! The file from both ends: what a writer writes, readers read, whatever became of the writer.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use tempfile::TempDir;

mod bounds;
mod damage;
mod kinds;
mod mutations;

use super::*;
use crate::definition::{Definition, Image, Machine};
use crate::event::{AccessEvent, Event, EventKind};
use crate::format::header::{Header, State};
use crate::format::{Clock, End};
use crate::writer::{Lane, Writer};

struct Fixture {
    directory: TempDir,
    writer: Writer,
}

impl Fixture {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let writer = Writer::create(&directory.path().join("t"), Clock::Virtual).unwrap();
        Self { directory, writer }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("t")
    }

    fn open(&self) -> Content {
        Content::open(&self.path()).unwrap()
    }

    /// Records an event with the next sequence number.
    fn record(&self, lane: &mut Lane) {
        lane.record(&event(self.writer.reserve())).unwrap();
    }

    /// Overwrites a byte of the file.
    fn damage(&self, offset: u64) {
        let file = OpenOptions::new().write(true).open(self.path()).unwrap();
        file.write_all_at(&[0xa5], offset).unwrap();
    }
}

fn event(seq: u64) -> Event {
    let access =
        AccessEvent { value: seq.wrapping_mul(0x9e37_79b9_7f4a_7c15), size: 4, ..Default::default() };
    Event { seq, host_ns: seq * 3, device_ns: seq * 2, vcpu: Some(0), kind: EventKind::Access(access) }
}

fn text(text: &str) -> Definition {
    Definition::Text { text: text.to_owned() }
}

fn sequence(events: &[Event]) -> Vec<u64> {
    events.iter().map(|event| event.seq).collect()
}

#[test]
fn a_finished_trace_comes_back_as_it_was_written() {
    let fixture = Fixture::new();
    let machine = Machine { guest: "test kernel".into(), vcpus: 1, memory: 32 << 20 };
    assert_eq!(fixture.writer.define(&Definition::Machine(machine.clone())).unwrap(), 1);
    let image = Image::new("user", Some(0x1000));
    let blob = (0..200_000u32).map(|at| at as u8).collect::<Vec<_>>();
    assert_eq!(fixture.writer.define_with_blob(&Definition::Image(image.clone()), &blob).unwrap(), 2);
    assert_eq!(fixture.writer.define(&text("mark")).unwrap(), 3);
    let mut lane = fixture.writer.lane(Some(0));
    for _ in 0..5000 {
        fixture.record(&mut lane);
    }
    fixture.writer.finish(End::Finished).unwrap();

    let trace = fixture.open();
    assert_eq!(trace.info().clock, Clock::Virtual);
    assert_eq!(trace.info().end, Some(&End::Finished));
    assert_eq!(trace.definitions().machine(), Some(&machine));
    assert_eq!(trace.definitions().images().collect::<Vec<_>>(), [(2, &image)]);
    assert_eq!(trace.definitions().blob(2), blob);
    assert_eq!(trace.definitions().text(3), "mark");
    assert_eq!(trace.definitions().get(4), None);
    assert_eq!(trace.events(), (1..=5000).map(event).collect::<Vec<_>>());
    assert_eq!(trace.event(4711), Some(&event(4711)));
    assert_eq!((trace.info().lost, trace.info().damage), (0, [].as_slice()));
    // 4 blocks of definitions, 10 of 511 events, and nothing that isn't used.
    assert_eq!(fs::metadata(fixture.path()).unwrap().len(), 4096 + 14 * 65536);
}

#[test]
fn a_killed_writer_leaves_everything_it_recorded() {
    let fixture = Fixture::new();
    fixture.writer.define(&text("a")).unwrap();
    let mut lane = fixture.writer.lane(Some(0));
    for _ in 0..1500 {
        fixture.record(&mut lane);
    }
    let copy = fixture.directory.path().join("copy");
    fs::copy(fixture.path(), &copy).unwrap();
    let trace = Content::open(&copy).unwrap();
    assert_eq!((trace.events().len(), trace.info().lost, trace.info().end), (1500, 0, None));
    assert_eq!(trace.definitions().text(1), "a");
    assert_eq!(trace.info().damage, []);
}

#[test]
fn a_torn_tail_is_tolerated() {
    let fixture = Fixture::new();
    fixture.writer.define_with_blob(&text("whole"), &[7; 100]).unwrap();
    fixture.writer.define_with_blob(&text("torn"), &[7; 100_000]).unwrap();
    let mut lane = fixture.writer.lane(Some(0));
    for _ in 0..10 {
        fixture.record(&mut lane);
    }
    // The second half of the blob lies in the second block of three.
    OpenOptions::new().write(true).open(fixture.path()).unwrap().set_len(4096 + 65536 + 30_000).unwrap();
    let trace = fixture.open();
    assert_eq!(trace.definitions().text(1), "whole");
    assert_eq!(trace.definitions().get(2), None);
    assert_eq!(trace.events(), []);
    let cut = Damage { offset: 4096 + 65536 + 30_000, kind: DamageKind::Truncated };
    // Of a trace without an end nobody knows what is missing.
    assert_eq!(trace.info().damage, [cut, Damage { kind: DamageKind::Definition, ..cut }]);
    assert_eq!(cut.to_string(), "the file was cut off at byte 0x18530");
}

#[test]
fn of_a_block_that_was_cut_off_the_whole_slots_are_read() {
    let fixture = Fixture::new();
    let mut lane = fixture.writer.lane(Some(0));
    for _ in 0..1500 {
        fixture.record(&mut lane);
    }
    fixture.writer.finish(End::Finished).unwrap();
    // 100 records of the second block, and a part of one more.
    let length = 4096 + 65536 + 64 * 202 + 40;
    OpenOptions::new().write(true).open(fixture.path()).unwrap().set_len(length).unwrap();
    let trace = fixture.open();
    assert_eq!(sequence(trace.events()), (1..=611).collect::<Vec<_>>());
    assert_eq!((trace.info().lost, trace.info().end), (1500 - 611, Some(&End::Finished)));
    assert_eq!(trace.info().damage, [Damage { offset: length, kind: DamageKind::Truncated }]);
}

#[test]
fn the_reason_of_the_end_is_kept() {
    for end in [End::Interrupted("Ctrl-C".into()), End::Failed("triple fault at 0x1234".into())] {
        let fixture = Fixture::new();
        fixture.writer.finish(end.clone()).unwrap();
        fixture.writer.finish(End::Finished).unwrap();
        assert_eq!(fixture.open().info().end, Some(&end));
    }
}

#[test]
fn a_gap_counts_as_lost() {
    let fixture = Fixture::new();
    let mut lane = fixture.writer.lane(Some(0));
    fixture.record(&mut lane);
    fixture.writer.reserve();
    fixture.record(&mut lane);
    assert_eq!(fixture.open().info().lost, 1);
    fixture.writer.reserve();
    fixture.writer.finish(End::Finished).unwrap();
    assert_eq!(fixture.open().info().lost, 2);
}

#[test]
fn a_block_with_a_wrong_checksum_is_reported_and_left_out() {
    let fixture = Fixture::new();
    let mut lane = fixture.writer.lane(Some(0));
    for _ in 0..2000 {
        fixture.record(&mut lane);
    }
    fixture.writer.finish(End::Finished).unwrap();
    fixture.damage(4096 + 64 * 10 + 40);
    let trace = fixture.open();
    assert_eq!(trace.info().damage, [Damage { offset: 4096, kind: DamageKind::Checksum }]);
    assert_eq!((trace.events().len(), trace.info().lost), (2000 - 511, 511));
    assert_eq!(trace.info().damage[0].to_string(), "wrong checksum of the block at byte 0x1000");
}

#[test]
fn broken_blocks_slots_and_definitions_are_reported() {
    let fixture = Fixture::new();
    fixture.writer.define(&text("a")).unwrap();
    let mut lane = fixture.writer.lane(Some(0));
    fixture.record(&mut lane);
    fixture.record(&mut lane);
    let mut second = fixture.writer.lane(Some(1));
    fixture.record(&mut second);
    fixture.damage(4096 + 64 + 8);
    fixture.damage(4096 + 65536 + 64 * 3);
    fixture.damage(4096 + 2 * 65536);
    let trace = fixture.open();
    let kinds = trace.info().damage.iter().map(|damage| damage.kind).collect::<Vec<_>>();
    assert_eq!(kinds, [DamageKind::Block, DamageKind::Definition, DamageKind::Slot]);
    assert_eq!((sequence(trace.events()), trace.info().lost), (vec![1], 0));
}

#[test]
fn foreign_files_get_one_clear_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f");
    let error = |content: &[u8]| {
        fs::write(&path, content).unwrap();
        Content::open(&path).unwrap_err()
    };
    assert!(matches!(error(b""), ReadError::Foreign { .. }));
    assert!(matches!(error(&[0x7f; 5000]), ReadError::Foreign { .. }));
    let mut page = vec![0; 4096];
    page[..9].copy_from_slice(b"BARSCOPE\x01");
    let way_out = "record it again with this program, or read it with the barscope that wrote it";
    let path_text = path.display();
    assert_eq!(
        error(&page).to_string(),
        format!("the trace {path_text} has format version 1, this program reads version 2; {way_out}")
    );
    let packed = gzip(&page);
    assert!(matches!(error(&packed), ReadError::Version { version: 1, .. }));
    assert!(matches!(Content::open(&directory.path().join("none")), Err(ReadError::Read { .. })));
}

#[test]
fn the_tail_waits_at_a_gap_and_flushes_at_the_end() {
    let fixture = Fixture::new();
    let mut tail = Tail::open(&fixture.path()).unwrap();
    assert_eq!(tail.poll().unwrap(), []);
    let (mut first, mut second) = (fixture.writer.lane(Some(0)), fixture.writer.lane(Some(1)));
    let early = fixture.writer.reserve();
    fixture.writer.define(&text("later")).unwrap();
    fixture.record(&mut second);
    assert_eq!(tail.poll().unwrap(), []);
    first.record(&event(early)).unwrap();
    assert_eq!(sequence(&tail.poll().unwrap()), [1, 2]);
    assert_eq!(tail.definitions().text(1), "later");
    assert_eq!(tail.poll().unwrap(), []);

    fixture.writer.reserve();
    fixture.record(&mut first);
    assert_eq!(tail.poll().unwrap(), []);
    assert_eq!(tail.info().end, None);
    fixture.writer.reserve();
    fixture.writer.finish(End::Interrupted("time".into())).unwrap();
    assert_eq!(sequence(&tail.poll().unwrap()), [4]);
    assert_eq!((tail.info().lost, tail.info().end), (2, Some(&End::Interrupted("time".into()))));
    assert_eq!(tail.poll().unwrap(), []);
    assert_eq!(tail.info().lost, 2);
}

#[test]
fn a_stream_goes_on_anywhere_and_knows_the_last_event() {
    let fixture = Fixture::new();
    let mut lanes = [fixture.writer.lane(Some(0)), fixture.writer.lane(Some(1)), fixture.writer.lane(None)];
    for at in 0..20_000 {
        // One lane rarely writes: its first block spans the whole trace.
        let lane = if at % 1000 == 0 { 2 } else { at / 7 % 2 };
        fixture.record(&mut lanes[lane]);
    }
    let mut stream = Stream::open(&fixture.path()).unwrap();
    assert_eq!(stream.last_seq().unwrap(), 20_000);
    for seq in [19_990, 1, 0, 8191, 1001, 20_000, 20_001] {
        stream.seek(seq).unwrap();
        for expected in seq.max(1)..=20_000 {
            assert_eq!(stream.next().unwrap(), Some(event(expected)));
        }
        assert_eq!(stream.next().unwrap(), None);
        assert_eq!((stream.info().lost, stream.info().damage), (0, [].as_slice()));
    }
}

#[test]
fn a_stream_of_a_trace_with_random_damage_ends() {
    let fixture = Fixture::new();
    let mut lanes = [fixture.writer.lane(Some(0)), fixture.writer.lane(Some(1))];
    fixture.writer.define_with_blob(&text("whole"), &[7; 100]).unwrap();
    for at in 0..5000 {
        fixture.record(&mut lanes[at / 3 % 2]);
    }
    fixture.writer.finish(End::Finished).unwrap();
    let intact = fs::read(fixture.path()).unwrap();
    let mut random = 1_u64;
    for _ in 0..300 {
        let mut content = intact.clone();
        for _ in 0..8 {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            let place = (random >> 33) as usize;
            // Mostly headers: what lies in a block is under a checksum.
            let offset = if place.is_multiple_of(3) {
                place % content.len()
            } else {
                4096 + ((place % 6) << 16) + place / 8 % 32
            };
            content[offset] = (random >> 20) as u8;
        }
        fs::write(fixture.path(), &content).unwrap();
        let Ok(mut stream) = Stream::open(&fixture.path()) else { continue };
        let mut last = 0;
        while let Some(event) = stream.next().unwrap() {
            assert!(event.seq > last);
            last = event.seq;
        }
    }
}

#[test]
fn lanes_of_several_threads_merge_while_a_tail_follows() {
    const EACH: u64 = 20_000;
    let fixture = Fixture::new();
    let mut tail = Tail::open(&fixture.path()).unwrap();
    let mut followed = Vec::new();
    std::thread::scope(|scope| {
        let threads = (0..3).map(|vcpu| {
            let writer = fixture.writer.clone();
            scope.spawn(move || {
                let mut lane = writer.lane(Some(vcpu));
                for round in 0..EACH {
                    if round % 1000 == 0 {
                        writer.define_with_blob(&text("definition"), &[vcpu; 3001]).unwrap();
                    }
                    lane.record(&event(writer.reserve())).unwrap();
                }
            })
        });
        let threads = threads.collect::<Vec<_>>();
        while threads.iter().any(|thread| !thread.is_finished()) {
            followed.extend(tail.poll().unwrap());
        }
    });
    fixture.writer.finish(End::Finished).unwrap();
    followed.extend(tail.poll().unwrap());
    let expected = (1..=3 * EACH).map(event).collect::<Vec<_>>();
    assert!(followed == expected, "{} events followed", followed.len());
    let trace = fixture.open();
    assert!(trace.events() == expected);
    assert_eq!(
        (trace.info().lost, tail.info().lost, trace.info().damage, tail.info().damage),
        (0, 0, [].as_slice(), [].as_slice())
    );
    assert_eq!((trace.definitions().iter().count(), tail.definitions().iter().count()), (60, 60));
    assert!((1..=60).all(|id| trace.definitions().blob(id) == tail.definitions().blob(id)));
}

#[test]
fn readers_that_look_while_the_writer_cuts_the_file_to_its_length_see_it_end() {
    for _ in 0..200 {
        let fixture = Fixture::new();
        let path = fixture.path();
        let mut lane = fixture.writer.lane(Some(0));
        fixture.record(&mut lane);
        std::thread::scope(|scope| {
            let tail = scope.spawn(|| {
                let mut tail = Tail::open(&path).unwrap();
                let mut events = 0;
                while tail.info().end.is_none() {
                    events += tail.poll().unwrap().len();
                }
                (events, tail.info().damage.len())
            });
            let feed = scope.spawn(|| {
                let mut feed = Feed::open(&path).unwrap();
                // It ends with the header page, which says so.
                let ended = |piece: &Piece| {
                    let header = |bytes: &[u8]| Header::parse(bytes).state;
                    matches!(piece, Piece::Bytes(0, page) if matches!(header(page), State::Ended(_)))
                };
                while !feed.poll().unwrap().iter().any(ended) {}
            });
            std::thread::sleep(std::time::Duration::from_micros(200));
            fixture.writer.finish(End::Finished).unwrap();
            assert_eq!(tail.join().unwrap(), (1, 0));
            feed.join().unwrap();
        });
    }
}

#[test]
fn a_tail_that_looks_seldom_gets_events_in_parts() {
    const ALL: u64 = 200_000;
    let fixture = Fixture::new();
    let mut lanes = [fixture.writer.lane(Some(0)), fixture.writer.lane(Some(1))];
    for _ in 0..ALL / 2 {
        lanes[0].record(&event(fixture.writer.reserve())).unwrap();
    }
    // Nothing comes out after this one until it is there, behind all others in the file.
    let late = fixture.writer.reserve();
    for _ in 1..ALL / 2 {
        lanes[0].record(&event(fixture.writer.reserve())).unwrap();
    }
    lanes[1].record(&event(late)).unwrap();
    fixture.writer.finish(End::Finished).unwrap();
    let mut tail = Tail::open(&fixture.path()).unwrap();
    let mut parts = Vec::new();
    let mut followed = Vec::new();
    while tail.info().end.is_none() {
        let events = tail.poll().unwrap();
        parts.push(events.len());
        followed.extend(sequence(&events));
    }
    assert!(followed == (1..=ALL).collect::<Vec<_>>(), "{parts:?}");
    // 129 blocks of 511 events; then the rest before the late one.
    assert_eq!(parts, [65_919, 34_081, 100_000]);
    assert_eq!((tail.info().lost, tail.poll().unwrap()), (0, vec![]));
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, content).unwrap();
    encoder.finish().unwrap()
}

fn packed(fixture: &Fixture) -> Vec<u8> {
    gzip(&fs::read(fixture.path()).unwrap())
}

#[test]
fn a_compressed_trace_is_read_like_any_other() {
    let fixture = Fixture::new();
    let mut lane = fixture.writer.lane(Some(0));
    (0..2000).for_each(|_| fixture.record(&mut lane));
    fixture.writer.finish(End::Finished).unwrap();
    let plain = fixture.open();
    fs::write(fixture.path(), packed(&fixture)).unwrap();
    let trace = fixture.open();
    assert_eq!(trace.events(), plain.events());
    assert_eq!(
        (trace.info().end, trace.info().lost, trace.info().damage),
        (Some(&End::Finished), 0, &[][..])
    );
}

#[test]
fn a_compressed_trace_that_was_cut_off_gives_what_is_there() {
    let fixture = Fixture::new();
    let mut lane = fixture.writer.lane(Some(0));
    (0..5000).for_each(|_| fixture.record(&mut lane));
    fixture.writer.finish(End::Finished).unwrap();
    let packed = packed(&fixture);
    fs::write(fixture.path(), &packed[..packed.len() / 2]).unwrap();
    let trace = fixture.open();
    let events = trace.events().len() as u64;
    assert!((511..5000).contains(&events), "{events}");
    assert_eq!(trace.info().lost, 5000 - events);
    assert_eq!(trace.info().damage[0].kind, DamageKind::Truncated);
    // Nothing of it, not even the header.
    fs::write(fixture.path(), &packed[..12]).unwrap();
    assert!(matches!(Content::open(&fixture.path()), Err(ReadError::Foreign { .. })));
}
