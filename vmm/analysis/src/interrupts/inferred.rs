//! Handlers that nobody announces: call stacks show them, and what they answer follows from the messages before.
//!
//! An access from a handler doesn't say which vector it was entered by. A handler on a vCPU answers a message that may
//! have gone there and that none did before; if there is one, that is it.
//!
//! - A run of a *hard* handler lasts until its vCPU makes another access, or its stack shows that something else was
//!   interrupted. A message that comes meanwhile may have begun another run: from there on nothing is certain.
//! - A handler needs no access. What was sent before a vCPU made two accesses from ring 3, where interrupts are on, was
//!   answered; what was sent before another access of a task may have been.
//! - A run of a *threaded* handler answers the message of its device that came since the run before. It has ended when
//!   something else has run on its vCPU and it begins as it did before; otherwise nothing is certain.
//!
//! Pins say nothing here: who shares them isn't known. After a gap nothing is certain that depends on what was before.

use std::collections::BTreeMap;

use barscope_trace::event::{AccessEvent, Event, Id};

use super::messages::Destination;
use super::{Raised, index};
use crate::view::{Callers, Context};

/// The most messages that are kept until somebody answers them, and functions whose handlers are followed.
const MOST: usize = 64;

/// What an access in a handler answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The message, if any is known.
    pub(crate) to: Option<Raised>,
    /// Whether it is that one.
    pub(crate) certain: bool,
    /// It is the first access that answers it.
    pub(crate) first: bool,
}

/// Follows messages to the accesses that answer them.
#[derive(Default)]
pub(crate) struct Inferred {
    waiting: Vec<Waiting>,
    /// By the vCPU's index plus one.
    hard: Vec<Option<Run>>,
    /// By function.
    threads: BTreeMap<Id, Thread>,
    /// Events are missing, so that messages may be.
    gap: bool,
    answer: Answer,
}

/// A message that no handler is known to have answered.
#[derive(Clone, Copy)]
struct Waiting {
    seq: u64,
    raised: Raised,
    vector: u8,
    destination: Destination,
    /// So many accesses of ring 3 came on its vCPU since.
    passed: u8,
    /// It may have been answered, or stand for several.
    doubtful: bool,
}

/// A run of a hard handler.
#[derive(Clone, Copy)]
struct Run {
    answer: Answer,
    interrupted: Option<u64>,
}

/// The thread that handles a function's interrupts.
#[derive(Default)]
struct Thread {
    /// The first message since its run began, and how many there are.
    since: Option<(u64, Raised)>,
    count: u64,
    /// The last message that a hard handler answered.
    answered: u64,
    /// It may have been answered.
    doubtful: bool,
    run: Option<ThreadRun>,
}

struct ThreadRun {
    answer: Answer,
    /// Instruction and stack of its first access.
    begins: (Id, Id),
    vcpu: Option<u8>,
    /// Something else ran on its vCPU.
    left: bool,
}

impl Inferred {
    /// Events are missing before the next.
    pub(super) fn lose(&mut self) {
        self.gap = true;
        self.waiting.iter_mut().for_each(|waiting| waiting.doubtful = true);
        self.hard.iter_mut().flatten().for_each(|run| run.answer.certain = false);
        self.doubt_threads();
    }

    /// A message was delivered.
    pub(super) fn message(&mut self, seq: u64, destination: Destination, vector: u8, raised: Raised) {
        let same = |waiting: &&mut Waiting| {
            waiting.vector == vector && waiting.destination == destination && waiting.passed == 0
        };
        match self.waiting.iter_mut().find(same) {
            // They are one interrupt, unless the first was answered by then.
            Some(first) => first.doubtful = true,
            None => {
                if self.waiting.len() == MOST {
                    self.waiting.remove(0);
                    self.gap = true;
                }
                let doubtful = false;
                self.waiting.push(Waiting { seq, raised, vector, destination, passed: 0, doubtful });
            }
        }
        if self.threads.len() < MOST || self.threads.contains_key(&raised.function) {
            let thread = self.threads.entry(raised.function).or_default();
            thread.since.get_or_insert((seq, raised));
            thread.count += 1;
        }
    }

