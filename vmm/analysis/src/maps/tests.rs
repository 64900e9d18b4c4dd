//! Who mapped what, as a table and as data.

use barscope_trace::End;
use barscope_trace::definition::{Definition, Walk};
use barscope_trace::event::{AccessEvent, Backing, Counted, EventKind, Outcome, RouteChange, Target};

use super::*;
use crate::sample::{BAR0, BAR2, ECAM, MMAP, Sample, USER, count};

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
     made  undone   first    last  accesses  type       by
        5       -       7      27         4  UC- -> UC  lab::probe
  user   mmap     0000400000000000 -> fe000000  mmap(lab, 4096, offset 0)
     made  undone   first    last  accesses  type       by
        9      13      11      11         1  UC- -> UC  user 1, on first touch,
                                                        1 page fault,
                                                        0 kernel entries
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
    // Nobody accessed anything: firmware put it there.
    sample.event(EventKind::Route { route, change: RouteChange::Added, cause: 0 });
    sample.event(EventKind::Route { route, change: RouteChange::Removed, cause: 0 });
    sample.unclaimed_read();
    let expected = "\
00:04.0 lab BAR0 = 0xfe000000 -> fe000000-fe000fff, 4 KiB
  decoded in records 2 to 3 (by firmware)
  kernel ioremap  ffffc90000001000 -> fe000000  ioremap(0xfe000000, 0x1000)
     made  undone   first    last  accesses  type       by
        1       -       4       4         1  UC- -> UC  lab::probe,
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
     made  undone   first    last  accesses  type       by
        -       -       3       4         2  UC- -> UC  inferred
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
    assert_eq!((row.faults_resolved, row.faults_fatal), (1, 1));
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

/// Scenario, window and address space of a count, and how many.
type Booked = (Option<String>, Option<String>, Option<u64>, u64);

/// Kernel entries of programs' mappings, and where all were counted.
fn booked(sample: &Sample) -> (Vec<Option<u64>>, Vec<Booked>) {
    sample.writer.finish(End::Finished).unwrap();
    let maps = read(sample);
    let rows = maps.resources.iter().flat_map(|resource| &resource.mappings);
    let rows = rows.filter(|row| row.user).map(|row| row.kernel_entries).collect();
    let counts = maps.kernel_entries.into_iter();
    let counts = counts.map(|count| (count.scenario, count.window, count.address_space, count.entries));
    (rows, counts.collect())
}

