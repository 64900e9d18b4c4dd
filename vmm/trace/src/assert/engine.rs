//! Decides clauses while events come, holding none of them.

use device_model::Bdf;

use super::picture::Findings;
use super::state::{Amiss, Details, Prepared, State};
use super::suite::{Devices, Location, Placed, Suite, Test};
use super::unseen::Unseen;
use super::window::{Bounds, Window};
use crate::definitions::Definitions;
use crate::filter::{Kinds, is_called};
use crate::format::End;
use crate::print::Ending;
use crate::view::View;

/// Holds tests against a trace, event by event: while it grows, or afterwards. Memory doesn't grow with the
/// trace.
#[derive(Debug)]
pub struct Engine {
    suite: Suite,
    /// Empty until the first event: devices aren't known before.
    runs: Vec<ClauseRun>,
    unseen: Unseen,
    prepared: bool,
    last_seq: u64,
    violation: Option<u64>,
}

/// A clause under way.
#[derive(Debug)]
struct ClauseRun {
    /// The test's name, with the device where it is run for several.
    test: String,
    clause: String,
    window: Window,
    location: Option<Location>,
    /// The clause and its window; or what is wrong with it.
    prepared: Result<(Prepared, Bounds), String>,
    /// The kinds of events that matter to it, now.
    kinds: Kinds,
    open: Option<Occurrence>,
    occurrences: u64,
    /// The worst of what it came to so far.
    outcome: Option<Outcome>,
}

/// The window is open.
#[derive(Debug)]
struct Occurrence {
    from: u64,
    state: State,
    /// Why not everything was seen, if it wasn't.
    doubt: Option<String>,
}

/// What an occurrence came to.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) amiss: Amiss,
    /// Why not everything was seen, if it wasn't.
    pub(super) doubt: Option<String>,
    /// The window closed; if it didn't, an early end of the trace leaves things open.
    pub(super) closed: bool,
    /// The last record of the window.
    pub(super) to: u64,
}

/// A clause, decided.
pub(super) struct Decided {
    pub(super) test: String,
    pub(super) clause: String,
    pub(super) window: String,
    pub(super) location: Option<Location>,
    pub(super) result: Decision,
}

/// What a clause came to.
pub(super) enum Decision {
    Pass,
    /// The record that decided it comes with it: the one that broke it, or that closed the window. None if
    /// that was the end of the trace.
    Fail(Details, Option<u64>),
    Inconclusive(String),
}

impl Engine {
    /// Nothing happened so far.
    pub fn new(suite: Suite) -> Self {
        Self {
            suite,
            runs: Vec::new(),
            unseen: Unseen::default(),
            prepared: false,
            last_seq: 0,
            violation: None,
        }
    }

    /// Takes the next event.
    pub fn take(&mut self, definitions: &Definitions, view: &View) {
        self.prepare(definitions);
        self.last_seq = view.seq;
        let served_otherwise = self.unseen.notice(view);
        let kind = Kinds::of(view);
        for run in &mut self.runs {
            if run.kinds.meets(kind) || served_otherwise {
                let decided = run.take(definitions, view, &self.unseen, served_otherwise);
                if decided && self.violation.is_none() {
                    self.violation = Some(view.seq);
                }
            }
        }
    }

    /// The record by which a clause was certainly broken, if one was: whatever comes, it fails.
    pub fn violation(&self) -> Option<u64> {
        self.violation
    }

    /// The last record that was taken.
    pub fn last_seq(&self) -> u64 {
        self.last_seq
    }

    /// Decides what is left when there are no more events.
    pub fn finish(mut self, ending: &Ending<'_>) -> Findings {
        self.prepare(ending.definitions);
        let finished = ending.end == Some(&End::Finished);
        let damaged = lost_or_damaged(ending);
        let last = self.last_seq;
        let decided = self.runs.into_iter().map(|run| {
            let early = (!finished).then(|| early(ending));
            run.decide(ending.definitions, &self.unseen, last, damaged.as_deref(), early.as_deref())
        });
        Findings::new(decided.collect())
    }

