use std::fs;
use std::path::PathBuf;

use super::*;
use crate::definition::Definition;
use crate::event::{AccessEvent, Event, EventKind, Outcome, Target};
use crate::format::{Clock, End};
use crate::reader::{Content, DamageKind, Stream};
use crate::writer::Writer;

/// Mutations that are tried.
const ROUNDS: u64 = 10_000;
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/sample.trace.gz");

/// A trace of some blocks of two lanes, with a long definition.
struct Fixture {
    folder: tempfile::TempDir,
    writer: Writer,
}

impl Fixture {
    fn new(records: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let writer = Writer::create(&folder.path().join("trace"), Clock::Virtual).unwrap();
        let text = |text: &str| Definition::Text { text: text.into() };
        let mark = writer.define(&text("mark")).unwrap();
        writer.define_with_blob(&text("long"), &[7; 66_000]).unwrap();
        let mut lanes = [writer.lane(Some(0)), writer.lane(None)];
        for at in 0..records {
            let kind = match at % 5 {
                0 => EventKind::Mark { text: mark, process: 0 },
                of => EventKind::Access(AccessEvent {
                    target: Target::Memory(0xfe00_0000 + 4 * of),
                    size: 4,
                    value: at.wrapping_mul(0x9e37_79b9) & 0xffff,
                    outcome: Outcome::Unclaimed,
                    instance: at as u32,
                    service_ns: (at % 1000) as u32,
                    ..AccessEvent::default()
                }),
            };
            let event = Event {
                seq: writer.reserve(),
                host_ns: 1000 * at + at * at % 311,
                device_ns: 1000 * at,
                vcpu: (at % 5 != 0).then_some(0),
                kind,
            };
            lanes[usize::from(at % 5 == 0)].record(&event).unwrap();
        }
        Self { folder, writer }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("trace")
    }

    fn finished(records: u64) -> Self {
        let fixture = Self::new(records);
        fixture.writer.reserve();
        fixture.writer.finish(End::Interrupted("enough".into())).unwrap();
        fixture
    }
}

fn packed(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    let figures = pack(path, &mut bytes).unwrap();
    assert_eq!(figures.after, bytes.len() as u64);
    bytes
}

/// Everything that a trace says.
fn said(trace: &Content) -> impl PartialEq + std::fmt::Debug + use<> {
    let definitions = trace.definitions();
    let defined: Vec<_> =
        definitions.iter().map(|(id, it)| (it.clone(), definitions.blob(id).to_vec())).collect();
    let info = trace.info();
    (trace.events().to_vec(), defined, info.end.cloned(), info.clock, info.capabilities, info.lost)
}

/// What unpacking gives.
fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("packed"), folder.path().join("trace"));
    fs::write(&from, bytes).unwrap();
    unpack(&from, &File::create(&to).unwrap()).unwrap();
    fs::read(to).unwrap()
}

#[test]
fn a_finished_trace_comes_back_byte_by_byte_and_reads_the_same_meanwhile() {
    let fixture = Fixture::finished(20_000);
    let bytes = packed(&fixture.path());
    let plain = fs::read(fixture.path()).unwrap();
    assert!(unpacked(&bytes) == plain);
    let trace = Content::from_bytes(&bytes).unwrap();
    assert_eq!(trace.info().damage, []);
    assert_eq!(said(&trace), said(&Content::from_bytes(&plain).unwrap()));
    assert_eq!(trace.info().lost, 1);
}

#[test]
fn a_record_takes_at_most_12_bytes() {
    let fixture = Fixture::finished(100_000);
    let bytes = packed(&fixture.path()).len();
    assert!(bytes < 12 * 100_000, "{bytes}");
}

#[test]
fn what_is_compressed_by_gzip_is_packed_as_well() {
    let bytes = packed(SAMPLE.as_ref());
    let sample = Content::open(SAMPLE.as_ref()).unwrap();
    assert_eq!(said(&Content::from_bytes(&bytes).unwrap()), said(&sample));
    let of_events =
        |frame: &Frame| matches!(BlockKind::from_head(frame.words[0]), Some(BlockKind::Events { .. }));
    let frames = (0..bytes.len() - 72).step_by(8).filter_map(|at| Frame::parse(bytes[at..].first_chunk()?));
    let records: u64 = frames.filter(of_events).map(|frame| frame.span()).sum();
    let each = records as f64 / sample.events().len() as f64;
    assert!(each < 12.0, "{each} bytes a record");
}

#[test]
fn a_packed_trace_is_packed_again_to_the_same() {
    let fixture = Fixture::finished(5000);
    let bytes = packed(&fixture.path());
    let path = fixture.path().with_file_name("packed");
    fs::write(&path, &bytes).unwrap();
    assert!(packed(&path) == bytes);
}

#[test]
fn seeking_in_a_packed_trace_reads_a_part_of_it() {
    let fixture = Fixture::finished(50_000);
    let path = fixture.path().with_file_name("packed");
    fs::write(&path, packed(&fixture.path())).unwrap();
    let mut stream = Stream::open(&path).unwrap();
    stream.seek(40_000).unwrap();
    let first = stream.next().unwrap().unwrap();
    assert_eq!((first.seq, first.device_ns), (40_000, 39_999_000));
    assert_eq!(stream.last_seq().unwrap(), 50_000);
}