    /// Takes note of an access to `function` by code with these callers; `alone` if there is one vCPU only.
    pub(super) fn access(
        &mut self,
        event: &Event,
        access: &AccessEvent,
        callers: Option<&Callers>,
        function: Option<Id>,
        alone: bool,
    ) {
        self.answer = Answer::default();
        if access.coalesced {
            // Whoever made it may have answered any of them.
            self.waiting.iter_mut().for_each(|waiting| waiting.doubtful = true);
            self.hard.iter_mut().flatten().for_each(|run| run.answer.certain = false);
            return self.doubt_threads();
        }
        if event.vcpu.is_none() {
            return;
        }
        let at = index(event.vcpu);
        if at >= self.hard.len() {
            self.hard.resize(at + 1, None);
        }
        let context = if access.cpl == 3 { Some(Context::Task) } else { callers.and_then(Callers::context) };
        match context {
            Some(Context::HardHandler) => {
                self.answer = self.in_hard(at, event, callers.and_then(Callers::interrupted), alone);
            }
            Some(Context::ThreadedHandler) => {
                self.hard[at] = None;
                let begins = (access.instruction, access.stack);
                self.answer =
                    function.map(|function| self.in_thread(event, function, begins)).unwrap_or_default();
            }
            Some(Context::Task) => {
                self.hard[at] = None;
                self.in_task(event.vcpu, access.cpl == 3, alone);
            }
            Some(Context::Softirq | Context::Interrupt) => self.hard[at] = None,
            None => {
                if let Some(run) = &mut self.hard[at] {
                    run.answer.certain = false;
                }
                let may_go = |waiting: &&mut Waiting| waiting.may_go_to(event.vcpu, alone);
                self.waiting.iter_mut().filter(may_go).for_each(|waiting| waiting.doubtful = true);
                self.doubt_threads();
            }
        }
    }

    fn doubt_threads(&mut self) {
        for thread in self.threads.values_mut() {
            thread.doubtful |= thread.since.is_some();
            if let Some(run) = &mut thread.run {
                run.answer.certain = false;
            }
        }
    }

    /// What the access that was last taken note of answers.
    pub(crate) fn answer(&self) -> Answer {
        self.answer
    }

    fn in_hard(&mut self, at: usize, event: &Event, interrupted: Option<u64>, alone: bool) -> Answer {
        let arrives = |waiting: &Waiting| waiting.may_go_to(event.vcpu, alone);
        let doubt = self.gap;
        if let Some(run) = &mut self.hard[at]
            && run.interrupted == interrupted
        {
            if self.waiting.iter().any(arrives) {
                run.answer.certain = false;
                self.waiting.iter_mut().filter(|waiting| arrives(waiting)).for_each(|it| it.doubtful = true);
            }
            return Answer { first: false, ..run.answer };
        }
        let sure = self.waiting.iter().filter(|waiting| arrives(waiting) && !waiting.doubtful).count();
        let all = self.waiting.iter().filter(|waiting| arrives(waiting)).count();
        // The latest: those before may have been answered.
        let found = self.waiting.iter().rposition(|it| arrives(it) && (sure == 0 || !it.doubtful));
        let taken = found.map(|found| self.waiting.remove(found));
        let certain = all == 1 && sure == 1 && !doubt;
        if let Some(taken) = taken
            && let Some(thread) = self.threads.get_mut(&taken.raised.function)
        {
            thread.answered = taken.seq;
        }
        let answer = Answer { to: taken.map(|taken| taken.raised), certain, first: true };
        self.hard[at] = Some(Run { answer, interrupted });
        answer
    }

    fn in_thread(&mut self, event: &Event, function: Id, begins: (Id, Id)) -> Answer {
        let gap = self.gap;
        let Some(thread) = self.threads.get_mut(&function) else { return Answer::default() };
        match (&mut thread.run, thread.since) {
            (Some(run), None) => Answer { first: false, ..run.answer },
            (Some(run), Some(_)) if !run.left || run.begins != begins => {
                run.answer.certain = false;
                Answer { first: false, ..run.answer }
            }
            (_, Some((seq, raised))) => {
                let certain = thread.count == 1 && !gap && !std::mem::take(&mut thread.doubtful);
                let answer = Answer { to: Some(raised), certain, first: thread.answered != seq };
                thread.run = Some(ThreadRun { answer, begins, vcpu: event.vcpu, left: false });
                (thread.since, thread.count) = (None, 0);
                answer
            }
            (None, None) => Answer::default(),
        }
    }

    fn in_task(&mut self, vcpu: Option<u8>, user: bool, alone: bool) {
        for waiting in self.waiting.iter_mut().filter(|waiting| waiting.may_go_to(vcpu, alone)) {
            if user && waiting.goes_to(vcpu, alone) {
                waiting.passed += 1;
            } else {
                waiting.doubtful = true;
            }
        }
        self.waiting.retain(|waiting| waiting.passed < 2);
        for run in self.threads.values_mut().filter_map(|thread| thread.run.as_mut()) {
            run.left |= run.vcpu == vcpu;
        }
    }
}

impl Waiting {
    fn goes_to(&self, vcpu: Option<u8>, alone: bool) -> bool {
        match self.destination {
            Destination::One(one) => Some(one) == vcpu,
            Destination::All | Destination::Any => alone,
        }
    }

    fn may_go_to(&self, vcpu: Option<u8>, alone: bool) -> bool {
        !matches!(self.destination, Destination::One(_)) || self.goes_to(vcpu, alone)
    }
}
