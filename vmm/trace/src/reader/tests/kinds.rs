//! Records of a later program, and of more than one slot.

use super::*;
use crate::event::KINDS;

/// Overwrites words of the file.
fn store(fixture: &Fixture, offset: u64, words: &[u64]) {
    let file = OpenOptions::new().write(true).open(fixture.path()).unwrap();
    for (at, word) in (0..).zip(words) {
        file.write_all_at(&word.to_le_bytes(), offset + at * 8).unwrap();
    }
}

/// Word 0 of an entry of the table of kinds that isn't in use.
fn free_entry() -> u64 {
    (16 + 4 * KINDS.len() as u64) * 8
}

#[test]
fn records_of_unknown_kinds_that_are_listed_are_skipped_and_counted() {
    let fixture = Fixture::new();
    let mut lane = fixture.writer.lane(Some(0));
    (0..4).for_each(|_| fixture.record(&mut lane));
    // The second and third access become one record of four slots, and a later one.
    store(&fixture, free_entry(), &[200 | 4 << 8, u64::from_le_bytes(*b"telepath")]);
    store(&fixture, 4096 + 64 * 3, &[200, 3]);
    let trace = fixture.open();
    assert_eq!(
        (sequence(trace.events()), trace.info().lost, trace.info().damage),
        (vec![1, 4], 1, [].as_slice())
    );
    assert_eq!(trace.info().unknown_kinds, 1);
    let mut tail = Tail::open(&fixture.path()).unwrap();
    assert_eq!(sequence(&tail.poll().unwrap()), [1]);
    fixture.writer.finish(End::Finished).unwrap();
    assert_eq!(sequence(&tail.poll().unwrap()), [4]);
    assert_eq!((tail.info().lost, tail.info().unknown_kinds), (1, 1));
}

#[test]
fn a_kind_that_is_not_listed_is_damage() {
    let fixture = Fixture::new();
    let mut lane = fixture.writer.lane(Some(0));
    (0..4).for_each(|_| fixture.record(&mut lane));
    store(&fixture, 4096 + 64 * 3, &[200, 2]);
    let trace = fixture.open();
    assert_eq!(sequence(trace.events()), [1]);
    assert_eq!(trace.info().damage, [Damage { offset: 4096 + 64 * 3, kind: DamageKind::Slot }]);
    assert_eq!(trace.info().unknown_kinds, 0);
}

#[test]
fn definitions_of_unknown_kinds_take_their_ids_and_are_counted() {
    let fixture = Fixture::new();
    fixture.writer.define(&text("one")).unwrap();
    fixture.writer.define_with_blob(&text("two"), b"blob").unwrap();
    fixture.writer.define(&text("three")).unwrap();
    let mut content = fs::read(fixture.path()).unwrap();
    let needle = br#""text","text":"two""#;
    let at = content.windows(needle.len()).position(|part| part == needle).unwrap();
    content[at..][..6].copy_from_slice(br#""aura""#);
    fs::write(fixture.path(), content).unwrap();
    let trace = fixture.open();
    assert_eq!((trace.definitions().text(1), trace.definitions().text(3)), ("one", "three"));
    assert_eq!(trace.definitions().get(2), Some(&Definition::Unknown));
    assert_eq!((trace.info().unknown_kinds, trace.info().damage), (1, [].as_slice()));
}

#[test]
fn records_of_two_slots_never_straddle_the_end_of_a_block() {
    let fixture = Fixture::new();
    let mut lane = fixture.writer.lane(Some(0));
    let jump = |seq| Event { kind: EventKind::ClockJump { to_ns: seq }, ..event(seq) };
    let mut expected = Vec::new();
    let mut tail = Tail::open(&fixture.path()).unwrap();
    let mut followed = Vec::new();
    for at in 0..3000 {
        let seq = fixture.writer.reserve();
        let event = if at % 5 < 2 { jump(seq) } else { event(seq) };
        lane.record(&event).unwrap();
        expected.push(event);
        if at % 100 == 0 {
            followed.extend(tail.poll().unwrap());
        }
    }
    assert!(fixture.open().events() == expected);
    fixture.writer.finish(End::Finished).unwrap();
    followed.extend(tail.poll().unwrap());
    assert!(followed == expected);
    let trace = fixture.open();
    assert!(trace.events() == expected);
    assert_eq!(
        (trace.info().lost, trace.info().damage, tail.info().damage),
        (0, [].as_slice(), [].as_slice())
    );
}

#[test]
fn an_access_that_was_known_to_have_a_stack_and_memory_types_comes_back() {
    use crate::definition::MemoryType;
    let fixture = Fixture::new();
    let mut lane = fixture.writer.lane(Some(0));
    let seq = fixture.writer.reserve();
    let pat = Some(MemoryType::UncacheableMinus);
    let access =
        AccessEvent { stack: 77, pat, memory_type: Some(MemoryType::Uncacheable), ..Default::default() };
    let event = Event { kind: EventKind::Access(access), ..event(seq) };
    lane.record(&event).unwrap();
    fixture.record(&mut lane);
    fixture.writer.finish(End::Finished).unwrap();
    let trace = fixture.open();
    assert_eq!(trace.events(), [event, super::event(2)]);
}
