//! What failures show: what came nearest, and what happened around it. That takes another look at the trace.

use std::collections::VecDeque;

use super::decision::{Decided, Decision};
use super::evidence::Evidence;
use super::failure::{Failure, Line, Open, Verdict, describe};
use super::suite::Location;
use crate::view::View;

/// How many events are shown on each side of the one that a failure is about.
const AROUND: usize = 3;

/// What clauses came to. Failures have no context yet: show it the trace once more for that.
pub struct Findings {
    list: Vec<(Decided, Context)>,
    recent: VecDeque<View>,
}

/// What a clause came to.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The test that it is part of.
    pub test: String,
    /// What it asks for.
    pub clause: String,
    /// Where it was written.
    pub location: Option<Location>,
    /// What it came to.
    pub verdict: Verdict,
}

/// The surroundings of a failure.
#[derive(Default)]
struct Context {
    nearest: Option<Nearest>,
    lines: Vec<Line>,
    /// How many events still belong to it.
    after: usize,
}

/// The event that came nearest to what was looked for.
struct Nearest {
    rank: (u8, usize),
    text: String,
}

/// The rank of what was looked for and came too late: nothing is nearer.
const LATE: (u8, usize) = (u8::MAX, 0);

impl Findings {
    pub(super) fn new(decided: Vec<Decided>) -> Self {
        let list = decided.into_iter().map(|decided| (decided, Context::default())).collect();
        Self { list, recent: VecDeque::new() }
    }

    /// Whether another look at the trace would add something.
    pub fn need_context(&self) -> bool {
        self.list.iter().any(|(decided, _)| matches!(decided.result, Decision::Fail(..)))
    }

    /// Takes the events of the trace once more, from the first on, in order.
    pub fn look(&mut self, view: &View) {
        for (decided, context) in &mut self.list {
            if let Decision::Fail(evidence, to) = &decided.result {
                context.look(evidence, to.unwrap_or(u64::MAX), view, &self.recent);
            }
        }
        if self.recent.len() == AROUND {
            self.recent.pop_front();
        }
        self.recent.push_back(view.clone());
    }

    /// All of it, in the order of the clauses.
    pub fn into_list(self) -> Vec<Finding> {
        self.list.into_iter().map(|(decided, context)| finding(decided, context)).collect()
    }
}

impl Context {
    fn look(&mut self, evidence: &Evidence, to: u64, view: &View, recent: &VecDeque<View>) {
        if self.after > 0 {
            self.after -= 1;
            self.lines.push(Line { seq: view.seq, text: describe(view), marked: false });
        }
        let rank = self.nearest.as_ref().map_or((0, 0), |nearest| nearest.rank);
        if rank == LATE {
            return;
        }
        if let Some(late) = &evidence.late
            && let Some(delay) = late.delay(view)
        {
            let text = format!("record {}: it came {} after record {}", view.seq, rounded(delay), late.since);
            self.nearest = Some(Nearest { rank: LATE, text });
            self.take(view, recent);
            return;
        }
        // The record that something was awaited after isn't what was awaited.
        if let Some((filter, from)) = &evidence.look
            && (*from..=to).contains(&view.seq)
            && evidence.at != Some(view.seq)
            && let Some(nearness) = filter.nearness(view)
        {
            let (held, misses) = filter.compare(view);
            if (nearness, held) > rank && !misses.is_empty() {
                let text = format!("record {}: {}", view.seq, misses.join(", "));
                self.nearest = Some(Nearest { rank: (nearness, held), text });
                self.take(view, recent);
            }
        }
        if self.nearest.is_none() && evidence.at == Some(view.seq) {
            self.take(view, recent);
        }
    }

    /// Begins anew around this event.
    fn take(&mut self, view: &View, recent: &VecDeque<View>) {
        let line = |view: &View, marked| Line { seq: view.seq, text: describe(view), marked };
        self.lines = recent.iter().map(|view| line(view, false)).collect();
        self.lines.push(line(view, true));
        self.after = AROUND;
    }
}

/// A time in the largest unit that it fills, to a tenth.
fn rounded(ns: u64) -> String {
    let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1000, "us"), (1, "ns")];
    let (unit, name) = units.into_iter().find(|(unit, _)| ns >= *unit).unwrap_or((1, "ns"));
    match (ns / unit, ns % unit * 10 / unit) {
        (whole, 0) => format!("{whole}{name}"),
        (whole, tenths) => format!("{whole}.{tenths}{name}"),
    }
}

fn finding(decided: Decided, context: Context) -> Finding {
    let Decided { test, clause, window, location, result } = decided;
    let late = context.nearest.as_ref().is_some_and(|nearest| nearest.rank == LATE);
    let nearest = context.nearest.map(|nearest| nearest.text);
    let verdict = match result {
        Decision::Pass => Verdict::Pass,
        Decision::Inconclusive(doubt) => {
            let (name, clause) = (test.clone(), clause.clone());
            Verdict::Inconclusive(Box::new(Open { name, window, clause, doubt }))
        }
        Decision::Fail(evidence, record) => Verdict::Fail(Box::new(Failure {
            name: test.clone(),
            window,
            clause: clause.clone(),
            reason: evidence.reason,
            record,
            nearest: if late { nearest } else { evidence.nearest.or(nearest) },
            context: context.lines,
        })),
    };
    Finding { test, clause, location, verdict }
}

#[cfg(test)]
mod tests;
