//! Mappings: what programs get, and with which memory type.

use super::*;

/// Accesses of one register, the second with side effects, with these types.
fn types(pat: MemoryType, effective: MemoryType, path: Path) -> Vec<String> {
    let mut sample = Sample::new();
    let walk = Walk { pat: Some(pat), memory_type: effective, path, ..sample.ioremap_walk() };
    let walk = sample.writer.define(&Definition::Walk(walk)).unwrap();
    for offset in [8, 0x14] {
        let read = AccessEvent { walk, ..sample.kernel_read(offset, 0) };
        sample.access(read);
    }
    sentences(sample)
}

#[test]
fn memory_type_is_a_register_that_is_cached_or_combined() {
    use MemoryType::{Uncacheable, UncacheableMinus, WriteBack, WriteCombining};
    let by = "by ioremap(0xfe000000, 0x1000) of lab::probe.";
    assert_eq!(
        types(WriteBack, WriteBack, Path::Ioremap),
        [
            format!("BAR0.SCRATCH is accessed through WB, {by}"),
            format!("BAR0.INT_STATUS is accessed through WB, {by}")
        ]
    );
    assert_eq!(
        types(WriteCombining, WriteCombining, Path::IoremapWc),
        [format!("BAR0.INT_STATUS is accessed through WC, {by}")]
    );
    assert_eq!(
        types(WriteBack, Uncacheable, Path::Ioremap)[0],
        format!("BAR0.SCRATCH is mapped WB, and only the MTRRs make it uncached, {by}")
    );
    assert_eq!(types(UncacheableMinus, Uncacheable, Path::Ioremap), [""; 0]);
    // Firmware maps all alike.
    assert_eq!(types(WriteBack, Uncacheable, Path::Unknown), [""; 0]);
    assert_eq!(types(WriteBack, Uncacheable, Path::DirectMap), [""; 0]);
}

/// Accesses to the beginning of BAR2 through pairs of a mapping's number and type; each is announced before the first one, and
/// some are undone.
fn two_types(uses: &[(u64, MemoryType)], announced: bool, undone: Option<usize>) -> Vec<String> {
    let mut sample = Sample::new();
    let read = AccessEvent { route: sample.bar2, target: Target::Memory(BAR2), ..sample.kernel_read(0, 0) };
    let define = |sample: &Sample, it: &Definition| sample.writer.define(it).unwrap();
    let mut known = std::collections::BTreeMap::new();
    for (at, (number, pat)) in uses.iter().enumerate() {
        let walk = *known.entry((*number, pat.name())).or_insert_with(|| {
            let address = IOREMAP + 0x10_0000 * number;
            let mapping = Mapping {
                path: Path::IoremapWc,
                virtual_address: address,
                physical_address: BAR2,
                length: 4096,
                address_space: None,
                announced,
                on_fault: false,
                who: format!("number {number}"),
                call: format!("ioremap({number})"),
                of: None,
            };
            let mapping = define(&sample, &Definition::Mapping(mapping));
            if announced {
                sample.event(EventKind::Map { mapping });
            }
            let walk = Walk {
                page: address,
                pat: Some(*pat),
                mapping: Some(mapping),
                announced,
                ..sample.ioremap_walk()
            };
            (define(&sample, &Definition::Walk(walk)), mapping)
        });
        sample.access(AccessEvent { walk: walk.0, ..read });
        if undone == Some(at) {
            sample.event(EventKind::Unmap { mapping: walk.1 });
        }
    }
    sentences(sample)
}

#[test]
fn memory_type_is_a_page_of_a_bar_that_is_mapped_with_two_types() {
    use MemoryType::{UncacheableMinus, WriteCombining};
    let uses = [(1, UncacheableMinus), (2, WriteCombining)];
    assert_eq!(
        two_types(&uses, true, None),
        [
            "BAR2.MEMORY is mapped WC, by ioremap(2) of number 2, and its page is also mapped UC-, as record 2 used it."
        ]
    );
    // Nobody announced them, and the first one is used again.
    let uses = [(1, UncacheableMinus), (2, WriteCombining), (1, UncacheableMinus)];
    assert_eq!(
        two_types(&uses, false, None),
        [
            "BAR2.MEMORY is mapped UC-, by ioremap(1) of number 1, and its page is also mapped WC, as record 2 used it."
        ]
    );
}

