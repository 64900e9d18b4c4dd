//! What a verdict needs to be one: nothing passes, and nothing fails, that the trace can't tell.

use barscope_device::Region;
use barscope_trace::event::{Backing, MemoryOperand};
use barscope_trace::{Capabilities, Capability, Knowledge};

use super::*;
use crate::Trace;
use crate::expectation::parse;

/// The verdicts of an expectation file's clauses.
fn verdicts(trace: &Trace, text: &str) -> Vec<Verdict> {
    let suite = parse("t", text).unwrap_or_else(|diagnostic| panic!("{}", diagnostic.show("t", text)));
    check(trace, suite).into_iter().map(|finding| finding.verdict).collect()
}

fn verdict(trace: &Trace, clause: &str) -> Verdict {
    verdicts(trace, &format!("test \"t\"\n  {clause}\n")).remove(0)
}

fn doubt(verdict: &Verdict) -> &str {
    match verdict {
        Verdict::Inconclusive(open) => &open.doubt,
        other => panic!("{other}"),
    }
}

#[test]
fn a_sequence_needs_all_its_steps_though_earlier_ones_were_met_again() {
    let mut sample = Sample::new();
    for _ in 0..3 {
        let write = sample.kernel_write(8, 1);
        let cause = sample.access(write);
        let (function, region) = (sample.lab, Region::BAR0);
        sample.event(EventKind::Change { function, region, offset: 8, old: 0, new: 1, cause });
    }
    let trace = sample.finished();
    let never = "seq\n    access by kernel as a\n    change caused by a\n    isr within 10us of a";
    assert!(matches!(verdict(&trace, never), Verdict::Fail(_)));
    let mixed = "seq\n    write as n0\n    seq > 0 within 10us of n0 as n1\n    seq > 0 caused by n1 as n2\n    \
                 read within 30us of n1 caused by n0 as n3";
    assert!(matches!(verdict(&trace, mixed), Verdict::Fail(_)));
}

#[test]
fn accesses_served_unseen_leave_open_whatever_could_be_one_of_them() {
    let mut sample = Sample::new();
    let bar2 = sample.bar2;
    let read = sample.kernel_read(0, 1);
    sample.access(read);
    sample.event(EventKind::Backing { route: bar2, backing: Backing::Direct, cause: 0 });
    sample.access(read);
    sample.event(EventKind::Backing { route: bar2, backing: Backing::Trapped, cause: 0 });
    let trace = sample.finished();
    for open in [
        "never access value == 0x7654321",
        "never value == 0x7654321",
        "never (access or mark) value == 0x7654321",
        "never access (BAR0.SCRATCH == 0x7654321 or value == 0x7654321)",
        "never access (BAR0 or not BAR0) value == 0x7654321",
        "never not BAR0 value == 0x7654321",
        "never BAR2",
        "never gpa >= 0x800000000 value == 0x7654321",
        "never cpl == 3",
        "value == 0x7654321 at most 0 times",
        "write BAR2 at least 1 time",
        "each read BAR0.ID: then write BAR2",
    ] {
        assert!(is_inconclusive(&verdict(&trace, open)), "{open}: {}", verdict(&trace, open));
    }
    for passed in ["never write BAR0", "never msi", "never BAR0.STATUS", "read BAR0.ID exactly 2 times"] {
        verdict(&trace, passed).assert_passed();
    }
    assert!(matches!(verdict(&trace, "never read BAR0.ID"), Verdict::Fail(_)));
}

