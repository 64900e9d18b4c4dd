//! What is missing from a trace that has ended, or was changed afterwards, doesn't go unnoticed.

use super::*;
use crate::format::header;
use crate::{Capabilities, Capability, Knowledge};

const HEADER: u64 = 4096;
const BLOCK: u64 = 65536;

/// A finished trace: block 0 and 1 hold definitions, 2 to 4 events of vCPU 0 and 1.
fn finished() -> Fixture {
    let fixture = Fixture::new();
    fixture.writer.define(&text("first")).unwrap();
    fixture.writer.define_with_blob(&text("long"), &[7; 70_000]).unwrap();
    fixture.writer.define(&text("last")).unwrap();
    fixture.writer.know(Capability::Handlers, Knowledge::Announced);
    let mut lanes = [fixture.writer.lane(Some(0)), fixture.writer.lane(Some(1))];
    for at in 0..900 {
        fixture.record(&mut lanes[usize::from(at % 3 == 0)]);
    }
    fixture.writer.finish(End::Finished).unwrap();
    assert_eq!(fs::metadata(fixture.path()).unwrap().len(), HEADER + 5 * BLOCK);
    assert_eq!(fixture.open().info().damage, []);
    fixture
}

impl Fixture {
    fn change(&self, change: impl FnOnce(&mut Vec<u8>)) -> Content {
        let mut content = fs::read(self.path()).unwrap();
        change(&mut content);
        fs::write(self.path(), content).unwrap();
        self.open()
    }
}

fn block(content: &mut [u8], index: u64) -> &mut [u8] {
    &mut content[(HEADER + index * BLOCK) as usize..][..BLOCK as usize]
}

fn kinds(trace: &Content) -> Vec<DamageKind> {
    trace.info().damage.iter().map(|damage| damage.kind).collect()
}

fn concerns_definitions(trace: &Content) -> bool {
    trace.info().damage.iter().any(Damage::concerns_definitions)
}

#[test]
fn a_definitions_block_whose_first_word_is_zeroed_is_missing_and_so_is_all_after_it() {
    for (index, left) in [(0, 0), (1, 1)] {
        let trace = finished().change(|content| block(content, index)[..8].fill(0));
        assert_eq!(kinds(&trace), [DamageKind::Missing, DamageKind::Definition], "block {index}");
        assert_eq!(trace.definitions().iter().count(), left);
        assert!(concerns_definitions(&trace));
        assert_eq!((trace.events().len(), trace.info().end), (900, Some(&End::Finished)));
    }
}

#[test]
fn an_events_block_whose_first_word_is_zeroed_is_missing_and_definitions_are_all_there() {
    let trace = finished().change(|content| block(content, 2)[..8].fill(0));
    assert_eq!(trace.info().damage, [Damage { offset: HEADER + 2 * BLOCK, kind: DamageKind::Missing }]);
    assert!(!concerns_definitions(&trace));
    assert_eq!((trace.definitions().iter().count(), trace.info().lost), (3, 300));
    assert_eq!(trace.info().damage[0].to_string(), "missing block at byte 0x21000");
}

#[test]
fn a_trace_that_was_cut_off_at_a_blocks_end_is_damaged() {
    for blocks in 0..5 {
        let length = HEADER + blocks * BLOCK;
        let trace = finished().change(|content| content.truncate(length as usize));
        assert_eq!(trace.info().damage[0], Damage { offset: length, kind: DamageKind::Truncated });
        assert_eq!(concerns_definitions(&trace), blocks < 2, "{blocks} blocks: {:?}", trace.info().damage);
    }
}

