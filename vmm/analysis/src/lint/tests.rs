//! What lints make of hand-made traces: each mistake is found, and what looks like it isn't.

use barscope_device::{Access, BarIndex, Bdf, Field, InterruptLoss, Region, Register, RegisterMap, Space};
use barscope_trace::definition::{Bar, Definition, Function, Mapping, MemoryType, Path, Route, Walk};
use barscope_trace::event::{AccessEvent, DmaOutcome, EventKind, Id, Outcome, RouteChange, Target};
use barscope_trace::{Capabilities, Capability, Knowledge};

use super::*;
use crate::sample::{BAR0, ECAM, MMAP, Sample, USER};

const CONTROL_FIELDS: &[Field] = &[Field::bit("ENABLE", 0, "")];
const STATUS_FIELDS: &[Field] = &[Field::bit("MASTER_ABORT", 13, "")];

fn config(name: &'static str, offset: u64, size: u64, access: Access) -> Register {
    let mut register = Register::new32(name, offset, access, "");
    register.size = size;
    register
}

/// A machine with `lab`, whose configuration space has what lints follow.
fn machine() -> Sample {
    Sample::with_configuration_registers(vec![
        config("COMMAND", 4, 2, Access::ReadWrite),
        config("STATUS", 6, 2, Access::WriteOneToClear).with_fields(STATUS_FIELDS),
        config("PM_CONTROL", 0x44, 2, Access::ReadWrite),
        config("MSIX_CONTROL", 0x62, 2, Access::ReadWrite),
        config("PCIE_DEVICE_CONTROL", 0x74, 2, Access::ReadWrite),
    ])
}

/// A second function, at 00:05.0, with these registers and a BAR of `size` bytes at `base`: its definition and its route.
fn neighbour(sample: &Sample, registers: Vec<Register>, (base, size): (u64, u64)) -> (Id, Id) {
    let define = |definition: Definition| sample.writer.define(&definition).unwrap();
    let bar = Bar { index: BarIndex::BAR0, space: Space::Memory, size, wide: false, prefetchable: false };
    let function = define(Definition::Function(Function {
        bdf: Bdf::new(0, 5, 0).unwrap(),
        name: "nic".into(),
        vendor: 1,
        device: 2,
        bars: vec![bar],
        msi_vectors: 0,
        msix_vectors: 1,
        register_maps: vec![RegisterMap { region: Region::BAR0, registers: registers.into() }],
        untrapped: vec![],
    }));
    let route = Route { function: Some(function), region: Region::BAR0, space: Space::Memory, base, size };
    (function, define(Definition::Route(route)))
}

fn write_config(sample: &mut Sample, offset: u64, size: u8, value: u64) -> u64 {
    let target = Target::Memory(ECAM + 0x2_0000 + offset);
    let access = sample.kernel_write(0, value);
    sample.access(AccessEvent { route: sample.ecam, target, size, ..access })
}

fn read_config(sample: &mut Sample, offset: u64, size: u8, value: u64) -> u64 {
    let target = Target::Memory(ECAM + 0x2_0000 + offset);
    let access = sample.kernel_read(0, value);
    sample.access(AccessEvent { route: sample.ecam, target, size, ..access })
}

/// Memory Space is switched off, or the function put to sleep: its BARs are gone.
fn remove_routes(sample: &mut Sample, cause: u64) {
    for route in [sample.bar0, sample.bar2] {
        sample.event(EventKind::Route { route, change: RouteChange::Removed, cause });
    }
}

/// What was found: lint, register, code and count.
fn found(sample: Sample) -> Vec<String> {
    let report = lint_of(sample);
    let line = |finding: &Finding| {
        let code = finding.code.as_deref().unwrap_or("nobody");
        format!("{} {} {code} {}", finding.lint.name, finding.register, finding.count)
    };
    report.findings.iter().map(line).collect()
}

fn lint_of(sample: Sample) -> Report {
    let trace = sample.finished();
    let mut linter = Linter::default();
    for view in trace.views().all() {
        linter.take(trace.definitions(), view);
    }
    let whole = Completeness { end: Some(barscope_trace::End::Finished), ..Completeness::default() };
    linter.finish(&trace.info().capabilities, whole)
}

fn sentences(sample: Sample) -> Vec<String> {
    lint_of(sample).findings.into_iter().map(|finding| finding.sentence).collect()
}