fn name(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// A program whose mapping is used, and that is counted meanwhile.
fn used_mapping() -> Sample {
    let mut sample = Sample::new();
    sample.add_routes(0);
    sample.event(EventKind::Map { mapping: sample.user_mapping });
    sample.scenario_begin("ways");
    sample.mark("loads: begin");
    let read = sample.user_read(8, 0);
    sample.access(read);
    sample.mark("loads: end");
    count(&mut sample, Counted::KernelEntries, 0, 0);
    sample
}

#[test]
fn kernel_entries_around_calls_are_no_mappings() {
    let mut sample = used_mapping();
    sample.mark("calls: begin");
    let write = sample.kernel_write(8, 1);
    sample.access(write);
    sample.mark("calls: end");
    count(&mut sample, Counted::KernelEntries, 100, 0);
    let (rows, counts) = booked(&sample);
    assert_eq!(rows, [Some(0)]);
    let loads = (name("ways"), name("loads"), Some(USER), 0);
    assert_eq!(counts, [loads, (name("ways"), name("calls"), None, 100)]);
    let (maps, completeness) = Maps::read(&sample.path()).unwrap();
    let mut out = Vec::new();
    print(&mut out, &maps, &completeness, 80, false).unwrap();
    let text = String::from_utf8(out).unwrap();
    let expected = "
kernel entries that belong to no one mapping
  100 kernel entries in scenario ways, calls, record 12
";
    assert!(text.ends_with(expected), "{text}");
    let picture = maps.picture(80);
    assert_eq!(picture.last().unwrap(), "  100 kernel entries in scenario ways, calls, record 12");
}

#[test]
fn kernel_entries_are_not_those_of_a_mapping_that_is_gone() {
    let mut sample = used_mapping();
    let read = sample.user_read(8, 0);
    sample.access(read);
    sample.event(EventKind::Unmap { mapping: sample.user_mapping });
    count(&mut sample, Counted::KernelEntries, 100, 0);
    let (rows, counts) = booked(&sample);
    assert_eq!(rows, [Some(0)]);
    assert_eq!(counts[1], (name("ways"), None, None, 100));
}

#[test]
fn kernel_entries_of_two_programs_are_neithers() {
    let mut sample = used_mapping();
    let walk = Walk { cr3: 0x9000, user: true, mapping: None, ..sample.ioremap_walk() };
    let walk = sample.writer.define(&Definition::Walk(walk)).unwrap();
    sample.mark("both begin");
    let read = sample.user_read(8, 0);
    sample.access(read);
    sample.access(AccessEvent { walk, ..read });
    sample.mark("both end");
    count(&mut sample, Counted::KernelEntries, 100, 0);
    let (rows, counts) = booked(&sample);
    assert_eq!(rows, [Some(0), None]);
    assert_eq!(counts[1], (name("ways"), name("both"), None, 100));
}

#[test]
fn kernel_entries_of_a_program_that_used_two_mappings_are_the_programs() {
    let mut sample = used_mapping();
    let walk = Walk { cr3: USER, user: true, mapping: None, ..sample.ioremap_walk() };
    let walk = sample.writer.define(&Definition::Walk(walk)).unwrap();
    let read = sample.user_read(8, 0);
    sample.access(read);
    sample.access(AccessEvent { walk, ..read });
    count(&mut sample, Counted::KernelEntries, 3, 0);
    let (rows, counts) = booked(&sample);
    assert_eq!(rows, [Some(0), None]);
    assert_eq!(counts[1], (name("ways"), None, Some(USER), 3));
}

#[test]
fn kernel_entries_after_lost_records_are_nobodys() {
    let mut sample = used_mapping();
    sample.mark("more: begin");
    let read = sample.user_read(8, 0);
    sample.access(read);
    sample.writer.reserve();
    sample.mark("more: end");
    count(&mut sample, Counted::KernelEntries, 100, 0);
    let (rows, counts) = booked(&sample);
    assert_eq!(rows, [Some(0)]);
    assert_eq!(counts[1], (None, name("more"), None, 100));
}

#[test]
fn windows_at_one_virtual_address_are_as_many_as_physical_pages() {
    let mut sample = Sample::new();
    sample.add_routes(0);
    let base = Walk { cr3: USER, page: MMAP, user: true, mapping: None, ..sample.ioremap_walk() };
    let walk = sample.writer.define(&Definition::Walk(Walk { announced: false, ..base })).unwrap();
    for offset in [0, 0x4_0000, 0xf_f000, 0x4_0000] {
        let target = Target::Memory(BAR2 + offset);
        let access = AccessEvent { route: sample.bar2, target, walk, ..sample.user_write(0, 1) };
        sample.access(access);
    }
    sample.writer.finish(End::Finished).unwrap();
    let maps = read(&sample);
    let rows = maps.resources[1].mappings.iter();
    let rows: Vec<_> = rows.map(|row| (row.physical_address - BAR2, row.used.accesses)).collect();
    assert_eq!(rows, [(0, 1), (0x4_0000, 2), (0xf_f000, 1)]);
}

#[test]
fn a_claim_that_was_refused_has_no_accesses() {
    let mut sample = Sample::new();
    // A BAR that was put over configuration space.
    let definition = Route {
        function: Some(sample.lab),
        region: Region::BAR2,
        space: Space::Memory,
        base: ECAM,
        size: 1 << 20,
    };
    let route = sample.writer.define(&Definition::Route(definition)).unwrap();
    sample.event(EventKind::Route { route, change: RouteChange::Refused, cause: 0 });
    let target = Target::Memory(ECAM + 0x2_0010);
    let ecam = AccessEvent { route: sample.ecam, target, ..sample.kernel_read(0, 0) };
    let absent = AccessEvent { route: 0, outcome: Outcome::Unclaimed, ..ecam };
    sample.access(ecam);
    sample.access(AccessEvent { target: Target::Memory(ECAM + 0x3_8000), ..absent });
    // Where no function's configuration space is, and the BAR would have been.
    sample.event(EventKind::Route { route: sample.bar0, change: RouteChange::Refused, cause: 0 });
    sample.access(AccessEvent { target: Target::Memory(BAR0 + 8), ..absent });
    sample.writer.finish(End::Finished).unwrap();
    let maps = read(&sample);
    assert_eq!(maps.resources.iter().map(|resource| resource.mappings.len()).sum::<usize>(), 0);
    assert_eq!(maps.elsewhere.iter().map(|row| row.used.accesses).sum::<u64>(), 3);
}

#[test]
fn configuration_accesses_are_none_of_a_bar_that_was_there() {
    let mut sample = Sample::new();
    let definition = Route {
        function: Some(sample.lab),
        region: Region::BAR2,
        space: Space::Memory,
        base: ECAM,
        size: 1 << 20,
    };
    let route = sample.writer.define(&Definition::Route(definition)).unwrap();
    for change in [RouteChange::Added, RouteChange::Removed] {
        sample.event(EventKind::Route { route, change, cause: 0 });
    }
    let target = Target::Memory(ECAM + 0x2_0010);
    let ecam = AccessEvent { route: sample.ecam, target, ..sample.kernel_read(0, 0) };
    sample.access(ecam);
    sample.writer.finish(End::Finished).unwrap();
    assert!(read(&sample).resources[0].mappings.is_empty());
}

#[test]
fn a_page_fault_at_an_address_of_two_programs_is_neithers() {
    let mut sample = Sample::new();
    sample.add_routes(0);
    let other = Mapping {
        path: Path::Mmap,
        virtual_address: MMAP,
        physical_address: BAR0,
        length: 4096,
        address_space: Some(0x9000),
        announced: true,
        on_fault: true,
        who: "user 2".into(),
        call: "mmap(lab, 4096, offset 0)".into(),
        of: None,
    };
    let other = sample.writer.define(&Definition::Mapping(other)).unwrap();
    sample.event(EventKind::Map { mapping: sample.user_mapping });
    sample.event(EventKind::Map { mapping: other });
    count(&mut sample, Counted::FaultResolved, 1, MMAP);
    sample.event(EventKind::Unmap { mapping: other });
    count(&mut sample, Counted::FaultResolved, 1, MMAP);
    sample.writer.finish(End::Finished).unwrap();
    let maps = read(&sample);
    assert_eq!(maps.resources[0].mappings.iter().map(|row| row.faults_resolved).collect::<Vec<_>>(), [1, 0]);
}

#[test]
fn recorded_entries_are_those_of_the_mapping_that_the_process_used_before_and_after() {
    let mut sample = Sample::new();
    sample.add_routes(0);
    let poll = sample.process("poll", 85);
    sample.entry(poll, Some(9));
    sample.entry(poll, None);
    for _ in 0..3 {
        sample.program_reads(poll);
    }
    sample.entry(poll, Some(39));
    sample.program_reads(poll);
    sample.entry(poll, Some(231));
    let (rows, counts) = booked(&sample);
    assert_eq!((rows, counts.len()), (vec![Some(1)], 0));
}
