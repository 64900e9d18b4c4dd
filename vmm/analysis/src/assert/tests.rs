//! What passes, what fails and how it says so, and what the trace can't tell.

mod certainty;
mod entries;

use barscope_trace::End;
use barscope_trace::definition::{MemoryType, Path};
use barscope_trace::event::{AccessEvent, Counted, EventKind, Outcome, Target};

use super::*;
use crate::filter::Filter;
use crate::sample::{BAR0, BAR2, MMAP, Sample};

/// A scenario with one write by the kernel and two reads by the program, around marks.
fn same_register() -> Sample {
    let mut sample = Sample::new();
    sample.scenario_begin("same-register");
    let write = sample.kernel_write(8, 0xc0ff_ee01);
    sample.access(write);
    sample.mark("user:begin");
    let read = sample.user_read(8, 0xc0ff_ee01);
    sample.access(read);
    sample.access(read);
    count(&mut sample, 0);
    sample.mark("user:end");
    sample.scenario_end(true, "");
    sample
}

fn count(sample: &mut Sample, value: u64) {
    let what = Counted::KernelEntries;
    sample.event(EventKind::Count { what, value, address: 0, error_code: 0, rip: 0, process: 0, call: None });
}

fn failure(verdict: Verdict) -> Failure {
    match verdict {
        Verdict::Fail(failure) => *failure,
        other => panic!("{other}"),
    }
}

fn is_inconclusive(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Inconclusive(_))
}

#[test]
fn every_field_of_an_access_can_be_asked_for() {
    let trace = same_register().finished();
    let expect = Expect::on(&trace).within(Window::scenario("same-register"));
    let read = read("BAR0.SCRATCH")
        .via(Path::Mmap)
        .announced()
        .cpl(3)
        .vcpu(0)
        .value(0xc0ff_ee01)
        .value_masked(0xff, 0x01)
        .width(4)
        .function("user::touch")
        .file("lab.rs")
        .line(29)
        .instruction("mov eax,[rdi]")
        .pat(MemoryType::UncacheableMinus)
        .memory_type(MemoryType::Uncacheable)
        .uncached()
        .gpa(BAR0 + 8)
        .gva(MMAP + 8)
        .cr3(0x5000)
        .mapped_by("user 1")
        .outcome(Outcome::Ok)
        .device("lab")
        .device("00:04.0");
    expect.count(read, 2..=2).assert_passed();
    let any = super::read("BAR0.SCRATCH");
    let wrong = [
        any.clone().via(Path::Ioremap),
        any.clone().cpl(0),
        any.clone().value(0),
        any.clone().value_masked(0xff, 2),
        any.clone().width(8),
        any.clone().function("lab::probe"),
        any.clone().line(28),
        any.clone().instruction("nop"),
        any.clone().memory_type(MemoryType::WriteCombining),
        any.clone().gpa(BAR0),
        any.clone().gva(MMAP),
        any.clone().cr3(0x3000),
        any.clone().mapped_by("lab::probe"),
        any.clone().outcome(Outcome::Busy),
        any.clone().read_modify_write(),
        any.clone().in_handler(),
        any.caused_by(1),
    ];
    for pattern in wrong {
        expect.never(pattern.clone()).assert_passed();
        assert!(!expect.count(pattern, 1..).passed());
    }
}

#[test]
fn a_sequence_has_its_order_and_may_have_gaps() {
    let trace = same_register().finished();
    let expect = Expect::on(&trace);
    let (by_kernel, by_user) = (write("BAR0.SCRATCH").cpl(0), read("BAR0.SCRATCH").cpl(3));
    expect.sequence([by_kernel.clone(), by_user.clone(), by_user.clone()]).assert_passed();
    expect.sequence([mark("user:begin"), mark("user:end")]).check().unwrap();
    let backwards = failure(expect.sequence([by_user.clone(), by_kernel]));
    assert_eq!(backwards.reason, "step 2 not found after record 4: write BAR0.SCRATCH cpl == 0");
    assert!(!expect.sequence([by_user.clone(), by_user.clone(), by_user]).passed());
}

