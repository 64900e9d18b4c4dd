//! A clause under way: in which occurrences of its window it holds, is broken, or can't be decided.

use barscope_trace::{Capabilities, Definitions, End, TraceInfo};

use super::decision::{Decided, Decision, Finish};
use super::evidence::Evidence;
use super::needs::{Absent, FreeNames, Needs};
use super::state::{Prepared, State};
use super::suite::{Location, Placed, Scope};
use super::timestamp::Timestamp;
use super::turn::Turn;
use super::unseen::Unseen;
use super::window::{Bounds, Window};
use crate::filter::{Interests, Names, Truth};
use crate::view::View;

/// A clause under way.
#[derive(Debug)]
pub(super) struct ClauseRun {
    /// The test's name, with the device where it is run for several.
    test: String,
    clause: String,
    window: Window,
    location: Option<Location>,
    /// The clause and its window; or what is wrong with it.
    prepared: Result<(Prepared, Bounds), String>,
    needs: Needs,
    place: Place,
    /// How many occurrences of the window certainly began.
    occurrences: u64,
    /// Why an occurrence may be missing, or not seen as a whole.
    doubt: Option<String>,
    /// Accesses that the clause is about may not be seen now, for this reason.
    blind: Option<String>,
    /// The same of accesses that open or close its window.
    blind_bounds: bool,
    /// Whether each entry into the kernel has a record of its own, as far as records say so far.
    each_entry: Truth,
    /// It holds whatever comes.
    held: bool,
    failure: Option<Failed>,
}

/// A failure that nothing can undo. The record that decided it is none for the trace's end.
#[derive(Debug)]
struct Failed(Evidence, Option<u64>);

/// Where the trace is, seen from the window.
#[derive(Debug)]
enum Place {
    Outside,
    Inside(Occurrence),
    /// One or the other.
    Unknown,
}

/// The window is open.
#[derive(Debug)]
struct Occurrence {
    from: u64,
    /// `None` once it holds whatever comes.
    state: Option<State>,
    /// Why not everything was seen, if it wasn't.
    doubt: Option<String>,
}

impl ClauseRun {
    pub(super) fn new(test: &str, placed: &Placed, definitions: &Definitions, scope: Scope) -> Self {
        let Placed { clause, window, location } = placed;
        let prepared = scope.and_then(|scope| {
            let bounds = window.compile(definitions).map_err(|diagnostic| diagnostic.message)?;
            Ok((Prepared::new(clause, definitions, scope.as_deref())?, bounds))
        });
        let mut run = Self {
            test: test.to_owned(),
            clause: clause.to_string(),
            window: window.clone(),
            location: location.clone(),
            prepared,
            needs: Needs::new(clause, window),
            place: Place::Outside,
            occurrences: 0,
            doubt: None,
            blind: None,
            blind_bounds: false,
            each_entry: Truth::No,
            held: false,
            failure: None,
        };
        if let Ok((prepared, Bounds::Whole)) = &run.prepared {
            let state = prepared.begin(definitions, None);
            run.place = Place::Inside(Occurrence { from: 1, state: Some(state), doubt: None });
            run.occurrences = 1;
        }
        run
    }

    /// Whether it is broken, whatever comes.
    pub(super) fn is_broken(&self) -> bool {
        self.failure.is_some()
    }

    /// What its interests depend on, but for deadlines.
    pub(super) fn phase(&self) -> (u8, bool) {
        let place = match &self.place {
            Place::Outside => 0,
            Place::Inside(Occurrence { state: Some(_), .. }) => 1,
            Place::Inside(Occurrence { state: None, .. }) => 2,
            Place::Unknown => 3,
        };
        (place, self.held || self.failure.is_some())
    }

    /// Whether its interests change as time passes.
    pub(super) fn has_deadlines(&self) -> bool {
        self.prepared.as_ref().is_ok_and(|(prepared, _)| prepared.has_deadlines())
    }

    /// The events that matter to it from here on.
    pub(super) fn interests(&self) -> Interests {
        let mut interests = Interests::new();
        let Ok((prepared, bounds)) = &self.prepared else { return interests };
        if self.held || self.failure.is_some() || self.blind_bounds {
            return interests;
        }
        bounds.interests(&mut interests);
        if let Place::Inside(Occurrence { state: Some(state), .. }) = &self.place {
            prepared.interests(state, &mut interests);
        }
        interests
    }