#[test]
fn what_a_lost_record_could_change_is_open_and_the_rest_is_decided() {
    let mut sample = Sample::new();
    let mut handler = |lose: bool, acknowledges: bool| {
        sample.event(EventKind::IsrEnter { vector: 0x31 });
        if lose {
            sample.lose();
        } else if acknowledges {
            let write = sample.kernel_write(0x14, 1);
            sample.access(write);
        }
        sample.event(EventKind::IsrExit { vector: 0x31 });
    };
    handler(false, true);
    handler(true, true);
    handler(false, true);
    let trace = sample.finished();
    let window = "window w = isr .. isr-exit\ntest \"t\"\n  in w: ";
    let in_window = |clause: &str| verdicts(&trace, &format!("{window}{clause}\n")).remove(0);
    assert_eq!(doubt(&in_window("write BAR0.INT_STATUS at least 1")), "record 5 is lost");
    assert!(is_inconclusive(&in_window("seq\n    write BAR0.INT_STATUS")));
    // The first handler was seen whole, and so was the third one's beginning.
    assert!(matches!(in_window("write BAR0.ID at least 1"), Verdict::Fail(_)));
    assert!(matches!(in_window("never write BAR0.INT_STATUS"), Verdict::Fail(_)));
}

#[test]
fn the_end_of_a_scenario_that_is_lost_fails_nothing() {
    let mut sample = Sample::new();
    sample.scenario_begin("s");
    sample.lose();
    let trace = sample.finished();
    let text = "test \"t\" in scenario s\n  read BAR0.ID at least 1\n";
    assert_eq!(doubt(&verdicts(&trace, text)[0]), "record 2 is lost");
}

#[test]
fn a_window_that_never_closes_fails_unless_it_is_meant_to_stay_open() {
    let mut sample = Sample::new();
    sample.mark("begin");
    let read = sample.kernel_read(0, 1);
    sample.access(read);
    let trace = sample.finished();
    let text = "window w = mark \"begin\" .. mark \"typo\"\nwindow v = mark \"begin\" .. end\ntest \"t\"\n  \
                in w: read BAR0.ID at least 1\n  in v: read BAR0.ID at least 1\n  in v: never write\n";
    let [never_closed, open, never] = &verdicts(&trace, text)[..] else { panic!("three clauses") };
    let reason = "the window that began with record 1 never ended; the trace has no mark \"typo\"";
    assert_eq!(failure(never_closed.clone()).reason, reason);
    open.assert_passed();
    never.assert_passed();
}

#[test]
fn what_the_trace_had_no_room_for_is_open() {
    let mut sample = Sample::new();
    let read = sample.kernel_read(0, 1);
    sample.event(EventKind::ScenarioBegin { name: 0 });
    sample.event(EventKind::Mark { text: 0, process: 0 });
    sample.access(AccessEvent { route: 0, ..read });
    sample.access(AccessEvent { walk: 0, instruction: 0, ..read });
    let summary = 0;
    sample.event(EventKind::ScenarioEnd { passed: true, summary });
    let trace = sample.finished();
    let told = "mark \"a\"\nscenario \"s\"\n";
    for open in [
        "never mark \"a\"",
        "mark \"a\" at least 1",
        "in scenario s: never read",
        "never read scenario == s",
        "never scenario-end text == \"fine\"",
        "never read BAR2",
        "read BAR0.ID at least 2",
        "never read offset == 8",
        "never read via mmap",
        "never read in lab::isr",
        "never read rip == 0x1234",
    ] {
        let text = format!("{told}test \"t\"\n  {open}\n");
        let verdict = verdicts(&trace, &text).remove(0);
        assert!(matches!(verdict, Verdict::Inconclusive(_)), "{open}: {verdict}");
    }
    for holds in ["read at most 2", "never write", "mark at most 1", "read by kernel at least 2"] {
        verdict(&trace, holds).assert_passed();
    }
}

#[test]
fn what_a_guest_told_more_of_than_the_trace_keeps_is_open() {
    let mut known = Capabilities::COMPLETE;
    known.set(Capability::Functions, Knowledge::Incomplete);
    let mut sample = Sample::new().knowing(known);
    sample.computation();
    let verdict = verdict(&sample.finished(), "never write in lab::start");
    let reason =
        "this guest told more than the trace keeps of the names of its functions: see the trace's warnings";
    assert_eq!(doubt(&verdict), reason);
}

