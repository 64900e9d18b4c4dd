//! Steps that follow each other: any assignment of events to them that fulfils their bounds will do.

mod levels;
mod matcher;
mod partition;
mod plan;
mod roots;

use std::collections::HashMap;
use std::sync::Arc;

use barscope_device::Bdf;
use barscope_trace::Definitions;
use smallvec::SmallVec;

pub(super) use self::matcher::{Matcher, Unfollowed};
pub(super) use self::plan::{Bound, Link, Plan};
use super::clause::Step;
use super::evidence::Late;
use super::timestamp::Timestamp;
use crate::filter::{Compiled, Truth};
use crate::view::View;

/// Steps, resolved.
#[derive(Debug)]
pub(super) struct Chain {
    filters: Vec<Arc<Compiled>>,
    texts: Vec<String>,
    plan: Plan,
}

/// Which steps an event is like.
#[derive(Debug, Default)]
pub(super) struct Hits {
    /// Those that it certainly is like.
    pub(super) steps: SmallVec<[usize; 4]>,
    /// It may be like another one.
    pub(super) maybe: bool,
}

impl Bound {
    pub(super) fn holds(&self, since: Timestamp, now: Timestamp) -> bool {
        now.at(self.time).saturating_sub(since.at(self.time)) <= self.limit_ns
    }
}

impl Chain {
    /// Resolves steps. The error says what is wrong with them.
    pub(super) fn new(
        steps: &[&Step],
        each: bool,
        definitions: &Definitions,
        scope: Option<&[Bdf]>,
    ) -> Result<Self, String> {
        let links = links(steps)?;
        let filter = |step: &&Step| {
            step.filter.compile_for(definitions, scope).map(Arc::new).map_err(|diagnostic| diagnostic.message)
        };
        Ok(Self {
            filters: steps.iter().map(filter).collect::<Result<_, _>>()?,
            texts: steps.iter().map(ToString::to_string).collect(),
            plan: Plan::new(links, each),
        })
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(super) fn filters(&self) -> impl Iterator<Item = &Compiled> + Clone {
        self.filters.iter().map(|filter| &**filter)
    }

    pub(super) fn filter(&self, step: usize) -> &Arc<Compiled> {
        &self.filters[step]
    }

    pub(super) fn text(&self, step: usize) -> &str {
        &self.texts[step]
    }

    /// What a step awaited within a time after a record, which `since` tells by its step.
    pub(super) fn late(&self, step: usize, since: impl Fn(usize) -> Option<Timestamp>) -> Option<Late> {
        let link = self.plan.link(step);
        let (bound, since) = link.within.iter().find_map(|bound| Some((bound, since(bound.since)?)))?;
        Some(Late {
            filter: Arc::clone(&self.filters[step]),
            since: since.seq,
            since_ns: since.at(bound.time),
            limit_ns: bound.limit_ns,
            time: bound.time,
        })
    }

    /// Which of the steps the event is like.
    pub(super) fn hits(&self, view: &View) -> Hits {
        let mut hits = Hits::default();
        for (step, filter) in self.filters.iter().enumerate() {
            match filter.test(view) {
                Truth::No => {}
                Truth::Yes if self.plan.names_cause(step) && !view.knows_cause() => hits.maybe = true,
                Truth::Yes => hits.steps.push(step),
                Truth::Maybe => hits.maybe = true,
            }
        }
        hits
    }
}

/// Who refers to whom.
fn links(steps: &[&Step]) -> Result<Vec<Link>, String> {
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
        links.push(Link { within, caused_by });
        if let Some(name) = &step.name
            && names.insert(name.as_str(), at).is_some()
        {
            return Err(format!("two steps are called {name}"));
        }
    }
    Ok(links)
}

#[cfg(test)]
mod tests;