#[test]
fn memory_type_is_silent_about_mappings_one_after_the_other_and_about_two_names_of_one_type() {
    use MemoryType::{Uncacheable, UncacheableMinus, WriteCombining};
    let uses = [(1, UncacheableMinus), (2, WriteCombining)];
    assert_eq!(two_types(&uses, true, Some(0)), [""; 0]);
    // The first one may be gone, and another one may be where it was.
    assert_eq!(two_types(&uses, false, None), [""; 0]);
    let uses = [(1, UncacheableMinus), (1, WriteCombining), (1, UncacheableMinus)];
    assert_eq!(two_types(&uses, false, None), [""; 0]);
    assert_eq!(two_types(&[(1, UncacheableMinus), (2, Uncacheable)], true, None), [""; 0]);
}

/// Mappings of two pages each of parts of files: the file, the offset, and how it is filled. The second page of the first one and
/// the first page of the others lead to the second page of BAR2, which is used through them in this order.
fn parts(of: &[(&str, u64, Path, bool)], order: &[usize], announced: bool, undone: bool) -> Vec<String> {
    let mut sample = Sample::new();
    sample.add_routes(0);
    let mut known = Vec::new();
    for (number, (file, offset, path, on_fault)) in of.iter().enumerate() {
        let address = MMAP + 0x10_0000 * (1 + number as u64);
        let mapping = Mapping {
            path: *path,
            virtual_address: address,
            physical_address: if number == 0 { BAR2 } else { BAR2 + 0x1000 },
            length: 8192,
            address_space: Some(USER),
            announced,
            on_fault: *on_fault,
            who: "user 1".into(),
            call: format!("mmap({file})"),
            of: Some(FilePart { file: (*file).into(), offset: *offset }),
        };
        let mapping = sample.writer.define(&Definition::Mapping(mapping)).unwrap();
        let page = if number == 0 { address + 0x1000 } else { address };
        let walk = Walk { page, mapping: Some(mapping), announced, ..sample.user_walk() };
        known.push((sample.writer.define(&Definition::Walk(walk)).unwrap(), mapping));
    }
    for (at, number) in order.iter().enumerate() {
        let (walk, mapping) = known[*number];
        if announced {
            sample.event(EventKind::Map { mapping });
        }
        let target = Target::Memory(BAR2 + 0x1000);
        sample.access(AccessEvent { route: sample.bar2, walk, target, ..sample.user_read(0, 0) });
        if undone && at == 0 {
            sample.event(EventKind::Unmap { mapping });
        }
    }
    sentences(sample)
}

const FIRST: (&str, u64, Path, bool) = ("/dev/nic", 0, Path::Mmap, false);
const THIRD_PAGE: (&str, u64, Path, bool) = ("/dev/nic", 0x3000, Path::Mmap, false);

#[test]
fn mmap_range_is_a_page_of_a_bar_at_two_offsets_of_one_file() {
    assert_eq!(
        parts(&[FIRST, THIRD_PAGE], &[0, 1], true, false),
        ["Offset 0x3000 of /dev/nic leads to the page of BAR2.MEMORY, as offset 0x1000 does by record 4."]
    );
    // Nobody announces mappings: the first one is used again.
    assert_eq!(
        parts(&[FIRST, THIRD_PAGE], &[0, 1, 0], false, false),
        ["Offset 0x1000 of /dev/nic leads to the page of BAR2.MEMORY, as offset 0x3000 does by record 4."]
    );
}

#[test]
fn mmap_range_is_silent_about_offsets_that_lead_where_they_should_and_about_other_ways_to_a_bar() {
    for second in [
        ("/dev/nic", 0x1000, Path::Mmap, false),
        ("/dev/other", 0x3000, Path::Mmap, false),
        ("/dev/nic", 0x3000, Path::Mmap, true),
        ("/dev/nic", 0x10_3000, Path::Mmap, false),
    ] {
        assert_eq!(parts(&[FIRST, second], &[0, 1, 0], false, false), [""; 0], "{second:?}");
    }
    let uio = [("/dev/uio0", 0, Path::Uio, false), ("/dev/uio0", 0x3000, Path::Uio, false)];
    assert_eq!(parts(&uio, &[0, 1, 0], false, false), [""; 0]);
}

#[test]
fn mmap_range_is_silent_about_a_page_that_a_driver_gives_to_one_after_the_other() {
    assert_eq!(parts(&[FIRST, THIRD_PAGE], &[0, 1], true, true), [""; 0]);
    assert_eq!(parts(&[FIRST, THIRD_PAGE], &[0, 1], false, false), [""; 0]);
}