#[test]
fn what_a_guest_does_not_tell_is_open_and_the_verdict_says_how_to_get_it() {
    let told = |capability| {
        let mut known = Capabilities::COMPLETE;
        known.set(capability, Knowledge::Unknown);
        let mut sample = Sample::new().knowing(known);
        sample.computation();
        sample.finished()
    };
    for (capability, clauses) in [
        (Capability::Handlers, &["never isr", "never msi or isr-exit 0x31"][..]),
        (Capability::KernelEntries, &["kernel entries at most 5", "never kernel-entries"]),
        (Capability::Functions, &["never write in lab::start", "read in lab::isr at least 1"]),
        (Capability::KernelMappings, &["never map via ioremap", "never access mapped-by == lab::probe"]),
        (Capability::PageFaults, &["never page-fault"]),
    ] {
        let trace = told(capability);
        for clause in clauses {
            let verdict = verdict(&trace, clause);
            assert!(doubt(&verdict).contains(capability.how_to_get()), "{clause}: {verdict}");
        }
        // What a device does has its cause recorded.
        verdict(&trace, "seq\n    write BAR0.OPCODE as go\n    msi caused by go").assert_passed();
    }
}

#[test]
fn handlers_are_told_by_their_announcements_or_by_call_stacks() {
    const CLAUSES: [&str; 4] = [
        "never access BAR0.INT_STATUS in handler",
        "read BAR0.INT_STATUS in handler at least 1",
        "never access in threaded handler",
        "seq\n    write BAR0.OPCODE as go\n    read BAR0.INT_STATUS caused by go",
    ];
    let told = |unknown: &[Capability]| {
        let mut known = Capabilities::COMPLETE;
        unknown.iter().for_each(|capability| known.set(*capability, Knowledge::Unknown));
        let mut sample = Sample::new().knowing(known);
        let read = sample.kernel_read(0x14, 1);
        sample.access(read);
        sample.access(read);
        let start = sample.kernel_write(0x24, 1);
        sample.access(start);
        sample.finished()
    };
    let neither = told(&[Capability::Handlers, Capability::Stacks]);
    for clause in CLAUSES {
        let verdict = verdict(&neither, clause);
        assert!(doubt(&verdict).contains(Capability::Handlers.how_to_get()), "{clause}: {verdict}");
    }
    // No call stack was taken for any of these accesses.
    let stacks = told(&[Capability::Handlers]);
    for clause in CLAUSES.iter().take(3) {
        assert!(is_inconclusive(&verdict(&stacks, clause)), "{clause}");
    }
    let announced = told(&[Capability::Stacks]);
    verdict(&announced, CLAUSES[0]).assert_passed();
    verdict(&announced, "never read in handler").assert_passed();
}

#[test]
fn a_page_that_nobody_announced_may_have_come_by_any_of_three_ways() {
    let mut sample = Sample::new();
    let inferred = sample.inferred_user_walk();
    let read = AccessEvent { walk: inferred, ..sample.user_read(8, 1) };
    sample.access(read);
    let trace = sample.finished();
    for clause in ["never access via sysfs", "access via /dev/mem at least 1", "access via mmap at least 1"] {
        assert!(is_inconclusive(&verdict(&trace, clause)), "{clause}");
    }
    verdict(&trace, "never access via ioremap").assert_passed();
    verdict(&trace, "access path != ioremap at least 1").assert_passed();
}

#[test]
fn an_instruction_that_was_not_emulated_would_have_been_an_access() {
    let mut sample = Sample::new();
    let (route, walk) = (sample.bar2, sample.mmap);
    let operand = MemoryOperand { reads: true, writes: false, size: 32 };
    let gpa = Some(BAR2 + 0x10);
    sample.event(EventKind::NotEmulated { cpl: 3, instruction: 0, walk, route, gpa, operand, stack: 0 });
    let trace = sample.finished();
    for clause in ["never access BAR2", "access BAR2 by user at least 1", "never read value == 3"] {
        assert!(doubt(&verdict(&trace, clause)).contains("couldn't emulate"), "{clause}");
    }
    verdict(&trace, "never access BAR0").assert_passed();
    verdict(&trace, "never access BAR2 by kernel").assert_passed();
    verdict(&trace, "not-emulated BAR2+0x10 by user on lab exactly 1 time").assert_passed();
}

