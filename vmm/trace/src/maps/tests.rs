//! Who mapped what, as a table and as data.

use super::*;
use crate::event::{AccessEvent, Backing, Counted, EventKind, Outcome, RouteChange};
use crate::format::End;
use crate::sample::{MMAP, Sample, count};

/// The table of a trace that is done.
fn printed(sample: &Sample) -> String {
    sample.writer.finish(End::Finished).unwrap();
    let (maps, completeness) = Maps::read(&sample.path()).unwrap();
    let mut out = Vec::new();
    print(&mut out, &maps, &completeness, 80, false).unwrap();
    String::from_utf8(out).unwrap()
}

fn read(sample: &Sample) -> Maps {
    Maps::read(&sample.path()).unwrap().0
}

#[test]
fn each_mapping_of_a_bar_has_a_line_with_its_life() {
    let mut sample = Sample::new();
    sample.play();
    let expected = "\
00:04.0 lab BAR0 = 0xfe000000 -> fe000000-fe000fff, 4 KiB
  decoded in records 3 to the end (by 2)
  kernel ioremap  ffffc90000001000 -> fe000000  ioremap(0xfe000000, 0x1000)
     made  undone   first    last  accesses  type by
        5       -       7      27         4  UC-  lab::probe
  user   mmap     0000400000000000 -> fe000000  mmap(lab, 4096, offset 0)
     made  undone   first    last  accesses  type by
        9      13      11      11         1  UC-  user 1, on first touch,
                                                  1 page fault, 0 kernel entries
00:04.0 lab BAR2 = 0x80000000c -> 800000000-8000fffff, 1 MiB
  decoded in records 4 to the end (by 2)
  not mapped
";
    assert_eq!(printed(&sample), expected);
}

#[test]
fn an_access_after_the_bar_moved_away_counts_as_one_that_reached_nothing() {
    let mut sample = Sample::new();
    sample.event(EventKind::Map { mapping: sample.kernel_mapping });
    let route = sample.bar0;
    sample.event(EventKind::Route { route, change: RouteChange::Added, cause: 0 });
    sample.event(EventKind::Route { route, change: RouteChange::Removed, cause: 0 });
    sample.unclaimed_read();
    let expected = "\
00:04.0 lab BAR0 = 0xfe000000 -> fe000000-fe000fff, 4 KiB
  decoded in records 2 to 3
  kernel ioremap  ffffc90000001000 -> fe000000  ioremap(0xfe000000, 0x1000)
     made  undone   first    last  accesses  type by
        1       -       4       4         1  UC-  lab::probe,
                                                  1 access reached nothing
";
    assert_eq!(printed(&sample), expected);
}

#[test]
fn a_mapping_that_was_never_announced_is_found_by_its_accesses() {
    let mut sample = Sample::new();
    sample.add_routes(0);
    let walk = sample.inferred_walk();
    let access = AccessEvent { walk, ..sample.kernel_read(8, 0) };
    sample.access(access);
    sample.access(access);
    let text = printed(&sample);
    let expected = "
  kernel ioremap? ffffc90000001000 -> fe000000  4 KiB
     made  undone   first    last  accesses  type by
        -       -       3       4         2  UC-  inferred
";
    assert!(text.contains(expected), "{text}");
    assert!(text.ends_with("? inferred from the page walk: the guest announced no such mapping\n"));
}

#[test]
fn a_mapping_of_nothing_is_listed_last() {
    let mut sample = Sample::new();
    let mapping = sample.kernel_mapping;
    let made = sample.event(EventKind::Map { mapping });
    let undone = sample.event(EventKind::Unmap { mapping });
    sample.writer.finish(End::Finished).unwrap();
    let maps = read(&sample);
    assert!(maps.resources.is_empty());
    let rows: Vec<_> = maps.elsewhere.iter().map(|row| (row.made, row.undone, row.used.accesses)).collect();
    assert_eq!(rows, [(Some(made), Some(undone), 0)]);
}

#[test]
fn what_is_not_trapped_and_what_is_reached_by_port_is_told() {
    let mut sample = Sample::new();
    sample.add_routes(0);
    let route = sample.bar2;
    sample.event(EventKind::Backing { route, backing: Backing::Direct, cause: 0 });
    sample.event(EventKind::Route { route: sample.bar0, change: RouteChange::Refused, cause: 0 });
    let text = printed(&sample);
    assert!(text.contains("\n  not decoded at record 4: something else was there\n"), "{text}");
    assert!(text.contains("\n  mapped directly from record 3 on: accesses aren't counted\n"), "{text}");
}

#[test]
fn a_program_that_a_page_fault_stopped_is_counted_apart() {
    let mut sample = Sample::new();
    sample.add_routes(0);
    sample.event(EventKind::Map { mapping: sample.user_mapping });
    count(&mut sample, Counted::FaultResolved, 1, MMAP);
    count(&mut sample, Counted::FaultFatal, 1, MMAP + 0xfff);
    count(&mut sample, Counted::FaultFatal, 1, MMAP + 0x1000);
    sample.writer.finish(End::Finished).unwrap();
    let maps = read(&sample);
    let row = &maps.resources[0].mappings[0];
    assert_eq!((row.faults, row.fatal_faults), (1, 1));
}

#[test]
fn a_bar_that_comes_back_is_the_same_resource() {
    let mut sample = Sample::new();
    let route = sample.bar0;
    for change in [RouteChange::Added, RouteChange::Removed, RouteChange::Added] {
        sample.event(EventKind::Route { route, change, cause: 0 });
    }
    let refused = AccessEvent { outcome: Outcome::Reserved, ..sample.kernel_read(0xff0, u64::MAX) };
    sample.access(refused);
    sample.writer.finish(End::Finished).unwrap();
    let maps = read(&sample);
    assert_eq!(maps.resources.len(), 1);
    let spans: Vec<_> = maps.resources[0].decoded.iter().map(|span| (span.from, span.until)).collect();
    assert_eq!(spans, [(1, Some(2)), (3, None)]);
    // The device refused it, but it did reach the device.
    assert_eq!(maps.resources[0].mappings[0].used.unclaimed, 0);
}

#[test]
fn a_trace_without_any_says_so() {
    assert_eq!(printed(&Sample::new()), "no BAR was decoded, and nothing was mapped\n");
}
