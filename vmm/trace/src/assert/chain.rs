//! Following steps through a trace: any assignment of events to them that fulfils their bounds will do.

use std::collections::HashMap;
use std::sync::Arc;

use device_model::Bdf;

use super::clause::{Step, Time, span};
use crate::definitions::Definitions;
use crate::filter::{Compiled, Kinds};
use crate::view::View;

/// How many candidates are followed at once. A sequence whose steps say nothing of each other needs one.
const CANDIDATES: usize = 4096;

/// Steps that follow each other, resolved.
#[derive(Debug)]
pub(super) struct Chain {
    steps: Vec<Link>,
}

/// A step.
#[derive(Debug)]
struct Link {
    filter: Arc<Compiled>,
    text: String,
    within: Vec<Bound>,
    caused_by: Option<usize>,
}

/// At most this long after an earlier step.
#[derive(Clone, Copy, Debug)]
struct Bound {
    limit_ns: u64,
    time: Time,
    since: usize,
}

/// When an event was.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) seq: u64,
    device_ns: u64,
    host_ns: u64,
}

impl Moment {
    pub(super) fn of(view: &View) -> Self {
        Self { seq: view.seq, device_ns: view.device_ns, host_ns: view.host_ns }
    }

    fn at(&self, time: Time) -> u64 {
        match time {
            Time::Device => self.device_ns,
            Time::Host => self.host_ns,
        }
    }
}

/// The first steps, found.
#[derive(Clone, Debug)]
struct Candidate {
    /// When each was; the next one is looked for.
    found: Vec<Moment>,
}

/// How far one came.
#[derive(Debug)]
pub(super) struct Progress {
    candidates: Vec<Candidate>,
    /// The most steps that were found, and when the last of them was.
    furthest: usize,
    reached: Option<Moment>,
    /// An event that would have been the next step but for a bound.
    nearly: Option<Near>,
    /// There were too many candidates: some were given up.
    crowded: bool,
}

/// An event that broke a bound of the step after those that were found.
#[derive(Clone, Debug)]
pub(super) struct Near {
    pub(super) seq: u64,
    pub(super) why: String,
    step: usize,
}

impl Chain {
    /// Resolves steps. The error says what is wrong with them.
    pub(super) fn new(
        steps: &[&Step],
        definitions: &Definitions,
        scope: Option<&[Bdf]>,
    ) -> Result<Self, String> {
        let mut names = HashMap::new();
        let mut links = Vec::new();
        for (at, step) in steps.iter().enumerate() {
            let known = |name: &String| {
                names.get(name.as_str()).copied().ok_or_else(|| format!("no step before is called {name}"))
            };
            let within = step.within.iter().map(|within| {
                let since = match &within.of {
                    Some(name) => known(name)?,
                    None => at.checked_sub(1).ok_or("a time is after a step before, and there is none")?,
                };
                Ok(Bound { limit_ns: within.limit_ns, time: within.time, since })
            });
            let within = within.collect::<Result<_, String>>()?;
            let caused_by = step.caused_by.as_ref().map(known).transpose()?;
            let filter = step.filter.compile_for(definitions, scope).map_err(|mistake| mistake.message)?;
            links.push(Link { filter: Arc::new(filter), text: step.to_string(), within, caused_by });
            if let Some(name) = &step.name {
                names.insert(name.as_str(), at);
            }
        }
        Ok(Self { steps: links })
    }

    pub(super) fn filters(&self) -> impl Iterator<Item = &Compiled> + Clone {
        self.steps.iter().map(|step| &*step.filter)
    }

    pub(super) fn kinds(&self) -> Kinds {
        self.filters().fold(Kinds::NONE, |kinds, filter| kinds.or(filter.kinds()))
    }

    pub(super) fn filter(&self, step: usize) -> &Arc<Compiled> {
        &self.steps[step].filter
    }

    pub(super) fn text(&self, step: usize) -> &str {
        &self.steps[step].text
    }

    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether a step says what led to it.
    pub(super) fn names_causes(&self) -> bool {
        self.steps.iter().any(|step| step.caused_by.is_some())
    }

    /// Which of the steps the event is like.
    pub(super) fn hits(&self, view: &View) -> Vec<usize> {
        (0..self.steps.len()).filter(|step| self.steps[*step].filter.matches(view)).collect()
    }

    /// Nothing found so far.
    pub(super) fn start(&self) -> Progress {
        Progress {
            candidates: vec![Candidate { found: Vec::new() }],
            furthest: 0,
            reached: None,
            nearly: None,
            crowded: false,
        }
    }

    /// The first step found.
    pub(super) fn started(&self, first: Moment) -> Progress {
        let candidates = vec![Candidate { found: vec![first] }];
        Progress { candidates, furthest: 1, reached: Some(first), nearly: None, crowded: false }
    }

