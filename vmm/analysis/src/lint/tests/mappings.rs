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
fn sub_page_leak_is_silent_about_a_page_that_a_bar_has_for_itself() {
    let mut sample = Sample::new();
    let (_, route) = neighbour(&sample, vec![config("A", 0, 4, Access::ReadWrite)], (0xfe10_0000, 256));
    sample.event(EventKind::Route { route, change: RouteChange::Added, cause: 0 });
    let access = AccessEvent { route, target: Target::Memory(0xfe10_0000), ..sample.user_read(0, 0) };
    sample.access(access);
    map(&mut sample, Path::Mmap, 0xfe10_0000, 0x1000);
    assert_eq!(found(sample), [""; 0]);
}