#[test]
fn a_trace_of_a_killed_writer_is_packed_as_far_as_it_came() {
    let fixture = Fixture::new(3000);
    let plain = Content::open(&fixture.path()).unwrap();
    let bytes = packed(&fixture.path());
    let trace = Content::from_bytes(&bytes).unwrap();
    assert_eq!((said(&trace), trace.info().end), (said(&plain), None));
    assert_eq!(trace.events().len(), 3000);
}

#[test]
fn damage_of_a_trace_stays_what_it_is() {
    let fixture = Fixture::finished(3000);
    let mut plain = fs::read(fixture.path()).unwrap();
    let at = plain.len() - 30_000;
    plain[at] ^= 4;
    let path = fixture.path().with_file_name("damaged");
    fs::write(&path, &plain).unwrap();
    let (damaged, trace) =
        (Content::from_bytes(&plain).unwrap(), Content::from_bytes(&packed(&path)).unwrap());
    assert_ne!(trace.info().damage, []);
    assert_eq!(trace.info().damage, damaged.info().damage);
    assert_eq!(said(&trace), said(&damaged));
}

#[test]
fn each_bit_of_a_finished_trace_counts() {
    let fixture = Fixture::finished(300);
    let original = packed(&fixture.path());
    let expected = said(&Content::from_bytes(&original).unwrap());
    // Bytes between frames mean nothing.
    for bit in (0..8 * original.len()).step_by(7) {
        let mut bytes = original.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let Ok(trace) = Content::from_bytes(&bytes) else { continue };
        assert!(!trace.info().damage.is_empty() || said(&trace) == expected, "bit {bit}");
    }
}

#[test]
fn no_mutation_of_a_packed_trace_is_silently_accepted() {
    for fixture in [Fixture::finished(2000), Fixture::new(2000)] {
        let original = packed(&fixture.path());
        let expected = said(&Content::from_bytes(&original).unwrap());
        let mut number = 1_u64;
        let mut below = |end: usize| {
            number = number.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            (number >> 33) as usize % end
        };
        let mut noticed = 0;
        for round in 0..ROUNDS / 2 {
            let mut bytes = original.clone();
            let at = below(bytes.len() / 8) * 8;
            match below(6) {
                0 => bytes[at] ^= 1 << below(8),
                1 => bytes[at..at + 8].fill(below(256) as u8),
                2 => bytes.truncate(at),
                3 => {
                    let length = below(4096).min(bytes.len() - at);
                    bytes.drain(at..at + length);
                }
                4 => {
                    let part = bytes[at..(at + below(4096)).min(bytes.len())].to_vec();
                    let to = below(bytes.len() / 8) * 8;
                    bytes.splice(to..to, part);
                }
                _ => {
                    let part = bytes[at..(at + below(4096)).min(bytes.len())].to_vec();
                    let to = below(bytes.len() - part.len());
                    bytes[to..to + part.len()].copy_from_slice(&part);
                }
            }
            let Ok(trace) = Content::from_bytes(&bytes) else { continue };
            if trace.info().damage.is_empty() {
                assert!(said(&trace) == expected, "round {round} was silently accepted");
            } else {
                noticed += 1;
            }
        }
        assert!(noticed > ROUNDS / 4, "only {noticed} mutations were noticed");
    }
}

#[test]
fn a_broken_frame_costs_its_block_and_no_other() {
    let fixture = Fixture::finished(20_000);
    let original = packed(&fixture.path());
    let whole = Content::from_bytes(&original).unwrap().events().len();
    let mut bytes = original;
    // The head of a frame in the middle.
    let heads: Vec<_> = (0..bytes.len() - 72)
        .step_by(8)
        .filter(|at| bytes[*at..].first_chunk().and_then(Frame::parse).is_some())
        .collect();
    bytes[heads[heads.len() / 2] + 3] ^= 1;
    let trace = Content::from_bytes(&bytes).unwrap();
    assert!(trace.info().damage.iter().any(|damage| damage.kind == DamageKind::Block));
    let lost = whole - trace.events().len();
    assert!(lost > 0 && lost < 1024, "{lost} records are lost");
    assert_eq!(trace.info().lost, lost as u64 + 1);
}

#[test]
fn what_would_unpack_to_more_than_it_says_is_refused() {
    // A MiB of zeros, in a frame that says a block's content, or no more than a page.
    let bomb =
        Frame::encode(Of::Block(0), [1, 1, CONTENT_MAX as u64, 0, 0], &vec![0; 1 << 20], None).unwrap();
    assert!(Frame::parse(bomb.first_chunk().unwrap()).is_none());
    let mut less = bomb.clone();
    less[48..52].copy_from_slice(&(CONTENT_MAX as u32).to_le_bytes());
    let check = crc32fast::hash(&less[..64]);
    less[64..68].copy_from_slice(&check.to_le_bytes());
    let frame = Frame::parse(less.first_chunk().unwrap()).unwrap();
    assert_eq!(frame.unpack(&less[72..72 + frame.packed]), None);
}
