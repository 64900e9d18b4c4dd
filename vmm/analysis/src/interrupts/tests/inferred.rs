//! What handlers answer that only call stacks show.

use barscope_trace::definition::{Cut, Entered};
use barscope_trace::event::{AccessEvent, EventKind, Id};

use crate::Trace;
use crate::sample::Sample;
use crate::sample::stacks::{HARD, IOCTL, Outer, THREADED};

/// Accesses of a driver's code, with what their causes are.
struct Story {
    sample: Sample,
    stacks: [Id; 5],
    accesses: Vec<u64>,
}

/// Indexes of stacks.
const TASK: usize = 0;
const HANDLER: usize = 1;
const THREAD: usize = 2;
const ELSEWHERE: usize = 3;
const UNKNOWN: usize = 4;

impl Story {
    fn new() -> Self {
        let sample = Sample::new();
        let elsewhere = [&HARD[..4], &[(Entered::Interrupt, "kthread")]].concat();
        let stack = |frames: &[Outer<'_>], cut| sample.stack(None, frames, cut);
        let stacks = [
            stack(&IOCTL, None),
            stack(&HARD, None),
            stack(&THREADED, None),
            stack(&elsewhere, None),
            stack(&HARD[..1], Some(Cut::Asked)),
        ];
        Self { sample, stacks, accesses: Vec::new() }
    }

    fn access(&mut self, stack: usize) -> u64 {
        let read = self.sample.read_by("ioread32", 8, self.stacks[stack]);
        let seq = self.sample.access(read);
        self.accesses.push(seq);
        seq
    }

    fn program(&mut self) {
        let read = self.sample.user_read(8, 0);
        self.sample.access(read);
    }

    /// A message because of that access.
    fn message(&mut self, data: u32, cause: u64) {
        let (function, address) = (self.sample.lab, 0xfee0_0000);
        self.sample.event(EventKind::Msi { function, index: 0, address, data, delivered: true, cause });
    }

    /// The causes of all accesses, and whether they are certain.
    fn causes(self) -> Vec<(Option<u64>, bool)> {
        let Self { sample, accesses, .. } = self;
        let trace: Trace = sample.finished();
        let cause = |seq: &u64| {
            let view = trace.views().get(*seq).unwrap();
            (view.cause(), view.knows_cause())
        };
        accesses.iter().map(cause).collect()
    }
}

#[test]
fn a_handler_answers_the_message_before_it() {
    let mut story = Story::new();
    let start = story.access(TASK);
    story.message(0x31, start);
    story.access(HANDLER);
    story.access(HANDLER);
    let again = story.access(TASK);
    story.message(0x31, again);
    story.access(HANDLER);
    story.access(TASK);
    let expected = [
        (None, true),
        (Some(start), true),
        (Some(start), true),
        (None, true),
        (Some(again), true),
        (None, true),
    ];
    assert_eq!(story.causes(), expected);
}

#[test]
fn a_handler_that_interrupts_something_else_is_another_run() {
    let mut story = Story::new();
    let start = story.access(TASK);
    story.message(0x31, start);
    story.access(HANDLER);
    story.message(0x31, 1000);
    story.access(ELSEWHERE);
    assert_eq!(story.causes()[1..], [(Some(start), true), (Some(1000), true)]);
}

#[test]
fn a_message_during_a_handler_leaves_open_which_one_an_access_answers() {
    let mut story = Story::new();
    let start = story.access(TASK);
    story.message(0x31, start);
    story.access(HANDLER);
    story.message(0x31, 1000);
    story.access(HANDLER);
    story.access(TASK);
    story.message(0x31, 2000);
    story.access(HANDLER);
    let causes = story.causes();
    assert_eq!(causes[1], (Some(start), true));
    assert_eq!((causes[2].1, causes[4].1), (false, false));
}

#[test]
fn messages_of_several_vectors_leave_it_open() {
    let mut story = Story::new();
    story.message(0x31, 1000);
    story.message(0x32, 2000);
    story.access(HANDLER);
    assert!(!story.causes()[0].1);
}

#[test]
fn what_came_before_a_program_ran_was_answered() {
    let mut story = Story::new();
    // A handler that accesses nothing.
    story.message(0x31, 1000);
    story.program();
    story.program();
    story.message(0x31, 2000);
    story.access(HANDLER);
    assert_eq!(story.causes(), [(Some(2000), true)]);
}

#[test]
fn without_a_message_no_cause_is_known() {
    let mut story = Story::new();
    story.access(HANDLER);
    story.access(THREAD);
    assert_eq!(story.causes(), [(None, false), (None, false)]);
}

#[test]
fn a_threaded_handler_answers_what_woke_it() {
    let mut story = Story::new();
    let start = story.access(TASK);
    story.message(0x31, start);
    story.access(HANDLER);
    story.access(THREAD);
    story.access(THREAD);
    let again = story.access(TASK);
    story.message(0x31, again);
    story.access(HANDLER);
    story.access(THREAD);
    let causes = story.causes();
    assert_eq!(causes[2..4], [(Some(start), true), (Some(start), true)]);
    assert_eq!(causes[5..], [(Some(again), true), (Some(again), true)]);
}

#[test]
fn a_threaded_handler_that_goes_on_may_still_answer_what_woke_it_before() {
    let mut story = Story::new();
    story.message(0x31, 1000);
    story.access(THREAD);
    story.message(0x31, 2000);
    story.access(THREAD);
    assert_eq!(story.causes(), [(Some(1000), true), (Some(1000), false)]);
}

#[test]
fn a_stack_that_is_cut_leaves_open_what_came_before_it() {
    let mut story = Story::new();
    story.message(0x31, 1000);
    story.access(UNKNOWN);
    story.access(HANDLER);
    assert_eq!(story.causes(), [(None, false), (Some(1000), false)]);
}

#[test]
fn a_gap_leaves_it_open() {
    let mut story = Story::new();
    story.message(0x31, 1000);
    story.sample.lose();
    story.access(HANDLER);
    assert!(!story.causes()[0].1);
}

#[test]
fn a_write_that_was_gathered_may_be_a_handlers() {
    let mut story = Story::new();
    story.message(0x31, 1000);
    let write = AccessEvent { coalesced: true, ..story.sample.kernel_write(8, 0) };
    story.sample.access(write);
    story.access(HANDLER);
    assert!(!story.causes()[0].1);
}