    fn prepare(&mut self, definitions: &Definitions) {
        if self.prepared {
            return;
        }
        self.prepared = true;
        for test in std::mem::take(&mut self.suite.tests) {
            for (name, scope) in scopes(&test, definitions) {
                for placed in &test.clauses {
                    self.runs.push(ClauseRun::new(&name, placed, definitions, scope.clone()));
                }
            }
        }
    }
}

/// The functions that a test is about, `None` for all; or why there are none.
type Scope = Result<Option<Vec<Bdf>>, String>;

/// The functions that a test is run for, with its name for each run. `Err` for one that isn't there.
fn scopes(test: &Test, definitions: &Definitions) -> Vec<(String, Scope)> {
    let named = |name: &String| {
        let functions = definitions.functions().map(|(_, function)| function);
        let found = functions.filter(|function| is_called(function, name));
        let found: Vec<_> = found.map(|function| function.bdf).collect();
        if found.is_empty() { Err(format!("the trace has no device {name}")) } else { Ok(found) }
    };
    match &test.devices {
        Devices::All => vec![(test.name.clone(), Ok(None))],
        Devices::On(name) => vec![(test.name.clone(), named(name).map(Some))],
        Devices::Each(name) => match named(name) {
            Ok(found) => {
                let one = |bdf: Bdf| (format!("{} [{bdf}]", test.name), Ok(Some(vec![bdf])));
                found.into_iter().map(one).collect()
            }
            Err(why) => vec![(test.name.clone(), Err(why))],
        },
    }
}

impl ClauseRun {
    fn new(test: &str, placed: &Placed, definitions: &Definitions, scope: Scope) -> Self {
        let Placed { clause, window, location } = placed;
        let prepared = scope.and_then(|scope| {
            let bounds = window.compile(definitions).map_err(|mistake| mistake.message)?;
            Ok((Prepared::new(clause, definitions, scope.as_deref())?, bounds))
        });
        let mut run = Self {
            test: test.to_owned(),
            clause: clause.to_string(),
            window: window.clone(),
            location: location.clone(),
            prepared,
            kinds: Kinds::NONE,
            open: None,
            occurrences: 0,
            outcome: None,
        };
        run.listen();
        run
    }

    /// Notes what kinds of events matter from here on.
    fn listen(&mut self) {
        let Ok((prepared, bounds)) = &self.prepared else { return };
        self.kinds = match (&self.outcome, &self.open, bounds) {
            (Some(outcome), ..) if outcome.is_final() => Kinds::NONE,
            (_, Some(_), Bounds::Whole) => prepared.kinds(),
            (_, Some(_), bounds) => prepared.kinds().or(bounds.kinds()),
            (_, None, bounds) => bounds.kinds(),
        };
    }

    /// Takes an event; whether the clause is broken for certain by it.
    fn take(
        &mut self,
        definitions: &Definitions,
        view: &View,
        unseen: &Unseen,
        served_otherwise: bool,
    ) -> bool {
        let Ok((prepared, bounds)) = &self.prepared else { return false };
        if self.outcome.as_ref().is_some_and(Outcome::is_final) {
            return false;
        }
        let opening = self.open.is_none() && bounds.opens(view);
        if opening {
            self.occurrences += 1;
            let state = prepared.begin(definitions);
            self.open = Some(Occurrence { from: view.seq, state, doubt: None });
        }
        let Some(occurrence) = &mut self.open else { return false };
        if (opening || served_otherwise) && occurrence.doubt.is_none() {
            occurrence.doubt = unseen.asked_about(&prepared.filters());
        }
        let decided = occurrence.state.take(prepared, view);
        let closes = !opening && bounds.closes(view);
        if let Some(amiss) = decided {
            let doubt = occurrence.doubt.take();
            self.open = None;
            self.settle(Outcome { amiss, doubt, closed: true, to: view.seq });
        } else if closes
            && let Some(Occurrence { from, state, doubt }) = self.open.take()
            && let Some(amiss) = state.end(prepared, from)
        {
            self.settle(Outcome { amiss, doubt, closed: true, to: view.seq });
        }
        if opening || self.open.is_none() {
            self.listen();
        }
        self.outcome.as_ref().is_some_and(Outcome::is_final)
    }