    /// How many these are at most.
    pub(super) fn most_interests(&self) -> usize {
        let Ok((prepared, bounds)) = &self.prepared else { return 0 };
        let mut of_bounds = Interests::new();
        bounds.interests(&mut of_bounds);
        of_bounds.len() + prepared.filters().len() + 1
    }

    /// Notes whether each entry into the kernel has a record of its own.
    pub(super) fn note_entries(&mut self, each_entry: Truth) {
        self.each_entry = each_entry;
    }

    /// Takes an event.
    pub(super) fn take(&mut self, definitions: &Definitions, view: &View, now: Timestamp) {
        let Ok((prepared, bounds)) = &self.prepared else { return };
        let begin = |doubt: Option<String>| {
            let state = Some(prepared.begin(definitions, Some(view)));
            Place::Inside(Occurrence { from: view.seq, state, doubt })
        };
        let mut closes = Truth::No;
        match self.place {
            Place::Inside(_) => closes = bounds.closes(view),
            Place::Outside => match bounds.opens(view) {
                Truth::No => return,
                Truth::Maybe => return self.lose(&unclear(view)),
                Truth::Yes => {
                    self.occurrences += 1;
                    self.place = begin(self.blind.clone());
                }
            },
            Place::Unknown => match (bounds.opens(view), bounds.closes(view)) {
                // Inside by now, if it wasn't before.
                (Truth::Yes, Truth::No) => {
                    self.occurrences += 1;
                    self.place = begin(self.doubt.clone());
                }
                (Truth::No, Truth::Yes) => {
                    self.place = Place::Outside;
                    return;
                }
                _ => return,
            },
        }
        let Place::Inside(occurrence) = &mut self.place else { return };
        if let Some(state) = &mut occurrence.state {
            let turn = state.take(prepared, view, now);
            if self.blind.is_some() {
                state.doubt(prepared);
            }
            match turn {
                None => {}
                Some(Turn::Broken(evidence)) => {
                    self.failure = Some(Failed(evidence, Some(view.seq)));
                    self.place = Place::Outside;
                    return;
                }
                Some(Turn::Held) if bounds.can_close() => occurrence.state = None,
                Some(Turn::Held) => {
                    self.held = true;
                    self.place = Place::Outside;
                    return;
                }
                Some(Turn::Doubt(reason)) => {
                    occurrence.doubt.get_or_insert(reason);
                }
            }
        }
        match closes {
            Truth::No => {}
            Truth::Maybe => self.lose(&unclear(view)),
            Truth::Yes => self.close(Some(view.seq)),
        }
    }

    /// The window's end, by a record or by that of the trace.
    fn close(&mut self, by: Option<u64>) {
        let Place::Inside(occurrence) = std::mem::replace(&mut self.place, Place::Outside) else { return };
        let Ok((prepared, bounds)) = &self.prepared else { return };
        let Occurrence { from, state, doubt } = occurrence;
        let finish = state.map_or(Finish::Held, |state| state.end(prepared, from, self.each_entry));
        match (finish, doubt) {
            (Finish::Held, _) => self.held |= !bounds.can_close(),
            (Finish::Broken(evidence), _) | (Finish::Lacks(evidence), None) => {
                self.failure = Some(Failed(evidence, by));
            }
            (Finish::Holds, None) => {}
            (Finish::Open(reason), _) | (Finish::Holds | Finish::Lacks(_), Some(reason)) => {
                self.doubt.get_or_insert(reason);
            }
        }
    }

    /// Records are missing here, any number of any kind.
    pub(super) fn lose(&mut self, reason: &str) {
        let Ok((prepared, bounds)) = &self.prepared else { return };
        if self.held || self.failure.is_some() {
            return;
        }
        if bounds.can_close() || matches!(self.place, Place::Outside | Place::Unknown) {
            if let Place::Inside(occurrence) = &mut self.place {
                occurrence.doubt.get_or_insert_with(|| reason.to_owned());
                self.close(None);
            }
            self.doubt.get_or_insert_with(|| reason.to_owned());
            self.place = Place::Unknown;
        } else if let Place::Inside(Occurrence { state, doubt, .. }) = &mut self.place {
            doubt.get_or_insert_with(|| reason.to_owned());
            if let Some(state) = state {
                state.doubt(prepared);
            }
        }
    }