#[test]
fn a_trace_that_was_cut_off_anywhere_is_damaged_or_none() {
    let fixture = finished();
    let content = fs::read(fixture.path()).unwrap();
    let lengths = (0..content.len()).step_by(1009).chain([1, 8, 4095, 4096, 4097, content.len() - 1]);
    for length in lengths {
        fs::write(fixture.path(), &content[..length]).unwrap();
        match Content::open(&fixture.path()) {
            Ok(trace) => assert_ne!(trace.info().damage, [], "cut off after {length} bytes"),
            Err(ReadError::Foreign { .. }) => assert!(length < 4096),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn swapped_blocks_are_damage_even_if_each_is_intact() {
    for (one, other) in [(0, 1), (1, 2), (2, 3)] {
        let trace = finished().change(|content| {
            let (low, high) = content.split_at_mut((HEADER + other * BLOCK) as usize);
            low[(HEADER + one * BLOCK) as usize..][..BLOCK as usize]
                .swap_with_slice(&mut high[..BLOCK as usize]);
        });
        assert!(
            kinds(&trace).starts_with(&[DamageKind::Block, DamageKind::Block]),
            "{:?}",
            trace.info().damage
        );
        assert_eq!(concerns_definitions(&trace), one < 2);
    }
}

#[test]
fn a_block_that_was_opened_again_is_damage() {
    let trace = finished().change(|content| block(content, 3)[4 * 8 + 4] = 0);
    assert_eq!(kinds(&trace), [DamageKind::Checksum]);
    assert!(trace.info().lost > 0);
}

#[test]
fn a_changed_block_header_is_damage() {
    for (word, value) in [(0, 0x0201), (1, 3), (2, 64), (3, 7), (4, 1)] {
        let trace =
            finished().change(|content| content[(HEADER + 3 * BLOCK) as usize + word * 8] ^= value as u8);
        assert_ne!(trace.info().damage, [], "word {word}");
    }
}

#[test]
fn any_changed_bit_of_the_header_is_damage_or_another_version() {
    let fixture = finished();
    let mut page = fs::read(fixture.path()).unwrap()[..4096].to_vec();
    // Behind magic and version.
    for bit in 128..4096 * 8 {
        page[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(header::Header::parse(&page).state, header::State::Damaged, "bit {bit}");
        page[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(matches!(header::Header::parse(&page).state, header::State::Ended(_)));
    for bit in 0..128 {
        let mut content = fs::read(fixture.path()).unwrap();
        content[bit / 8] ^= 1 << (bit % 8);
        let error = Content::from_bytes(&content).unwrap_err();
        assert!(matches!(error, ReadError::Foreign { .. } | ReadError::Version { .. }), "{error}");
    }
}

#[test]
fn of_a_trace_with_a_damaged_header_everything_is_read_but_its_end() {
    let trace = finished().change(|content| content[4 * 8] ^= 1);
    assert_eq!(kinds(&trace), [DamageKind::Header]);
    assert!(concerns_definitions(&trace));
    assert_eq!(trace.info().damage[0].to_string(), "the header was changed at byte 0x0");
    assert_eq!((trace.events().len(), trace.info().lost, trace.info().end), (900, 0, None));
    assert_eq!(trace.definitions().iter().count(), 3);
    assert_eq!(trace.info().clock, Clock::Virtual);
}

#[test]
fn fewer_definitions_than_were_counted_are_damage() {
    let fixture = Fixture::new();
    for at in 0..3 {
        fixture.writer.define(&text(&at.to_string())).unwrap();
    }
    fixture.writer.finish(End::Finished).unwrap();
    let trace = fixture.change(|content| {
        content[5 * 8] = 4;
        let seal = crate::format::header::seal(&content[..4096]);
        content[7 * 8..][..8].copy_from_slice(&seal.to_le_bytes());
    });
    assert_eq!(kinds(&trace), [DamageKind::Definition]);
    assert_eq!((trace.definitions().iter().count(), trace.info().end), (3, Some(&End::Finished)));
}

#[test]
fn of_a_killed_trace_a_zeroed_block_before_others_is_missing() {
    let fixture = Fixture::new();
    let mut lane = fixture.writer.lane(Some(0));
    (0..1500).for_each(|_| fixture.record(&mut lane));
    let trace = fixture.change(|content| block(content, 1).fill(0));
    // It may have held definitions.
    assert_eq!(kinds(&trace), [DamageKind::Missing, DamageKind::Definition]);
    assert_eq!(trace.info().lost, 511);
}

#[test]
fn bytes_behind_the_counted_blocks_mean_nothing() {
    let trace = finished().change(|content| content.extend_from_within(4096..4096 + 2 * 65536));
    assert_eq!((trace.events().len(), trace.info().damage), (900, [].as_slice()));
}

#[test]
fn capabilities_come_back_while_a_trace_grows_and_after() {
    let fixture = Fixture::new();
    let mut tail = Tail::open(&fixture.path()).unwrap();
    assert_eq!(tail.info().capabilities, Capabilities::default());
    fixture.writer.know(Capability::Paths, Knowledge::Inferred);
    tail.poll().unwrap();
    assert_eq!(tail.info().capabilities.of(Capability::Paths), Knowledge::Inferred);
    assert_eq!(fixture.open().info().capabilities, tail.info().capabilities);
    for capability in Capability::ALL {
        fixture.writer.know(capability, Knowledge::Announced);
    }
    fixture.writer.finish(End::Finished).unwrap();
    tail.poll().unwrap();
    assert_eq!(tail.info().capabilities, Capabilities::COMPLETE);
    assert_eq!(fixture.open().info().capabilities, Capabilities::COMPLETE);
}
