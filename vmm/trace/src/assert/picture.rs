//! What failures show: what came nearest, and what happened around it. That takes another look at the trace.

use std::collections::VecDeque;

use super::engine::{Decided, Decision};
use super::failure::{Failure, Line, Open, Verdict, describe};
use super::suite::Location;
use crate::view::View;

/// How many events are shown on each side of the one that a failure is about.
const AROUND: usize = 3;

/// What clauses came to. Failures have no pictures yet: show it the trace once more for that.
pub struct Findings {
    list: Vec<(Decided, Picture)>,
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
struct Picture {
    nearest: Option<Nearest>,
    context: Vec<Line>,
    /// How many events still belong to it.
    after: usize,
}

/// The event that came nearest to what was looked for.
struct Nearest {
    held: usize,
    text: String,
}

impl Findings {
    pub(super) fn new(decided: Vec<Decided>) -> Self {
        let list = decided.into_iter().map(|decided| (decided, Picture::default())).collect();
        Self { list, recent: VecDeque::new() }
    }

    /// Whether another look at the trace would add something.
    pub fn need_pictures(&self) -> bool {
        self.list.iter().any(|(decided, _)| matches!(decided.result, Decision::Fail(..)))
    }

    /// Takes the events of the trace once more, from the first on, in order.
    pub fn look(&mut self, view: &View) {
        for (decided, picture) in &mut self.list {
            if let Decision::Fail(details, to) = &decided.result {
                picture.look(details, to.unwrap_or(u64::MAX), view, &self.recent);
            }
        }
        if self.recent.len() == AROUND {
            self.recent.pop_front();
        }
        self.recent.push_back(view.clone());
    }

    /// All of it, in the order of the clauses.
    pub fn into_list(self) -> Vec<Finding> {
        self.list.into_iter().map(|(decided, picture)| finding(decided, picture)).collect()
    }
}

impl Picture {
    fn look(&mut self, details: &super::state::Details, to: u64, view: &View, recent: &VecDeque<View>) {
        if self.after > 0 {
            self.after -= 1;
            self.context.push(Line { seq: view.seq, text: describe(view), marked: false });
        }
        if let Some((filter, from)) = &details.look
            && (*from..=to).contains(&view.seq)
        {
            let (held, misses) = filter.compare(view);
            if held > self.nearest.as_ref().map_or(0, |nearest| nearest.held) && !misses.is_empty() {
                let text = format!("record {}: {}", view.seq, misses.join(", "));
                self.nearest = Some(Nearest { held, text });
                self.take(view, recent);
            }
        }
        if self.nearest.is_none() && details.at == Some(view.seq) {
            self.take(view, recent);
        }
    }

    /// Begins anew around this event.
    fn take(&mut self, view: &View, recent: &VecDeque<View>) {
        let line = |view: &View, marked| Line { seq: view.seq, text: describe(view), marked };
        self.context = recent.iter().map(|view| line(view, false)).collect();
        self.context.push(line(view, true));
        self.after = AROUND;
    }
}

fn finding(decided: Decided, picture: Picture) -> Finding {
    let Decided { test, clause, window, location, result } = decided;
    let verdict = match result {
        Decision::Pass => Verdict::Pass,
        Decision::Inconclusive(doubt) => {
            let (name, clause) = (test.clone(), clause.clone());
            Verdict::Inconclusive(Box::new(Open { name, window, clause, doubt }))
        }
        Decision::Fail(details, record) => Verdict::Fail(Box::new(Failure {
            name: test.clone(),
            window,
            clause: clause.clone(),
            reason: details.reason,
            record,
            nearest: details.nearest.or(picture.nearest.map(|nearest| nearest.text)),
            context: picture.context,
        })),
    };
    Finding { test, clause, location, verdict }
}