    /// Takes an event that is like the steps in `hits`; whether all steps are found now.
    pub(super) fn advance(&self, progress: &mut Progress, view: &View, hits: &[usize]) -> bool {
        let now = Moment::of(view);
        let Progress { candidates, nearly, .. } = progress;
        candidates.retain(|candidate| {
            let expired = self.expired(candidate, now);
            let step = candidate.found.len();
            if expired
                && hits.contains(&step)
                && let Err(why) = self.fits(step, candidate, view, now)
            {
                note(nearly, Near { seq: now.seq, why, step });
            }
            !expired
        });
        // From the last step to the first: an event is one step only.
        for step in hits.iter().rev().copied() {
            let waiting = progress.candidates.iter().enumerate();
            let waiting: Vec<_> =
                waiting.filter(|(_, waiting)| waiting.found.len() == step).map(|(at, _)| at).collect();
            for at in waiting.into_iter().rev() {
                if let Err(why) = self.fits(step, &progress.candidates[at], view, now) {
                    note(&mut progress.nearly, Near { seq: now.seq, why, step });
                    continue;
                }
                let mut found = progress.candidates[at].found.clone();
                found.push(now);
                if found.len() > progress.furthest {
                    progress.furthest = found.len();
                    progress.reached = Some(now);
                }
                if found.len() == self.steps.len() {
                    return true;
                }
                if !self.matters(step, step + 1) {
                    // A later event can't do better for this step.
                    progress.candidates.swap_remove(at);
                }
                self.add(progress, Candidate { found });
            }
        }
        false
    }

    /// Whether no event from now on can complete it.
    fn expired(&self, candidate: &Candidate, now: Moment) -> bool {
        let rest = self.steps.iter().skip(candidate.found.len());
        rest.flat_map(|step| &step.within).any(|bound| {
            candidate
                .found
                .get(bound.since)
                .is_some_and(|since| now.at(bound.time) > since.at(bound.time).saturating_add(bound.limit_ns))
        })
    }

    /// Whether the event may be this step, after those that were found; why not.
    fn fits(&self, step: usize, candidate: &Candidate, view: &View, now: Moment) -> Result<(), String> {
        let Link { within, caused_by, .. } = &self.steps[step];
        for Bound { limit_ns, time, since } in within {
            let since = candidate.found[*since];
            let after = now.at(*time).saturating_sub(since.at(*time));
            if after > *limit_ns {
                return Err(format!("it came {} after record {}", span(after), since.seq));
            }
        }
        if let Some(cause) = caused_by {
            let wanted = candidate.found[*cause].seq;
            if view.cause() != Some(wanted) {
                let actual = match view.cause() {
                    Some(other) => format!("record {other} led to it"),
                    None => "no access is known to have led to it".to_owned(),
                };
                return Err(format!("{actual}, not record {wanted}"));
            }
        }
        Ok(())
    }

    /// Whether steps from `from` on say something of the event found for `step`.
    fn matters(&self, step: usize, from: usize) -> bool {
        self.steps.iter().skip(from).any(|later| {
            later.caused_by == Some(step) || later.within.iter().any(|bound| bound.since == step)
        })
    }

    /// Adds a candidate, unless another one can do all that it can; those of which it can do all go.
    fn add(&self, progress: &mut Progress, new: Candidate) {
        let next = new.found.len();
        let rest = &self.steps[next..];
        let causes: Vec<_> =
            rest.iter().filter_map(|step| step.caused_by).filter(|step| *step < next).collect();
        let bounds: Vec<_> =
            rest.iter().flat_map(|step| &step.within).filter(|bound| bound.since < next).collect();
        let does_all = |one: &Candidate, other: &Candidate| {
            one.found.len() == other.found.len()
                && causes.iter().all(|step| one.found[*step].seq == other.found[*step].seq)
                && bounds.iter().all(|Bound { since, time, .. }| {
                    one.found[*since].at(*time) >= other.found[*since].at(*time)
                })
        };
        if progress.candidates.iter().any(|known| does_all(known, &new)) {
            return;
        }
        progress.candidates.retain(|known| !does_all(&new, known));
        if progress.candidates.len() == CANDIDATES {
            progress.crowded = true;
            // The first one of all stays: it stands for what begins later.
            progress.candidates.remove(1);
        }
        progress.candidates.push(new);
    }
}

impl Progress {
    /// Whether nothing can complete it any more.
    pub(super) fn is_hopeless(&self) -> bool {
        self.candidates.is_empty()
    }

    /// Whether candidates were given up.
    pub(super) fn is_crowded(&self) -> bool {
        self.crowded
    }

    /// The step that was not found, after which record.
    pub(super) fn stuck(&self) -> (usize, Option<u64>) {
        (self.furthest, self.reached.map(|reached| reached.seq))
    }

    /// An event that would have been that step but for a bound.
    pub(super) fn nearly(&self) -> Option<&Near> {
        self.nearly.as_ref().filter(|near| near.step == self.furthest)
    }
}

/// Keeps the first one of those that came furthest.
fn note(nearly: &mut Option<Near>, new: Near) {
    if nearly.as_ref().is_none_or(|known| new.step > known.step) {
        *nearly = Some(new);
    }
}