#[test]
fn a_finding_says_where_it_is_and_what_to_do() {
    let mut sample = Sample::new();
    for _ in 0..10 {
        let read = AccessEvent { size: 1, outcome: Outcome::Width, ..sample.kernel_read(9, 0xff) };
        sample.access(read);
    }
    let mut text = Vec::new();
    lint_of(sample).print_text(&mut text).unwrap();
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "\
wrong-width, certain: BAR0.SCRATCH of 00:04.0 lab, by lab::probe lab.rs:13
  A read of 1 byte at BAR0+0x009, BAR0.SCRATCH, which the register doesn't take: the device refused it.
  10 records: 1 2 3 4 5 6 7 8 ..
  To do: access a register as its data sheet says: readl and writel for 32 bits, __ioread32_copy for many

1 finding: 1 certain
"
    );
}

#[test]
fn json_has_a_line_for_each_finding_and_one_at_the_end() {
    let mut sample = Sample::new();
    let read = AccessEvent { outcome: Outcome::Reserved, ..sample.kernel_read(0x40, 0) };
    sample.access(read);
    let mut text = Vec::new();
    lint_of(sample).print_json("t", &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let finding = &lines[0];
    assert_eq!((&finding["lint"], &finding["class"]), (&"reserved-write".into(), &"certain".into()));
    assert_eq!((&finding["register"], &finding["device"]), (&"BAR0+0x040".into(), &"00:04.0 lab".into()));
    assert_eq!((&finding["function"], &finding["file"]), (&"lab::probe".into(), &"lab.rs".into()));
    assert_eq!((&finding["line"], &finding["records"]), (&13.into(), &serde_json::json!([1])));
    let end = &lines[1];
    assert_eq!((&end["event"], &end["certain"], &end["trace"]), (&"lint".into(), &1.into(), &"t".into()));
}

#[test]
fn more_findings_than_there_is_room_for_are_counted() {
    let mut sample = Sample::new();
    for at in 0..1002 {
        let read = AccessEvent { outcome: Outcome::Reserved, ..sample.kernel_read(0x40 + 4 * at, 0) };
        sample.access(read);
    }
    let report = lint_of(sample);
    assert_eq!(report.total(), "1,000 findings: 1,000 certain; 2 records not shown");
    assert!(report.has(Class::Certain));
}

#[test]
fn decode_off_is_an_access_to_a_bar_that_was_switched_off() {
    let mut sample = machine();
    let on = write_config(&mut sample, 4, 2, 6);
    sample.add_routes(on);
    let off = write_config(&mut sample, 4, 2, 4);
    remove_routes(&mut sample, off);
    sample.unclaimed_read();
    assert_eq!(sentences(sample), ["BAR0.SCRATCH is read while Memory Space is off, as record 4 tells."]);
}

#[test]
fn decode_off_is_not_said_of_a_bar_that_moved_or_after_a_gap() {
    // It is on again, elsewhere.
    let mut sample = machine();
    let on = write_config(&mut sample, 4, 2, 6);
    sample.add_routes(on);
    let off = write_config(&mut sample, 4, 2, 4);
    remove_routes(&mut sample, off);
    write_config(&mut sample, 0x10, 4, 0xfd00_0000);
    sample.unclaimed_read();
    write_config(&mut sample, 4, 2, 6);
    sample.unclaimed_read();
    assert_eq!(found(sample), [""; 0]);

    let mut sample = machine();
    let on = write_config(&mut sample, 4, 2, 6);
    sample.add_routes(on);
    let off = write_config(&mut sample, 4, 2, 4);
    remove_routes(&mut sample, off);
    sample.lose();
    sample.unclaimed_read();
    assert_eq!(found(sample), [""; 0]);
}

#[test]
fn asleep_is_an_access_in_d3hot_and_decode_off_is_silent_there() {
    let mut sample = machine();
    let on = write_config(&mut sample, 4, 2, 6);
    sample.add_routes(on);
    let sleep = write_config(&mut sample, 0x44, 2, 3);
    remove_routes(&mut sample, sleep);
    sample.unclaimed_read();
    // Configuration space answers.
    read_config(&mut sample, 4, 2, 6);
    assert_eq!(sentences(sample), ["BAR0.SCRATCH is read in D3hot, as record 4 tells."]);
}

#[test]
fn asleep_is_not_said_once_the_function_was_woken() {
    let mut sample = machine();
    let on = write_config(&mut sample, 4, 2, 6);
    sample.add_routes(on);
    let sleep = write_config(&mut sample, 0x44, 2, 3);
    remove_routes(&mut sample, sleep);
    write_config(&mut sample, 0x44, 2, 0);
    sample.unclaimed_read();
    assert_eq!(found(sample), [""; 0]);
}

fn refused_dma(sample: &mut Sample, cause: u64) {
    let (function, outcome) = (sample.lab, DmaOutcome::BusMasterOff);
    sample.event(EventKind::Dma { function, to_memory: true, address: 0, length: 4, outcome, cause });
}

#[test]
fn no_bus_master_is_said_of_the_access_that_starts() {
    let mut sample = machine();
    write_config(&mut sample, 4, 2, 2);
    let start = sample.kernel_write(0x24, 1);
    let start = sample.access(start);
    refused_dma(&mut sample, start);
    let (function, why) = (sample.lab, Some(InterruptLoss::BusMasterOff));
    sample.event(EventKind::InterruptLost { function, index: 0, why, cause: start });
    assert_eq!(found(sample), ["no-bus-master BAR0.OPCODE lab::start lab.rs:17 2"]);
}

#[test]
fn no_bus_master_is_not_said_where_it_was_cleared_later_or_nobody_knows() {
    // A shutdown stops what runs.
    let mut sample = machine();
    write_config(&mut sample, 4, 2, 6);
    let start = sample.kernel_write(0x24, 1);
    let start = sample.access(start);
    write_config(&mut sample, 4, 2, 2);
    refused_dma(&mut sample, start);
    assert_eq!(found(sample), [""; 0]);

    // It may have been cleared in what is missing.
    let mut sample = machine();
    let start = sample.kernel_write(0x24, 1);
    let start = sample.access(start);
    sample.lose();
    refused_dma(&mut sample, start);
    assert_eq!(found(sample), [""; 0]);

    // A reset clears it.
    let mut sample = machine();
    let start = sample.kernel_write(0x24, 1);
    let start = sample.access(start);
    write_config(&mut sample, 0x74, 2, 0x8000);
    refused_dma(&mut sample, start);
    assert_eq!(found(sample), [""; 0]);
}

#[test]
fn config_w1c_merge_is_a_status_bit_that_is_written_back() {
    let mut sample = machine();
    read_config(&mut sample, 4, 4, 0x2010_0002);
    write_config(&mut sample, 4, 4, 0x2010_0006);
    assert_eq!(
        sentences(sample),
        [
            "A write that is for COMMAND writes MASTER_ABORT of STATUS back, which record 1 read, and so clears it."
        ]
    );
}

#[test]
fn config_w1c_merge_is_silent_about_what_clears_nothing_or_is_meant_to() {
    let mut sample = machine();
    // No error is pending; what is read-only may be written back.
    read_config(&mut sample, 4, 4, 0x0010_0002);
    write_config(&mut sample, 4, 4, 0x0010_0006);
    // Zeros to the status.
    read_config(&mut sample, 4, 4, 0x2010_0002);
    write_config(&mut sample, 4, 4, 0x0000_0006);
    // The command alone.
    read_config(&mut sample, 4, 4, 0x2010_0002);
    write_config(&mut sample, 4, 2, 0x0006);
    // The status is what it is for.
    read_config(&mut sample, 4, 4, 0x2010_0006);
    write_config(&mut sample, 4, 4, 0x2010_0006);
    // What was read last is missing.
    read_config(&mut sample, 4, 4, 0x2010_0006);
    sample.lose();
    write_config(&mut sample, 4, 4, 0x2010_0002);
    assert_eq!(found(sample), [""; 0]);
}

#[test]
fn wrong_width_is_what_the_device_refuses() {
    let mut sample = Sample::new();
    let access = sample.kernel_write(8, 0);
    for (size, outcome) in [(2, Outcome::Width), (4, Outcome::Alignment), (4, Outcome::Ok), (1, Outcome::Ok)]
    {
        sample.access(AccessEvent { size, outcome, ..access });
    }
    assert_eq!(found(sample), ["wrong-width BAR0.SCRATCH lab::start lab.rs:17 2"]);
}

#[test]
fn write_only_read_is_by_the_register_map() {
    let mut sample = Sample::new();
    let registers = vec![config("DOORBELL", 0, 4, Access::WriteOnly), config("SET", 4, 4, Access::ReadWrite)];
    let (_, route) = neighbour(&sample, registers, (0xfe10_0000, 4096));
    let read =
        AccessEvent { route, target: Target::Memory(0xfe10_0000), ..sample.kernel_read(0, 0xffff_ffff) };
    sample.access(AccessEvent { outcome: Outcome::WriteOnly, ..read });
    sample.access(AccessEvent { write: true, ..read });
    sample.access(AccessEvent { target: Target::Memory(0xfe10_0004), ..read });
    assert_eq!(found(sample), ["write-only-read BAR0.DOORBELL lab::probe lab.rs:13 1"]);
}

#[test]
fn reserved_write_is_a_one_that_the_driver_made_up() {
    let mut sample = Sample::new();
    let registers = vec![config("CONTROL", 0, 4, Access::ReadWrite).with_fields(CONTROL_FIELDS)];
    let (_, route) = neighbour(&sample, registers, (0xfe10_0000, 4096));
    let write = AccessEvent { route, target: Target::Memory(0xfe10_0000), ..sample.kernel_write(0, 0x101) };
    sample.access(write);
    assert_eq!(sentences(sample), ["BAR0.CONTROL is written with ones in reserved bits: 0x100."]);
}

#[test]
fn reserved_write_is_silent_about_what_was_read_and_about_the_ways_of_everybody() {
    let mut sample = Sample::new();
    let registers = vec![
        config("CONTROL", 0, 4, Access::ReadWrite).with_fields(CONTROL_FIELDS),
        config("CAUSES", 4, 4, Access::WriteOneToClear).with_fields(CONTROL_FIELDS),
        config("KEPT", 8, 4, Access::ReadWrite).with_fields(CONTROL_FIELDS).reset_to(0x10),
        config("DATA", 12, 4, Access::ReadWrite),
    ];
    let (_, route) = neighbour(&sample, registers, (0xfe10_0000, 4096));
    let at = |offset: u64| Target::Memory(0xfe10_0000 + offset);
    let (read, write) = (sample.kernel_read(0, 0), sample.kernel_write(0, 0));
    sample.access(AccessEvent { route, target: at(0), value: 0x100, ..read });
    sample.access(AccessEvent { route, target: at(0), value: 0x101, ..write });
    sample.access(AccessEvent { route, target: at(4), value: 0xffff_ffff, ..write });
    sample.access(AccessEvent { route, target: at(8), value: 0x11, ..write });
    sample.access(AccessEvent { route, target: at(12), value: 0xffff_ffff, ..write });
    // What the register gave before may be in what is missing.
    sample.lose();
    sample.access(AccessEvent { route, target: at(0), value: 0x201, ..write });
    assert_eq!(found(sample), [""; 0]);
}

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

#[test]
fn a_lint_that_lacks_what_it_needs_judges_nothing_and_says_so() {
    let mut told = Capabilities::COMPLETE;
    told.set(Capability::MemoryTypes, Knowledge::Unknown);
    let mut sample = Sample::new().knowing(told);
    let walk = Walk { memory_type: MemoryType::WriteBack, ..sample.ioremap_walk() };
    let walk = sample.writer.define(&Definition::Walk(walk)).unwrap();
    let read = AccessEvent { walk, ..sample.kernel_read(8, 0) };
    sample.access(read);
    let mut text = Vec::new();
    lint_of(sample).print_text(&mut text).unwrap();
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "no findings\nmemory-type wasn't judged: the trace doesn't tell the memory types of accesses\n"
    );
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

/// An entry of an MSI-X table is masked or not, MSI-X on or off, then its data changes.
fn msix(control: u64, vector: u64, lose: bool) -> Vec<String> {
    let mut sample = machine();
    let word = |name, offset| config(name, offset, 4, Access::ReadWrite);
    let registers = vec![
        word("MSIX0_ADDRESS_LOW", 0),
        word("MSIX0_ADDRESS_HIGH", 4),
        word("MSIX0_DATA", 8),
        word("MSIX0_CONTROL", 12),
    ];
    let lab = sample.lab;
    let maps = vec![
        RegisterMap { region: Region::BAR0, registers: registers.into() },
        RegisterMap {
            region: Region::Config,
            registers: vec![config("MSIX_CONTROL", 0x62, 2, Access::ReadWrite)].into(),
        },
    ];
    let (function, route) = neighbour(&sample, vec![], (0xfe10_0000, 4096));
    let _ = (lab, function, route);
    let function = Function {
        bdf: Bdf::new(0, 6, 0).unwrap(),
        name: "msix".into(),
        vendor: 1,
        device: 2,
        bars: vec![],
        msi_vectors: 0,
        msix_vectors: 1,
        register_maps: maps,
        untrapped: vec![],
    };
    let define = |definition: Definition| sample.writer.define(&definition).unwrap();
    let function = Some(define(Definition::Function(function)));
    let route = |region, base| {
        define(Definition::Route(Route { function, region, space: Space::Memory, base, size: 4096 }))
    };
    let (config, table) = (route(Region::Config, ECAM + 0x3_0000), route(Region::BAR0, 0xfe20_0000));
    let write = sample.kernel_write(0, 0);
    let at = |offset: u64, value| AccessEvent {
        route: table,
        target: Target::Memory(0xfe20_0000 + offset),
        value,
        ..write
    };
    sample.access(at(8, 0x31));
    sample.access(at(12, vector));
    let control = AccessEvent {
        route: config,
        target: Target::Memory(ECAM + 0x3_0062),
        size: 2,
        value: control,
        ..write
    };
    sample.access(control);
    if lose {
        sample.lose();
    }
    sample.access(at(8, 0x31));
    sample.access(at(8, 0x32));
    sentences(sample)
}

#[test]
fn msix_live_edit_is_a_change_while_nothing_is_masked() {
    assert_eq!(
        msix(0x8000, 0, false),
        ["BAR0.MSIX0_DATA changes from 0x31 to 0x32 while the vector is unmasked."]
    );
    // Off, the function masked, the vector masked, and what nobody knows.
    for (control, vector, lose) in [(0, 0, false), (0xc000, 0, false), (0x8000, 1, false), (0x8000, 0, true)]
    {
        assert_eq!(msix(control, vector, lose), [""; 0]);
    }
}

/// An interrupt, a read of a clear-on-read register outside of handlers, and one in the handler.
fn steal(interrupt_first: bool, taken: u64, left: u64, lose: bool) -> Vec<String> {
    let mut sample = Sample::new();
    let (function, route) =
        neighbour(&sample, vec![config("CAUSES", 0, 4, Access::ReadSideEffect)], (0xfe10_0000, 4096));
    let read = AccessEvent { route, target: Target::Memory(0xfe10_0000), ..sample.kernel_read(0, taken) };
    let message =
        EventKind::Msi { function, index: 0, address: 0xfee0_0000, data: 0x31, delivered: true, cause: 0 };
    if interrupt_first {
        sample.event(message);
    }
    sample.access(read);
    if !interrupt_first {
        sample.event(message);
    }
    if lose {
        sample.lose();
    }
    sample.event(EventKind::IsrEnter { vector: 0x31 });
    let instruction = sample.code("lab::isr", 21, false);
    sample.access(AccessEvent { instruction, value: left, ..read });
    sample.event(EventKind::IsrExit { vector: 0x31 });
    sentences(sample)
}

#[test]
fn stolen_clear_on_read_is_what_the_handler_no_longer_finds() {
    assert_eq!(
        steal(true, 1, 0, false),
        ["A read of BAR0.CAUSES takes 0x1 after interrupt 1, and the handler finds nothing at record 4."]
    );
    // Stale causes are cleared, nothing was taken, enough is left, and what nobody knows.
    for (first, taken, left, lose) in
        [(false, 1, 0, false), (true, 0, 0, false), (true, 1, 2, false), (true, 1, 0, true)]
    {
        assert_eq!(steal(first, taken, left, lose), [""; 0]);
    }
}

/// Reads of these halves of a 64-bit counter by one function, then one of SCRATCH.
fn halves(offsets: &[u64], volatile: bool) -> Vec<String> {
    let mut sample = Sample::new();
    let counter = Register { volatile, ..config("COUNTER", 0, 8, Access::ReadOnly) };
    let (_, route) = neighbour(&sample, vec![counter], (0xfe10_0000, 4096));
    let read = sample.kernel_read(8, 1);
    for offset in offsets {
        sample.access(AccessEvent { route, target: Target::Memory(0xfe10_0000 + offset), ..read });
    }
    sample.access(read);
    sentences(sample)
}

#[test]
fn torn_64_is_two_halves_without_a_check() {
    let found = "BAR0.COUNTER is read in halves, the lower one first, by record 1, and not checked after.";
    assert_eq!(halves(&[0, 4], true), [found]);
    assert_eq!(halves(&[4, 0], true), [found.replace("lower", "upper")]);
    // Checked, one half alone, and one that stands still.
    for (offsets, volatile) in [(&[4, 0, 4][..], true), (&[0], true), (&[0, 0], true), (&[0, 4], false)] {
        assert_eq!(halves(offsets, volatile), [""; 0], "{offsets:?}");
    }
}

#[test]
fn torn_64_is_not_said_of_a_function_that_a_handler_interrupts() {
    let mut sample = Sample::new();
    let counter = config("COUNTER", 0, 8, Access::ReadOnly).volatile();
    let (_, route) = neighbour(&sample, vec![counter], (0xfe10_0000, 4096));
    let read = sample.kernel_read(8, 1);
    for offset in [4, 0] {
        sample.access(AccessEvent { route, target: Target::Memory(0xfe10_0000 + offset), ..read });
    }
    sample.event(EventKind::IsrEnter { vector: 0x31 });
    sample.access(read);
    assert_eq!(found(sample), [""; 0]);
}

/// Reads and writes of a register whose ones clear, by one place in code each.
fn acknowledged(pairs: &[(u64, u64)], read_modify_write: bool) -> Vec<String> {
    let mut sample = Sample::new();
    let (read, write) = (sample.kernel_read(0x14, 0), sample.kernel_write(0x14, 0));
    for (value, written) in pairs {
        sample.access(AccessEvent { value: *value, read_modify_write, ..read });
        sample.access(AccessEvent { value: *written, read_modify_write, ..write });
    }
    sentences(sample)
}

#[test]
fn w1c_write_back_is_a_bit_that_is_set_in_what_was_read() {
    assert_eq!(
        acknowledged(&[(4, 5), (2, 3)], false),
        ["BAR0.INT_STATUS gives 0x2 and is written 0x3: 0x2 is cleared along with 0x1."]
    );
    assert_eq!(
        acknowledged(&[(2, 3)], true),
        ["BAR0.INT_STATUS gives 0x2 and is written 0x3: 0x2 is cleared along with 0x1."]
    );
    // Just what was read, a part of it, and the same mask each time.
    for pairs in [&[(2, 2), (3, 3)], &[(3, 1), (7, 1)], &[(1, 3), (2, 3)]] {
        assert_eq!(acknowledged(pairs, false), [""; 0], "{pairs:?}");
    }
}

#[test]
fn findings_of_two_scenarios_are_two() {
    let mut sample = Sample::new();
    for name in ["one", "two"] {
        sample.scenario_begin(name);
        let read = AccessEvent { size: 1, outcome: Outcome::Width, ..sample.kernel_read(8, 0xff) };
        sample.access(read);
        sample.access(read);
        sample.scenario_end(true, "");
    }
    let report = lint_of(sample);
    let told: Vec<_> = report.findings.iter().map(|it| (it.scenario.as_deref().unwrap(), it.count)).collect();
    assert_eq!(told, [("one", 2), ("two", 2)]);
}

#[test]
fn a_clean_computation_has_no_findings() {
    let mut sample = Sample::new();
    sample.add_routes(0);
    sample.computation();
    let report = lint_of(sample);
    assert_eq!((report.total().as_str(), report.blind.len()), ("no findings", 0));
}

#[test]
fn every_lint_has_all_its_texts() {
    let list = all();
    assert_eq!(list.len(), 14);
    for about in list {
        let file = about.name.replace('-', "_");
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/lint/rules/{file}.rs"));
        assert!(path.is_file(), "{path:?}");
        for text in [about.title, about.looks_for, about.why, about.bug, about.advice, about.example] {
            assert!(!text.trim().is_empty(), "{}", about.name);
        }
        for text in [about.title, about.advice] {
            assert!(!text.ends_with('.'), "{text}");
        }
        assert_eq!(named(about.name).unwrap().name, about.name);
    }
    assert!(named("no-such").is_none());
}