/// A mapping of three pages that a program has and nobody announced.
fn unannounced(sample: &Sample) -> Id {
    let mapping = Mapping {
        path: Path::Mmap,
        virtual_address: MMAP + 0x10_0000,
        physical_address: 0,
        length: 0x3000,
        address_space: Some(USER),
        announced: false,
        on_fault: false,
        who: "app 7".into(),
        call: "mmap of /dev/my".into(),
        of: None,
    };
    sample.writer.define(&Definition::Mapping(mapping)).unwrap()
}

/// Accesses through one mapping that nobody announced, at these offsets from the beginning of BAR0, and whether somebody is
/// there; the mapping's pages follow each other, or are in the wrong order.
fn beyond(offsets: &[(u64, bool)], linear: bool) -> Vec<String> {
    let mut sample = Sample::new();
    sample.add_routes(0);
    let (_, next) = neighbour(&sample, vec![config("A", 0, 4, Access::ReadWrite)], (BAR0 + 0x1000, 4096));
    let mapping = unannounced(&sample);
    for (offset, decoded) in offsets {
        let page = MMAP + 0x10_0000 + if linear { *offset } else { 0x2000 - offset };
        let walk = Walk { page, mapping: Some(mapping), announced: false, ..sample.user_walk() };
        let walk = sample.writer.define(&Definition::Walk(walk)).unwrap();
        let route = match offset {
            _ if !decoded => 0,
            0 => sample.bar0,
            _ => next,
        };
        let target = Target::Memory(BAR0 + offset);
        sample.access(AccessEvent { route, walk, target, ..sample.user_read(0, 0) });
    }
    sentences(sample)
}

#[test]
fn mmap_range_is_an_access_behind_the_bar_that_a_mapping_begins_in() {
    assert_eq!(
        beyond(&[(0, true), (0x1000, true)], true),
        [
            "mmap of /dev/my of app 7 begins in BAR0 of 00:04.0 lab and leads to BAR0.A of 00:05.0 nic behind it."
        ]
    );
    assert_eq!(
        beyond(&[(0, true), (0x2000, false)], true),
        ["mmap of /dev/my of app 7 begins in BAR0 of 00:04.0 lab and leads where nobody answers behind it."]
    );
}

#[test]
fn mmap_range_follows_a_mapping_whose_first_access_finds_nobody() {
    let mut sample = Sample::new();
    let (_, nic) = neighbour(&sample, vec![config("A", 0, 4, Access::ReadWrite)], (0xfe10_0000, 256));
    sample.event(EventKind::Route { route: nic, change: RouteChange::Added, cause: 0 });
    let mapping = unannounced(&sample);
    let [first, second] = [0, 0x1000].map(|within| {
        let page = MMAP + 0x10_0000 + within;
        let walk = Walk { page, mapping: Some(mapping), announced: false, ..sample.user_walk() };
        sample.writer.define(&Definition::Walk(walk)).unwrap()
    });
    // Behind the BAR in its page, then the BAR, then the next page.
    for (walk, offset, route) in [(first, 0x800, 0), (first, 0, nic), (second, 0x1000, 0)] {
        let target = Target::Memory(0xfe10_0000 + offset);
        sample.access(AccessEvent { route, walk, target, ..sample.user_read(0, 0) });
    }
    assert_eq!(
        sentences(sample),
        ["mmap of /dev/my of app 7 begins in BAR0 of 00:05.0 nic and leads where nobody answers behind it."]
    );
}

#[test]
fn mmap_range_is_silent_about_a_bar_that_is_switched_off_and_about_pages_in_any_order() {
    assert_eq!(beyond(&[(0, true), (0, false)], true), [""; 0]);
    assert_eq!(beyond(&[(0, true), (0x1000, true)], false), [""; 0]);
}

fn map(sample: &mut Sample, path: Path, physical_address: u64, length: u64) {
    let mapping = Mapping {
        path,
        virtual_address: MMAP + 0x10_0000,
        physical_address,
        length,
        address_space: Some(USER),
        announced: true,
        on_fault: false,
        who: "user 1".into(),
        call: format!("mmap(lab, {length})"),
        of: None,
    };
    let mapping = sample.writer.define(&Definition::Mapping(mapping)).unwrap();
    sample.event(EventKind::Map { mapping });
}

