//! What lints make of hand-made traces: each mistake is found, and what looks like it isn't.

mod allows;
mod functions;
mod interrupts;
mod mappings;
mod reference;
mod registers;
mod sites;
mod stopping;

use barscope_device::{Access, BarIndex, Bdf, Field, InterruptLoss, Region, Register, RegisterMap, Space};
use barscope_trace::definition::{
    Bar, Definition, FilePart, Function, Mapping, MemoryType, Path, Route, Walk,
};
use barscope_trace::event::{AccessEvent, DmaOutcome, EventKind, Id, Outcome, RouteChange, Target};
use barscope_trace::{Capabilities, Capability, Knowledge};

use super::*;
use crate::sample::{BAR0, BAR2, ECAM, IOREMAP, MMAP, Sample, USER};

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
        config("AF_CONTROL", 0x84, 1, Access::ReadWrite),
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
    lint_of(sample).print_text(false, (160, false), &mut text).unwrap();
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
fn a_finding_and_a_text_keep_within_the_columns_that_there_are() {
    let mut sample = Sample::new();
    let read = AccessEvent { size: 1, outcome: Outcome::Width, ..sample.kernel_read(9, 0xff) };
    sample.access(read);
    let mut text = Vec::new();
    lint_of(sample).print_text(false, (60, false), &mut text).unwrap();
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "\
wrong-width, certain: BAR0.SCRATCH of 00:04.0 lab, by
    lab::probe lab.rs:13
  A read of 1 byte at BAR0+0x009, BAR0.SCRATCH, which the
    register doesn't take: the device refused it.
  1 record: 1
  To do: access a register as its data sheet says: readl and
    writel for 32 bits, __ioread32_copy for many

1 finding: 1 certain
"
    );
    for about in all() {
        let text = about.text(60);
        let (code, words): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with("    "));
        assert!(words.iter().all(|line| line.len() <= 60), "{text}");
        assert!(code.contains(&format!("    $ {}", about.shown_by).as_str()), "{text}");
        assert!(about.row(60).lines().all(|line| line.len() <= 60), "{}", about.row(60));
    }
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
    let path = finding["path"].as_str().unwrap();
    assert!(path.starts_with('/') && path.ends_with("/lab.rs"), "{path}");
    assert_eq!(finding["allowed"], serde_json::Value::Null);
    let end = &lines[1];
    assert_eq!((&end["event"], &end["certain"], &end["trace"]), (&"lint".into(), &1.into(), &"t".into()));
}

#[test]
fn sites_are_told_apart_from_findings() {
    let mut sample = Sample::new();
    let stack = sample.stack(None, &[], None);
    for at in ["edu_probe", "edu_probe+0x8"] {
        let read = sample.read_by(at, 8, stack);
        sample.access(read);
    }
    let report = lint_of(sample);
    assert_eq!((report.findings.len(), report.sites.len(), report.count(Class::Provable)), (0, 1, 1));
    assert!(!report.has(Class::Likely));
    let text = |sites| {
        let mut text = Vec::new();
        report.print_text(sites, (160, false), &mut text).unwrap();
        String::from_utf8(text).unwrap()
    };
    assert_eq!(text(false), "no findings\n1 site for fault campaigns (--sites lists them)\n");
    assert_eq!(
        text(true),
        "\
double-fetch, provable: BAR0.SCRATCH of 00:04.0 lab, by edu_probe+0x28 [edu]
  BAR0.SCRATCH is read again, after record 1 by the same call.
  1 record: 2
  To do: read it once, and use what was checked

no findings
1 site for fault campaigns
"
    );
    let mut json = Vec::new();
    report.print_json("t", &mut json).unwrap();
    let json = String::from_utf8(json).unwrap();
    let lines: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!((&events[..], &lines[0]["class"]), (&["site", "lint"][..], &"provable".into()));
    assert_eq!((&lines[1]["provable"], &lines[1]["certain"]), (&1.into(), &0.into()));
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
fn a_lint_that_lacks_what_it_needs_judges_nothing_and_says_so() {
    let mut told = Capabilities::COMPLETE;
    told.set(Capability::MemoryTypes, Knowledge::Unknown);
    let mut sample = Sample::new().knowing(told);
    let walk = Walk { memory_type: MemoryType::WriteBack, ..sample.ioremap_walk() };
    let walk = sample.writer.define(&Definition::Walk(walk)).unwrap();
    let read = AccessEvent { walk, ..sample.kernel_read(8, 0) };
    sample.access(read);
    let mut text = Vec::new();
    lint_of(sample).print_text(false, (160, false), &mut text).unwrap();
    assert_eq!(
        String::from_utf8(text).unwrap(),
        "no findings\nmemory-type wasn't judged: the trace doesn't tell the memory types of accesses; a trace of another tracer \
         holds what that saw: record it by `barscope run`\n"
    );
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
    assert_eq!(list.len(), 25);
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
