//! Entries into the kernel that have a record each.

use super::*;

/// A test that polls between two system calls, and another program that makes one meanwhile.
fn polls(calls_between: bool) -> Sample {
    let mut sample = Sample::new();
    sample.scenario_begin("poll");
    let (poll, other) = (sample.process("poll", 85), sample.process("other", 86));
    sample.entry(poll, Some(9));
    for _ in 0..3 {
        sample.program_reads(poll);
        sample.entry(other, Some(39));
    }
    if calls_between {
        sample.entry(poll, Some(39));
        sample.program_reads(poll);
    }
    sample.entry(poll, Some(11));
    sample.scenario_end(true, "");
    sample
}

fn reads() -> Filter {
    Filter::parse("read BAR0.SCRATCH by process poll").unwrap()
}

#[test]
fn entries_between_a_processs_accesses_are_its_own() {
    let trace = polls(false).finished();
    Expect::on(&trace).kernel_entries_between(reads(), 0..=0).assert_passed();
    let expect = Expect::on(&trace).within(Window::scenario("poll"));
    expect.kernel_entries_between(reads(), 0..=0).assert_passed();
    // All of them: of what was started there.
    expect.kernel_entries(5..=5).assert_passed();
    let trace = polls(true).finished();
    let failed = failure(Expect::on(&trace).kernel_entries_between(reads(), 0..=0));
    assert_eq!(failed.reason, "the guest counted 1");
    Expect::on(&trace).kernel_entries_between(reads(), 1..=1).assert_passed();
}

#[test]
fn between_takes_two_records_of_a_process() {
    let mut sample = Sample::new();
    for pid in 85..88 {
        let process = sample.process("poll", pid);
        sample.entry(process, Some(1));
        sample.program_reads(process);
    }
    let trace = sample.finished();
    let failed = failure(Expect::on(&trace).kernel_entries_between(reads(), 0..=0));
    assert_eq!(failed.reason, "no process has two such records, for entries to be between");
}

#[test]
fn a_window_that_a_program_opens_is_about_its_entries() {
    for calls_between in [false, true] {
        let trace = polls(calls_between).finished();
        let from = || Filter::parse("read BAR0.SCRATCH by process poll").unwrap();
        let window = Window::From { name: String::new(), from: Box::new(from()) };
        let of_poll = if calls_between { 2 } else { 1 };
        Expect::on(&trace).within(window).kernel_entries(of_poll..=of_poll).assert_passed();
    }
}

#[test]
fn a_window_without_a_record_has_no_entry_where_each_is_recorded() {
    let trace = polls(false).finished();
    let first_two = Window::between(reads(), Filter::parse("kernel-entries by process other").unwrap());
    Expect::on(&trace).within(first_two).kernel_entries(0..=0).assert_passed();
}

#[test]
fn each_entry_can_be_asked_for_by_process_and_system_call() {
    let trace = polls(true).finished();
    let like = |text: &str| Filter::parse(text).unwrap();
    Expect::on(&trace).count(like("kernel-entries by process poll syscall == getpid"), 1..=1).assert_passed();
    Expect::on(&trace).count(like("kernel-entries pid 86"), 3..=3).assert_passed();
    Expect::on(&trace).never(like("kernel-entries syscall == write")).assert_passed();
    Expect::on(&trace).sequence([reads(), like("kernel-entries by process poll"), reads()]).assert_passed();
}

#[test]
fn where_records_are_lost_nobody_knows_that_there_was_none() {
    let mut sample = Sample::new();
    let poll = sample.process("poll", 85);
    sample.entry(poll, Some(1));
    sample.program_reads(poll);
    sample.lose();
    sample.program_reads(poll);
    let trace = sample.finished();
    assert!(is_inconclusive(&Expect::on(&trace).kernel_entries_between(reads(), 0..=0)));
}