#[test]
fn an_interrupt_can_be_followed_from_cause_to_acknowledgement() {
    let mut sample = Sample::new();
    sample.scenario_begin("interrupt");
    let start = sample.computation();
    sample.scenario_end(true, "");
    let trace = sample.finished();
    let expect = Expect::on(&trace).within(Window::scenario("interrupt"));
    expect
        .sequence([
            write("BAR0.OPCODE").field("OPCODE", 1),
            busy().device("lab"),
            change("BAR0.RESULT").was(0).value(0x78),
            change("BAR0.STATUS").field("DONE", 1).field("BUSY", 0),
            msi(0).vector(0x31).delivered(true).caused_by(start),
            read("BAR0.INT_STATUS").field("DONE", 1).in_handler(),
            write("BAR0.INT_STATUS").field("DONE", 1).in_handler().caused_by(start),
        ])
        .assert_passed();
    expect.never(interrupt_lost(0)).assert_passed();
    expect.never(dma()).assert_passed();
    expect.never(not_emulated()).assert_passed();
}

#[test]
fn windows_confine_what_counts() {
    let trace = same_register().finished();
    let within = |window| Expect::on(&trace).within(window);
    within(Window::marks("user:begin", "user:end")).never(access("BAR0").cpl(0)).assert_passed();
    within(Window::scenario("same-register")).count(access("BAR0").cpl(0), 1..=1).assert_passed();
    within(Window::Whole).count(access("BAR0"), 3..=3).assert_passed();
}

#[test]
fn a_clause_has_to_hold_in_every_occurrence_of_its_window() {
    let mut sample = Sample::new();
    for reads in [1, 2] {
        sample.mark("a");
        for _ in 0..reads {
            let read = sample.user_read(0, 0);
            sample.access(read);
        }
        sample.mark("b");
    }
    let trace = sample.finished();
    let expect = Expect::on(&trace).within(Window::marks("a", "b"));
    expect.count(read("BAR0.ID"), 1..=2).assert_passed();
    assert_eq!(failure(expect.count(read("BAR0.ID"), 1..=1)).reason, "record 6 is number 2");
}

#[test]
fn counts_are_of_instructions_not_of_their_parts() {
    let mut sample = Sample::new();
    let write = sample.kernel_write(0, 0);
    for fragment in [0, 8] {
        let target = Target::Memory(BAR2 + u64::from(fragment));
        let part = AccessEvent { route: sample.bar2, target, size: 8, instance: 1, fragment, ..write };
        sample.event(EventKind::Access(part));
    }
    sample.event(EventKind::Access(AccessEvent { instance: 2, ..write }));
    let trace = sample.finished();
    Expect::on(&trace).count(any_access(), 2..=2).assert_passed();
    Expect::on(&trace).count(access("BAR2.MEMORY"), 1..=1).assert_passed();
    Expect::on(&trace).count(access("BAR2+0x8"), 1..=1).assert_passed();
}

#[test]
fn kernel_entries_have_to_be_counted_by_the_guest() {
    let trace = same_register().finished();
    let user = Expect::on(&trace).within(Window::marks("user:begin", "user:end"));
    user.kernel_entries(0..=0).assert_passed();
    assert_eq!(failure(user.kernel_entries(1..)).reason, "the guest counted 0");
    let mut uncounted = Sample::new();
    uncounted.mark("a");
    let trace = uncounted.finished();
    let failure = failure(Expect::on(&trace).kernel_entries(0..=0));
    assert_eq!(failure.reason, "the guest reported no count");
}

#[test]
fn faults_and_mappings_can_be_asked_for() {
    let mut sample = Sample::new();
    sample.event(EventKind::Map { mapping: sample.user_mapping });
    let what = Counted::FaultResolved;
    sample.event(EventKind::Count {
        what,
        value: 1,
        address: MMAP + 8,
        error_code: 6,
        rip: 0,
        process: 0,
        call: None,
    });
    sample.event(EventKind::Unmap { mapping: sample.user_mapping });
    let trace = sample.finished();
    let expect = Expect::on(&trace);
    let fault = page_fault(Counted::FaultResolved).address(MMAP + 8).error_code(6);
    expect.sequence([map(Path::Mmap), fault, unmap(Path::Mmap)]).assert_passed();
    expect.never(page_fault(Counted::FaultFatal)).assert_passed();
    expect.never(map(Path::Ioremap)).assert_passed();
}