    /// Keeps the worse outcome.
    fn settle(&mut self, new: Outcome) {
        let worse = self.outcome.as_ref().is_none_or(|known| new.rank() > known.rank());
        if worse {
            self.outcome = Some(new);
        }
    }

    fn decide(
        mut self,
        definitions: &Definitions,
        unseen: &Unseen,
        last: u64,
        damaged: Option<&str>,
        early: Option<&str>,
    ) -> Decided {
        let result = match std::mem::replace(&mut self.prepared, Err(String::new())) {
            Err(why) => Decision::Fail(Details::because(why), None),
            Ok((prepared, bounds)) => {
                if matches!(bounds, Bounds::Whole) && self.occurrences == 0 {
                    self.occurrences = 1;
                    self.open = Some(Occurrence { from: 1, state: prepared.begin(definitions), doubt: None });
                }
                if let Some(Occurrence { from, state, doubt }) = self.open.take() {
                    let doubt = doubt.or_else(|| unseen.asked_about(&prepared.filters()));
                    if let Some(amiss) = state.end(&prepared, from) {
                        self.settle(Outcome { amiss, doubt, closed: false, to: last });
                    }
                }
                match self.outcome.take() {
                    _ if self.occurrences == 0 => match damaged.or(early) {
                        Some(doubt) => Decision::Inconclusive(doubt.to_owned()),
                        None => Decision::Fail(Details::because("this never began"), None),
                    },
                    None => Decision::Pass,
                    Some(outcome) => outcome.decision(damaged, early),
                }
            }
        };
        let Self { test, clause, window, location, .. } = self;
        Decided { test, clause, window: window.to_string(), location, result }
    }
}

impl Outcome {
    /// Whether it is a failure whatever comes.
    fn is_final(&self) -> bool {
        matches!((&self.amiss, &self.doubt), (Amiss::Broken(_), _) | (Amiss::Missing(_), None))
    }

    /// The worse, the higher.
    fn rank(&self) -> u8 {
        match (&self.amiss, &self.doubt) {
            (Amiss::Broken(_), _) => 4,
            (Amiss::Missing(_), None) => 3,
            (Amiss::Open(_), _) | (Amiss::Missing(_), Some(_)) => 2,
            (Amiss::Unsure, Some(_)) => 1,
            (Amiss::Unsure, None) => 0,
        }
    }

    /// What it is in the end: with events lost or damaged anywhere, and if the trace ended before the window
    /// closed, what isn't there may have been.
    fn decision(self, damaged: Option<&str>, early: Option<&str>) -> Decision {
        let early = early.filter(|_| !self.closed);
        let doubt = self.doubt.as_deref().or(damaged).or(early);
        match (self.amiss, doubt) {
            (Amiss::Open(why), _) => Decision::Inconclusive(why),
            (Amiss::Broken(details), _) | (Amiss::Missing(details), None) => {
                Decision::Fail(details, self.closed.then_some(self.to))
            }
            (Amiss::Unsure, None) => Decision::Pass,
            (Amiss::Missing(_) | Amiss::Unsure, Some(doubt)) => Decision::Inconclusive(doubt.to_owned()),
        }
    }
}

/// Why events may be missing anywhere, if they may.
fn lost_or_damaged(ending: &Ending<'_>) -> Option<String> {
    if ending.lost > 0 {
        return Some(format!("{} events are lost", ending.lost));
    }
    ending.damage.first().map(|damage| format!("the trace is damaged: {damage}"))
}

/// Why a trace that isn't finished may be missing its end.
fn early(ending: &Ending<'_>) -> String {
    match ending.end {
        Some(End::Interrupted(reason) | End::Failed(reason)) => format!("the trace ended early: {reason}"),
        _ => "the trace has no end".to_owned(),
    }
}