    /// Looks at how accesses are served from here on.
    pub(super) fn look(&mut self, unseen: &Unseen) {
        let Ok((prepared, bounds)) = &self.prepared else { return };
        let blind_bounds = unseen.asked_about(&bounds.filters());
        self.blind = match prepared {
            Prepared::Coverage(..) => unseen.any(),
            _ => unseen.asked_about(&prepared.filters()),
        };
        if let (Place::Inside(occurrence), Some(reason)) = (&mut self.place, &self.blind) {
            occurrence.doubt.get_or_insert_with(|| reason.clone());
            if let Some(state) = &mut occurrence.state {
                state.doubt(prepared);
            }
        }
        self.blind_bounds = blind_bounds.is_some();
        if let Some(reason) = blind_bounds {
            self.lose(&reason);
        }
    }

    /// Whether its failure stands although the trace grows: nothing that it needs may come to be known later.
    pub(super) fn is_certain(&self, capabilities: &Capabilities, names_come_late: bool) -> bool {
        self.needs.untold(capabilities).is_none() && !(names_come_late && self.needs.names_code())
    }

    pub(super) fn decide(mut self, free: &FreeNames, names: &Names<'_>, info: &TraceInfo<'_>) -> Decided {
        let result = self.result(free, names, info);
        let Self { test, clause, window, location, .. } = self;
        Decided { test, clause, window: window.to_string(), location, result }
    }

    fn result(&mut self, free: &FreeNames, names: &Names<'_>, info: &TraceInfo<'_>) -> Decision {
        if let Some(damage) = info.damage.iter().find(|damage| damage.concerns_definitions()) {
            return Decision::Inconclusive(format!("the trace is damaged: {damage}"));
        }
        let bounds = match &self.prepared {
            Ok((_, bounds)) => bounds,
            // Functions are defined before anything happens.
            Err(why) if info.definitions.functions().next().is_none() => {
                return unknown(why.clone(), info);
            }
            Err(why) => return Decision::Fail(Evidence::because(why.clone()), None),
        };
        if let Some(untold) = self.needs.untold(&info.capabilities) {
            return Decision::Inconclusive(untold);
        }
        if let Some(why) = names.unknown(&self.needs.mentions) {
            return unknown(why, info);
        }
        let absent = self.needs.absent(free);
        if let Place::Inside(Occurrence { from, .. }) = self.place
            && bounds.can_close()
            && self.failure.is_none()
        {
            let reason = format!("the window that began with record {from} never ended");
            self.failure = Some(Failed(Evidence::because(reason), None));
        }
        self.close(None);
        if let Some(Failed(mut evidence, record)) = self.failure.take() {
            if let Some(absent) = absent.filter(|absent| !absent.declared) {
                evidence.reason = format!("{}; {}", evidence.reason, absent.told);
            }
            return Decision::Fail(evidence, record);
        }
        if self.held {
            return Decision::Pass;
        }
        if let Some(doubt) = self.doubt.take() {
            return Decision::Inconclusive(doubt);
        }
        let nothing_will_do = self.needs.holds_of_nothing;
        if self.occurrences == 0 {
            return match self.needs.absent_of_window(free) {
                None => Decision::Fail(Evidence::because("this never began"), None),
                Some(absent) if absent.declared && nothing_will_do => Decision::Pass,
                Some(absent) => {
                    Decision::Fail(Evidence::because(format!("this never began: {}", absent.told)), None)
                }
            };
        }
        match absent {
            None => Decision::Pass,
            Some(absent) if absent.declared => Decision::Pass,
            Some(absent) if nothing_will_do => {
                let Absent { told, declaration, .. } = absent;
                Decision::Inconclusive(format!("{told}; if it may be absent, declare it: {declaration}"))
            }
            Some(absent) => Decision::Fail(Evidence::because(absent.told), None),
        }
    }
}

/// What to say of a name that the trace doesn't have: one that was cut off might have had it.
fn unknown(why: String, info: &TraceInfo<'_>) -> Decision {
    match info.end {
        Some(End::Finished) => Decision::Fail(Evidence::because(why), None),
        _ => Decision::Inconclusive(format!("{why}, but the trace ended early")),
    }
}

/// Why an event that may open or close the window leaves it open.
fn unclear(view: &View) -> String {
    format!("record {} may begin or end the window: not all is known of it", view.seq)
}