#[test]
fn a_mark_or_a_scenario_that_is_not_there_passes_only_if_it_is_declared() {
    let mut sample = Sample::new();
    sample.mark("begin");
    let trace = sample.finished();
    let absent = "the trace has no mark \"begn\"; did you mean begin?";
    let text =
        "test \"t\"\n  never mark \"begn\"\n  mark \"begn\" at most 2 times\n  mark \"begn\" at least 1\n";
    let [never, most, least] = &verdicts(&trace, text)[..] else { panic!("three clauses") };
    let open = format!("{absent}; if it may be absent, declare it: mark \"begn\"");
    assert_eq!((doubt(never), doubt(most)), (open.as_str(), open.as_str()));
    assert_eq!(failure(least.clone()).reason, format!("found 0 times; {absent}"));
    let [never, most, least] = &verdicts(&trace, &format!("mark \"begn\"\n{text}"))[..] else {
        panic!("three clauses")
    };
    never.assert_passed();
    most.assert_passed();
    assert!(matches!(least, Verdict::Fail(_)));
}

#[test]
fn too_many_candidates_are_open_never_wrong() {
    let mut sample = Sample::new();
    let (function, region) = (sample.lab, Region::BAR0);
    let change = |offset, cause| EventKind::Change { function, region, offset, old: 0, new: 1, cause };
    for _ in 0..3000 {
        let read = sample.kernel_read(0, 1);
        let cause = sample.access(read);
        sample.event(change(8, cause));
        sample.event(change(0x10, 0));
    }
    let trace = sample.finished();
    // Every change of SCRATCH with every change of STATUS after it.
    let clause = "each read BAR0.ID:\n    then change BAR0.SCRATCH as b\n    then change BAR0.STATUS as c\n    \
                  then change BAR0.OPCODE caused by b\n    then change BAR0.RESULT caused by c";
    assert!(doubt(&verdict(&trace, clause)).starts_with("too many candidates"));
}

#[test]
fn what_is_inferred_is_shown_though_nothing_is_decided_by_it() {
    let mut sample = Sample::new();
    let inferred = sample.inferred_user_walk();
    let read = AccessEvent { walk: inferred, ..sample.user_read(8, 1) };
    sample.access(read);
    let trace = sample.finished();
    let filter = Filter::parse("access via mmap").unwrap().compile(trace.definitions()).unwrap();
    assert!(trace.views().all().iter().any(|view| filter.matches(view)));
}

#[test]
fn a_name_that_a_trace_lacks_may_have_come_after_it_was_cut_off() {
    let made = |end| {
        let mut sample = Sample::new();
        let read = sample.kernel_read(0, 1);
        sample.access(read);
        sample.ended(end)
    };
    for clause in ["never access mapped-by == \"user 7\"", "never access in lab::isrr"] {
        let whole = verdict(&made(End::Finished), clause);
        assert!(matches!(whole, Verdict::Fail(_)), "{whole}");
        let cut = verdict(&made(End::Interrupted("Ctrl-C".into())), clause);
        assert!(doubt(&cut).ends_with("but the trace ended early"), "{cut}");
    }
}

#[test]
fn a_handler_of_nobody_knows_which_pin_is_a_handler_all_the_same() {
    let mut sample = Sample::new();
    let start = sample.kernel_write(0x24, 1);
    let cause = sample.access(start);
    for (function, gsi) in [(sample.lab, 10), (sample.lab + 100, 11)] {
        sample.event(EventKind::Intx { function, asserted: true, gsi, cause });
    }
    sample.event(EventKind::IsrEnter { vector: 0x40 });
    let read = sample.kernel_read(0x14, 1);
    sample.access(read);
    sample.event(EventKind::IsrExit { vector: 0x40 });
    let trace = sample.finished();
    assert!(matches!(verdict(&trace, "never read BAR0.INT_STATUS in handler"), Verdict::Fail(_)));
    verdict(&trace, "read BAR0.INT_STATUS in handler exactly 1 time").assert_passed();
    let caused = "seq\n    write BAR0.OPCODE as go\n    read BAR0.INT_STATUS caused by go";
    assert!(is_inconclusive(&verdict(&trace, caused)));
}
