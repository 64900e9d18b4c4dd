use barscope_trace::End;
use barscope_trace::event::{AccessEvent, Outcome, Target};

use super::*;
use crate::sample::Sample;

/// What is found in accesses, each by size, offset in BAR 0 and whether it writes.
fn found(accesses: &[(u8, u64, bool)]) -> Unmodelled {
    let mut sample = Sample::new();
    sample.add_routes(0);
    for (size, offset, write) in accesses {
        let access =
            if *write { sample.kernel_write(*offset, 0xab) } else { sample.kernel_read(*offset, 0xcd) };
        let outcome = Outcome::Ok;
        sample.access(AccessEvent { size: *size, outcome, ..access });
    }
    of(&sample)
}

fn of(sample: &Sample) -> Unmodelled {
    sample.writer.finish(End::Finished).unwrap();
    Unmodelled::of(&sample.path()).unwrap()
}

#[test]
fn what_a_device_has_is_not_among_it() {
    let unmodelled = found(&[(4, 0x08, true), (4, 0x10, false), (1, 0x11, false)]);
    assert_eq!(unmodelled.rows, []);
    assert_eq!(unmodelled.text(80, 9, false), "nothing was touched that no device has\n");
}

#[test]
fn neighbours_are_one_range_and_the_most_touched_comes_first() {
    let unmodelled = found(&[
        (4, 0x800, false),
        (4, 0x908, true),
        (4, 0x904, true),
        (4, 0x900, false),
        (1, 0xa00, false),
        (4, 0x908, true),
    ]);
    let expected = "    reads   writes  touched, and no device has it
        1        3  00:04.0 lab BAR0+0x900-0x90b
                    first in record 4 by lab::start lab.rs:17; last written 0xab
        1        0  00:04.0 lab BAR0+0x800-0x803
                    first in record 3 by lab::probe lab.rs:13
  and 1 more
";
    assert_eq!(unmodelled.text(80, 2, false), expected);
    let seqs: Vec<_> = unmodelled.rows.iter().map(|row| (row.first, row.last, row.seq)).collect();
    assert_eq!(seqs, [(0x900, 0x90b, 4), (0x800, 0x803, 3), (0xa00, 0xa00, 7)]);
}

#[test]
fn addresses_that_nothing_decodes_are_told_by_themselves() {
    let mut sample = Sample::new();
    let read = sample.kernel_read(0, 0);
    let nothing = AccessEvent { route: 0, outcome: Outcome::Unclaimed, ..read };
    sample.access(AccessEvent { target: Target::Memory(0xd000_0004), ..nothing });
    let port = Target::Port { port: 0x70, routing_id: 0, offset: 0 };
    sample.access(AccessEvent { target: port, size: 1, ..nothing });
    let names: Vec<_> = of(&sample).rows.iter().map(Row::name).collect();
    assert_eq!(names, ["memory 0xd0000004-0xd0000007", "ports 0x70"]);
}

#[test]
fn a_bar_that_is_there_but_not_decoded_is_no_gap_of_the_model() {
    let mut sample = Sample::new();
    sample.add_routes(0);
    let removed = barscope_trace::event::RouteChange::Removed;
    let off = EventKind::Route { route: sample.bar0, change: removed, cause: 0 };
    sample.event(off);
    let read = sample.kernel_read(0x10, 0);
    sample.access(AccessEvent { route: 0, outcome: Outcome::Unclaimed, ..read });
    assert_eq!(of(&sample).rows, []);
}

#[test]
fn places_without_end_take_no_memory_without_end() {
    let mut sample = Sample::new();
    let read = sample.kernel_read(0, 0);
    for at in 0..MOST as u64 + 10 {
        let target = Target::Memory(0x4000_0000 + 0x100 * at);
        sample.access(AccessEvent { route: 0, outcome: Outcome::Unclaimed, target, ..read });
    }
    let unmodelled = of(&sample);
    assert_eq!((unmodelled.rows.len(), unmodelled.left_out), (MOST, 10));
    assert!(unmodelled.text(80, 1, false).contains("10 accesses to other places"));
}