#[test]
fn mmap_range_is_a_mapping_that_ends_behind_its_bar() {
    let mut sample = Sample::new();
    sample.add_routes(0);
    map(&mut sample, Path::Mmap, BAR0, 0x2000);
    assert_eq!(
        sentences(sample),
        [
            "mmap(lab, 8192) maps 0x2000 bytes from BAR0+0x0 of 00:04.0 lab for a program, 0x1000 more than the BAR has there."
        ]
    );
}

#[test]
fn mmap_range_is_silent_about_what_fits_and_what_nobody_knows() {
    let mut sample = Sample::new();
    // Nobody knows what is there.
    map(&mut sample, Path::Mmap, BAR0, 0x2000);
    sample.add_routes(0);
    map(&mut sample, Path::Mmap, BAR0, 0x1000);
    map(&mut sample, Path::DevMem, BAR0, 0x2000);
    // The BAR may be elsewhere by now.
    sample.lose();
    map(&mut sample, Path::Mmap, BAR0, 0x2000);
    assert_eq!(found(sample), [""; 0]);
}

#[test]
fn sub_page_leak_is_a_page_with_two_regions_that_a_program_has() {
    let mut sample = Sample::new();
    let (_, first) = neighbour(&sample, vec![config("A", 0, 4, Access::ReadWrite)], (0xfe10_0000, 256));
    let second = Route {
        function: Some(sample.lab),
        region: Region::BAR5,
        space: Space::Memory,
        base: 0xfe10_0100,
        size: 256,
    };
    let second = sample.writer.define(&Definition::Route(second)).unwrap();
    for route in [first, second] {
        sample.event(EventKind::Route { route, change: RouteChange::Added, cause: 0 });
    }
    let access = AccessEvent { route: first, target: Target::Memory(0xfe10_0000), ..sample.user_read(0, 0) };
    sample.access(access);
    sample.access(AccessEvent { cpl: 0, ..access });
    map(&mut sample, Path::Mmap, 0xfe10_0000, 0x1000);
    map(&mut sample, Path::DevMem, 0xfe10_0000, 0x1000);
    assert_eq!(
        found(sample),
        ["sub-page-leak BAR0.A user::touch lab.rs:29 1", "sub-page-leak BAR0.A nobody 1"]
    );
}

#[test]
fn sub_page_leak_is_any_page_of_a_mapping() {
    let given = |length| {
        let mut sample = Sample::new();
        let lab = sample.lab;
        let (nic, _) = neighbour(&sample, vec![], (0, 256));
        for (function, region, base) in [
            (lab, Region::BAR3, 0xfe10_0000),
            (lab, Region::BAR4, 0xfe10_1000),
            (nic, Region::BAR0, 0xfe10_1100),
        ] {
            let route = Route { function: Some(function), region, space: Space::Memory, base, size: 256 };
            let route = sample.writer.define(&Definition::Route(route)).unwrap();
            sample.event(EventKind::Route { route, change: RouteChange::Added, cause: 0 });
        }
        map(&mut sample, Path::Mmap, 0xfe10_0000, length);
        let findings = lint_of(sample).findings.into_iter();
        let own = findings.filter(|finding| finding.lint.name == "sub-page-leak");
        own.map(|finding| finding.sentence).collect::<Vec<_>>()
    };
    // The first page is the first BAR's alone.
    assert_eq!(given(0x1000), [""; 0]);
    let expected = |length| {
        [format!(
            "mmap(lab, {length}) gives a program the page of BAR4, in which BAR0 of 00:05.0 nic is as well."
        )]
    };
    assert_eq!(given(0x2000), expected(8192));
    // Whole pages are mapped.
    assert_eq!(given(0x1010), expected(4112));
}

#[test]
fn sub_page_leak_is_silent_about_a_page_that_a_bar_has_for_itself() {
    let mut sample = Sample::new();
    let (_, route) = neighbour(&sample, vec![config("A", 0, 4, Access::ReadWrite)], (0xfe10_0000, 256));
    sample.event(EventKind::Route { route, change: RouteChange::Added, cause: 0 });
    let access = AccessEvent { route, target: Target::Memory(0xfe10_0000), ..sample.user_read(0, 0) };
    sample.access(access);
    map(&mut sample, Path::Mmap, 0xfe10_0000, 0x1000);
    assert_eq!(found(sample), [""; 0]);
}