#[test]
fn nothing_passes_vacuously() {
    let trace = same_register().finished();
    let expect = Expect::on(&trace);
    let reason = |verdict| failure(verdict).reason;
    let closed = expect.within(Window::scenario("probe"));
    assert_eq!(reason(closed.never(any_access())), "this never began: the trace has no scenario \"probe\"");
    assert_eq!(reason(expect.sequence::<Filter>([])), "nothing is asked for");
    for (pattern, expected) in [
        (
            read("BAR0.SCRACH"),
            "no device in the trace has a register BAR0.SCRACH; did you mean BAR0.SCRATCH?",
        ),
        (read("BAR1.SCRATCH"), "no device in the trace has a register BAR1.SCRATCH"),
        (read("SCRATCH"), "\"SCRATCH\" names no place: BAR0, BAR0.REGISTER or BAR0+0x8 would"),
        (read("BAR0.STATUS").field("DUNE", 1), "STATUS has no field DUNE; did you mean DONE?"),
        (any_access().field("DUNE", 1), "no register has a field DUNE; did you mean DONE?"),
        (read("BAR0").device("nic"), "the trace has no device nic"),
        (read("BAR0.SCRATCH").device("00:05.0"), "the trace has no device 00:05.0"),
    ] {
        assert_eq!(reason(expect.never(pattern.clone())), expected);
        assert_eq!(reason(expect.count(pattern, 0..=0)), expected);
    }
}

#[test]
fn lost_events_leave_open_what_they_could_change() {
    let sample = same_register();
    sample.writer.reserve();
    let trace = sample.finished();
    let expect = Expect::on(&trace);
    let (present, absent) = (read("BAR0.SCRATCH"), read("BAR0.ID"));
    assert!(is_inconclusive(&expect.never(absent.clone())));
    assert!(is_inconclusive(&expect.count(present.clone(), 2..=2)));
    assert!(is_inconclusive(&expect.count(absent.clone(), 1..)));
    assert!(is_inconclusive(&expect.sequence([absent])));
    // What was seen was seen.
    expect.count(present.clone(), 2..).assert_passed();
    expect.sequence([present.clone()]).assert_passed();
    assert!(matches!(expect.never(present.clone()), Verdict::Fail(_)));
    assert!(matches!(expect.count(present, ..=1), Verdict::Fail(_)));
}

#[test]
fn what_kvm_served_by_itself_leaves_open_what_was_not_seen() {
    use barscope_trace::event::Backing;
    let mut sample = same_register();
    let bar2 = sample.bar2;
    let serve = |sample: &mut Sample, name: &str, backing| {
        sample.event(EventKind::Backing { route: bar2, backing, cause: 0 });
        sample.scenario_begin(name);
        sample.scenario_end(true, "");
    };
    serve(&mut sample, "direct", Backing::Direct);
    serve(&mut sample, "trapped", Backing::Trapped);
    let trace = sample.finished();
    let within = |name| Expect::on(&trace).within(Window::scenario(name));
    assert!(is_inconclusive(&within("direct").never(write("BAR2"))));
    assert!(is_inconclusive(&within("direct").never(any_access())));
    assert!(is_inconclusive(&within("direct").count(write("BAR2"), 1..)));
    // Other regions were seen, and so was what is no access.
    within("direct").never(write("BAR0")).assert_passed();
    within("direct").never(msi(0)).assert_passed();
    within("trapped").never(write("BAR2")).assert_passed();
}

