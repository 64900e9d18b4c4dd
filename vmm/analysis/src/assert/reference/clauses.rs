//! Random clauses about worlds.

use fastrand::Rng;

use super::world::{MARKS, SCENARIOS};
use crate::assert::{Clause, Limits, Step, Time, Window, Within};
use crate::filter::Filter;

/// Conditions of filters: kinds, places, values, properties of the record and of what was before it.
const CONDITIONS: &[&str] = &[
    "read",
    "write",
    "access",
    "msi",
    "msi 0",
    "msi 1",
    "change",
    "isr",
    "isr-exit",
    "isr 0x31",
    "mark",
    "mark \"a\"",
    "mark \"b\"",
    "scenario-begin",
    "scenario-end",
    "map",
    "kernel-entries",
    "page-fault",
    "BAR0",
    "BAR2",
    "BAR0.SCRATCH",
    "BAR0.INT_STATUS",
    "BAR0+0x0",
    "BAR2+0x8",
    "{DONE=1}",
    "{ERROR=0}",
    "value == 1",
    "value < 2",
    "value & 1 == 1",
    "cpl == 0",
    "by user",
    "via ioremap",
    "via mmap",
    "via sysfs",
    "path != mmap",
    "user-page",
    "pat UC-",
    "pat uncached",
    "memtype UC",
    "in handler",
    "handler",
    "in hard handler",
    "in threaded handler",
    "context == softirq",
    "context != task",
    "in probe",
    "in \"i*\"",
    "function != probe",
    "in stack ioctl_of_mine",
    "in stack \"*i*\"",
    "stack != main",
    "in syscall read",
    "syscall != read",
    "by process a",
    "process != a",
    "pid 98",
    "on lab",
    "scenario == s",
    "scenario != t",
    "delivered",
    "vector == 0x31",
    "outcome == ok",
    "outcome != ok",
    "width == 4",
    "rmw",
    "vcpu == 0",
    "time > 5",
    "host < 9",
    "gpa >= 0xfe000000",
    "old == 1",
    "instance == 1",
];

pub(super) fn random_clause(random: &mut Rng) -> (Window, Clause) {
    let window = match random.u8(0..10) {
        0 | 1 => Window::scenario(SCENARIOS[random.usize(0..2)]),
        2 => {
            let mark = |random: &mut Rng| MARKS[random.usize(0..2)];
            Window::marks(mark(random), mark(random))
        }
        3 => Window::between(random_filter(random), random_filter(random)),
        4 => Window::From { name: String::new(), from: Box::new(random_filter(random)) },
        _ => Window::Whole,
    };
    let clause = match random.u8(0..10) {
        0..=3 => Clause::Sequence(random_steps(random, 1)),
        4..=6 => {
            let mut steps = random_steps(random, 2);
            let trigger = steps.remove(0);
            Clause::Each { trigger, then: steps, if_any: random.bool() }
        }
        7 => Clause::Never(random_filter(random)),
        8 => Clause::Count(random_filter(random), random_limits(random)),
        _ => {
            let between = random.bool().then(|| random_filter(random));
            Clause::KernelEntries { limits: random_limits(random), between }
        }
    };
    (window, clause)
}

fn random_limits(random: &mut Rng) -> Limits {
    let low = random.u64(0..3);
    let high = (low == 0 || random.bool()).then(|| low + random.u64(0..3));
    Limits { low, high }
}

/// From `least` to four steps, each of which may refer to those before.
fn random_steps(random: &mut Rng, least: usize) -> Vec<Step> {
    let count = random.usize(least..5);
    let step = |at: usize| {
        let mut step = Step::from(random_filter(random)).named(&format!("n{at}"));
        let before = |random: &mut Rng| format!("n{}", random.usize(0..at));
        if at == 0 {
            return step;
        }
        while random.u8(0..3) == 0 {
            let of = random.bool().then(|| before(random));
            let time = if random.bool() { Time::Device } else { Time::Host };
            step.within.push(Within { limit_ns: random.u64(0..8), time, of });
        }
        if random.u8(0..4) == 0 {
            step.caused_by = Some(before(random));
        }
        step
    };
    (0..count).map(step).collect()
}

fn random_filter(random: &mut Rng) -> Filter {
    loop {
        let text = random_conditions(random, 0);
        // What contradicts itself is refused.
        if let Ok(filter) = Filter::parse(&text) {
            return filter;
        }
    }
}

fn random_conditions(random: &mut Rng, depth: u8) -> String {
    let all = (0..random.usize(1..3)).map(|_| match random.u8(0..12) {
        0 => format!("not {}", CONDITIONS[random.usize(0..CONDITIONS.len())]),
        1 if depth < 2 => {
            let (one, other) = (random_conditions(random, depth + 1), random_conditions(random, depth + 1));
            format!("({one} or {other})")
        }
        2 if depth < 2 => format!("not ({})", random_conditions(random, depth + 1)),
        // Kinds, for the most part.
        3..=5 => CONDITIONS[random.usize(0..18)].to_owned(),
        _ => CONDITIONS[random.usize(0..CONDITIONS.len())].to_owned(),
    });
    all.collect::<Vec<_>>().join(" ")
}