#[test]
fn a_trace_that_ended_early_leaves_open_what_was_still_open() {
    let mut sample = same_register();
    sample.scenario_begin("interrupt");
    let trace = sample.ended(End::Interrupted("Ctrl-C".into()));
    let closed = Expect::on(&trace).within(Window::scenario("same-register"));
    // It might have come again.
    assert!(is_inconclusive(&closed.never(read("BAR0.ID"))));
    assert!(matches!(closed.sequence([read("BAR0.ID")]), Verdict::Fail(_)));
    let open = Expect::on(&trace).within(Window::scenario("interrupt")).named("acknowledged");
    let verdict = open.sequence([msi(0)]);
    let expected = "INCONCLUSIVE  \"acknowledged\", scenario interrupt\n  msi index == 0\n  the trace ended early: Ctrl-C";
    assert_eq!(verdict.to_string(), expected);
    assert!(is_inconclusive(&open.never(msi(0))));
    let later = Expect::on(&trace).within(Window::scenario("probe"));
    assert!(is_inconclusive(&later.never(msi(0))));
}

#[test]
fn a_killed_trace_has_no_end() {
    let trace = same_register().killed();
    let verdict = Expect::on(&trace).never(read("BAR0.ID"));
    assert_eq!(
        verdict.to_string(),
        "INCONCLUSIVE  the whole trace\n  never read BAR0.ID\n  the trace has no end"
    );
}

#[test]
fn an_open_window_of_a_finished_trace_fails() {
    let mut sample = Sample::new();
    sample.scenario_begin("interrupt");
    let trace = sample.finished();
    let expect = Expect::on(&trace).within(Window::scenario("interrupt"));
    assert!(matches!(expect.sequence([msi(0)]), Verdict::Fail(_)));
}

#[test]
fn a_failure_shows_clause_nearest_miss_and_surroundings() {
    let mut sample = Sample::new();
    sample.scenario_begin("interrupt");
    sample.computation();
    sample.scenario_end(true, "");
    let trace = sample.finished();
    let expect = Expect::on(&trace).within(Window::scenario("interrupt")).named("both are acknowledged");
    let verdict = expect.sequence([msi(0), write("BAR0.INT_STATUS").field("ERROR", 1)]);
    let expected = "\
FAIL  \"both are acknowledged\", scenario interrupt
  msi index == 0; then write BAR0.INT_STATUS {ERROR=0x1}
  step 2 not found after record 10: write BAR0.INT_STATUS {ERROR=0x1}
  nearest: record 13: ERROR is 0x0, not 0x1
        10  device                            MSI vector 0x31 -> vCPU 0
        11                                    interrupt handler 0x31 begins
        12  ioremap  lab::isr lab.rs:21       R4 BAR0.INT_STATUS 0x1 DONE
  >     13  ioremap  lab::isr lab.rs:22       W4 BAR0.INT_STATUS 0x1 DONE
        14  device                            INT_STATUS DONE -> 0
        15                                    interrupt handler 0x31 is done
        16                                    end of scenario interrupt: PASS";
    assert_eq!(verdict.to_string(), expected);
    let error = verdict.check().unwrap_err();
    assert_eq!(error.to_string(), expected);
}

#[test]
fn what_must_never_be_is_pointed_at() {
    let trace = same_register().finished();
    let verdict = Expect::on(&trace).never(access("BAR0").cpl(0));
    let expected = "\
FAIL  the whole trace
  never access BAR0 cpl == 0
  record 2 is like that
         1                                    scenario same-register
  >      2  ioremap  lab::start lab.rs:17     W4 BAR0.SCRATCH 0xc0ffee01
         3                                    mark user:begin
         4  mmap     user::touch lab.rs:29    R4 BAR0.SCRATCH 0xc0ffee01
         5  mmap     user::touch lab.rs:29    R4 BAR0.SCRATCH 0xc0ffee01";
    assert_eq!(verdict.to_string(), expected);
}

#[test]
fn fail_beats_inconclusive_beats_pass() {
    let trace = same_register().finished();
    let fail = || Expect::on(&trace).sequence::<Filter>([]);
    let text = String::new;
    let nobody_knows = Open { name: text(), window: text(), clause: text(), doubt: text() };
    let open = || Verdict::Inconclusive(Box::new(nobody_knows.clone()));
    assert!(matches!(open().and(fail()), Verdict::Fail(_)));
    assert!(matches!(fail().and(open()), Verdict::Fail(_)));
    assert_eq!(Verdict::Pass.and(open()), open());
    assert_eq!(open().and(Verdict::Pass), open());
    assert_eq!(Verdict::Pass.and(Verdict::Pass), Verdict::Pass);
}
