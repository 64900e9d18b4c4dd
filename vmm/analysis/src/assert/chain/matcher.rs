//! Follows steps through events, level by level.
//!
//! Each event costs a few look-ups: spans of roots and groups of records move together. Where crossing references
//! leave many pairs to be told apart, the work is counted, and given up beyond [`INITIAL_WORK`] and
//! [`WORK_PER_EVENT`]: nobody knows the answer then.

use super::Timestamp;
use super::levels::{Arrival, Context, Level, Row, project};
use super::plan::{Kind, Plan};
use super::roots::{Met, Roots, Span};
use crate::assert::clause::{Time, span as text_of};

/// Rows that may be looked at, whatever comes.
const INITIAL_WORK: u64 = 1 << 22;
/// Further rows for each event that is like a step.
const WORK_PER_EVENT: u64 = 24;
/// How many records of the first step may wait.
const MOST_ROOTS: u32 = 1 << 23;

/// How far the steps were found.
#[derive(Debug)]
pub(crate) struct Matcher {
    levels: Vec<Level>,
    roots: Roots,
    /// For each level, the places in the roster before it whose roots came there.
    met: Vec<Met>,
    /// Roots that went all the way.
    satisfied: u32,
    /// For each deadline, the first root that wasn't held against it.
    overdue: Vec<u32>,
    /// Steps before are of no interest any more.
    floor: usize,
    work: u64,
    budget: u64,
    crowded: bool,
    triggers: u64,
    /// The most steps that were found, and when the last of them was.
    furthest: usize,
    reached: Option<Timestamp>,
    nearly: Option<Near>,
}

/// An event that would have been a step but for a bound or its cause.
#[derive(Clone, Debug)]
pub(crate) struct Near {
    pub(crate) seq: u64,
    pub(crate) why: String,
    pub(crate) step: usize,
}

/// A record of the first step that wasn't followed as it has to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unfollowed {
    pub(crate) trigger: Timestamp,
    /// The step that it lacks.
    pub(crate) step: usize,
}

impl Matcher {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            levels: plan.levels.iter().map(Level::new).collect(),
            roots: Roots::default(),
            met: plan.levels.iter().map(|_| Met::default()).collect(),
            satisfied: 0,
            overdue: vec![0; plan.deadlines.len()],
            floor: 0,
            work: 0,
            budget: INITIAL_WORK,
            crowded: false,
            triggers: 0,
            furthest: 0,
            reached: None,
            nearly: None,
        }
    }

    /// Takes an event that is like the steps in `hits`, in ascending order; whether all steps are found now, which
    /// only a sequence ever says.
    pub(crate) fn take(&mut self, plan: &Plan, hits: &[usize], now: Timestamp, cause: Option<u64>) -> bool {
        if self.crowded {
            return false;
        }
        self.budget += WORK_PER_EVENT;
        // From the last step to the first: an event is one step only.
        for step in hits.iter().rev().copied() {
            if step < self.floor {
                break;
            }
            if step == 0 {
                self.begin(plan, now);
            } else {
                self.advance(plan, step, now, cause);
            }
            if self.work > self.budget || self.roots.len() > MOST_ROOTS {
                self.crowded = true;
                self.clear();
                return false;
            }
            if !plan.each && self.furthest == plan.len() {
                return true;
            }
        }
        if plan.each && self.satisfied == self.roots.len() && self.satisfied > 0 {
            self.clear();
        }
        false
    }

    /// Forgets all that waits: whether it was followed can't be known any more.
    pub(crate) fn clear(&mut self) {
        self.levels.iter_mut().for_each(Level::clear);
        self.met.iter_mut().for_each(Met::clear);
        self.overdue.fill(0);
        self.roots.clear();
        self.satisfied = 0;
    }

    /// A record of the first step whose time ran out.
    pub(crate) fn overdue(&mut self, plan: &Plan, now: Timestamp) -> Option<Unfollowed> {
        for (at, (step, bound)) in plan.deadlines.iter().enumerate() {
            while self.overdue[at] < self.roots.len() {
                let root = self.overdue[at];
                let trigger = self.roots.get(root);
                if bound.holds(trigger, now) {
                    break;
                }
                let lacks = self.lacks(plan, root);
                if lacks <= *step {
                    return Some(Unfollowed { trigger, step: lacks });
                }
                self.overdue[at] += 1;
            }
        }
        None
    }

    /// The device time and the host time after which a record of the first step may be overdue.
    pub(crate) fn next_deadline(&self, plan: &Plan) -> Option<(u64, u64)> {
        let mut next = None;
        for (at, (_, bound)) in plan.deadlines.iter().enumerate() {
            if self.overdue[at] < self.roots.len() {
                let due = self.roots.get(self.overdue[at]).at(bound.time).saturating_add(bound.limit_ns);
                let (device_ns, host_ns) = next.get_or_insert((u64::MAX, u64::MAX));
                match bound.time {
                    Time::Device => *device_ns = due.min(*device_ns),
                    Time::Host => *host_ns = due.min(*host_ns),
                }
            }
        }
        next
    }

    /// The first record of the first step that lacks others.
    pub(crate) fn unfollowed(&mut self, plan: &Plan) -> Option<Unfollowed> {
        let waits = |matcher: &mut Self, root: &u32| matcher.lacks(plan, *root) < plan.len();
        let root = (0..self.roots.len()).find(|root| waits(self, root))?;
        Some(Unfollowed { trigger: self.roots.get(root), step: self.lacks(plan, root) })
    }

    /// Whether some wait for what has to follow them.
    #[cfg(test)]
    pub(super) fn is_waiting(&self) -> bool {
        self.roots.len() > self.satisfied
    }

    /// The step that a root lacks; the number of steps if it lacks none.
    fn lacks(&mut self, plan: &Plan, root: u32) -> usize {
        let mut level = 1;
        while level < plan.len() {
            let place = match &self.levels[plan.levels[level].base] {
                Level::Roster(roster) => roster.place(root),
                _ => None,
            };
            match place {
                Some(place) if self.met[level + 1].is_met(place) => level += 1,
                _ => return level,
            }
        }
        level
    }

    fn begin(&mut self, plan: &Plan, now: Timestamp) {
        self.triggers += 1;
        if self.furthest == 0 {
            (self.furthest, self.reached) = (1, Some(now));
        }
        let shape = &plan.levels[1];
        if plan.len() == 1 {
            return;
        }
        if shape.root {
            let root = self.roots.push(now, plan.by_root);
            if let Level::Roster(roster) = &mut self.levels[1] {
                roster.push(root);
            }
            return;
        }
        let live = shape.live.iter().map(|_| now).collect();
        self.levels[1].add(shape, Row { live, roots: Span::NONE }, &mut self.work);
        if shape.kind == Kind::Free {
            self.floor = 1;
        }
    }

    fn advance(&mut self, plan: &Plan, step: usize, now: Timestamp, cause: Option<u64>) {
        let (here, next) = (&plan.levels[step], &plan.levels[step + 1]);
        let arrival = Arrival {
            now,
            cause,
            stays: plan.stays(step),
            one: next.kind == Kind::Free || (next.kind == Kind::Latest && next.live == [step]),
            rooted: next.root,
            forgets: next.live.iter().all(|step| !here.live.contains(step)),
        };
        let (before, rest) = self.levels.split_at_mut(step);
        let Some((level, after)) = rest.split_first_mut() else { return };
        let base = match before.get(here.base) {
            Some(Level::Roster(roster)) if here.root => Some(roster),
            _ => None,
        };
        let context = Context { shape: here, link: &plan.links[step], roots: &self.roots, base };
        let found = level.take(&context, &arrival, &mut self.work);
        if found.is_empty() {
            self.note(plan, step, now, cause);
            return;
        }
        if step + 1 > self.furthest {
            (self.furthest, self.reached) = (step + 1, Some(now));
        }
        if step + 1 == plan.len() && !plan.each {
            return;
        }
        let base = match &*level {
            Level::Roster(roster) if here.base == step => Some(roster),
            _ => base,
        };
        let Some(target) = after.first_mut() else { return };
        for row in &found {
            if next.root {
                let Some(base) = base else { continue };
                let (satisfied, work) = (&mut self.satisfied, &mut self.work);
                let last = step + 1 == plan.len();
                self.met[step + 1].meet(row.roots, |place| {
                    *work += 1;
                    match &mut *target {
                        _ if last => *satisfied += 1,
                        Level::Roster(roster) => roster.push(base.root(place)),
                        _ => {}
                    }
                });
            }
            if !last_or_roster(next.kind, step + 1 == plan.len()) {
                let live = project(plan, step, row, now, &self.roots, base);
                let roots = if next.root { row.roots } else { Span::NONE };
                target.add(next, Row { live, roots }, &mut self.work);
            }
        }
        if next.kind == Kind::Free && !plan.each {
            // Nothing before can do better.
            self.floor = step + 1;
            self.levels[..=step].iter_mut().for_each(Level::clear);
            self.roots.clear();
        }
    }

    /// Notes that an event wasn't the step that it is like, and why.
    #[cold]
    fn note(&mut self, plan: &Plan, step: usize, now: Timestamp, cause: Option<u64>) {
        if self.nearly.as_ref().is_some_and(|known| known.step >= step) {
            return;
        }
        if let Some(why) = self.why_not(plan, step, now, cause) {
            self.nearly = Some(Near { seq: now.seq, why, step });
        }
    }

    fn why_not(&self, plan: &Plan, step: usize, now: Timestamp, cause: Option<u64>) -> Option<String> {
        let link = &plan.links[step];
        let record = |wanted: usize| self.representative(plan, step, wanted);
        for bound in &link.within {
            let since = record(bound.since)?;
            if !bound.holds(since, now) {
                let after = now.at(bound.time).saturating_sub(since.at(bound.time));
                return Some(format!("it came {} after record {}", text_of(after), since.seq));
            }
        }
        let wanted = record(link.caused_by?)?.seq;
        let actual = match cause {
            Some(cause) if cause == wanted => return None,
            Some(other) => format!("record {other} led to it"),
            None => "no access is known to have led to it".to_owned(),
        };
        Some(format!("{actual}, not record {wanted}"))
    }

    /// One of the records that the candidates for a step have for an earlier one.
    pub(crate) fn representative(&self, plan: &Plan, level: usize, step: usize) -> Option<Timestamp> {
        let shape = &plan.levels[level];
        if step == 0 && shape.root {
            let last = self.roots.len().checked_sub(1)?;
            // Of triggers, the one that waits longest; of first steps, the latest.
            let root = if plan.each { self.first_waiting() } else { last };
            return Some(self.roots.get(root.min(last)));
        }
        let at = shape.live.iter().position(|known| *known == step)?;
        match &self.levels[level] {
            Level::Latest(latest) => *latest,
            Level::Partition(parts) => parts.iter().next_back().map(|(_, latest)| latest),
            Level::Keyed(groups) => {
                groups.values().flatten().map(|row| row.live[at]).max_by_key(|one| one.seq)
            }
            Level::Listed(rows, _) => rows.values().next_back().map(|row| row.live[at]),
            Level::Free(_) | Level::Roster(_) => None,
        }
    }

    fn first_waiting(&self) -> u32 {
        match &self.levels[1] {
            Level::Roster(roster) => {
                (roster.from..roster.len()).find(|place| roster.is_present(*place)).unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// Whether it was given up.
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowded
    }

    /// How many records were like the first step.
    pub(crate) fn triggers(&self) -> u64 {
        self.triggers
    }

    /// The step that was not found, after which record.
    pub(crate) fn stuck(&self) -> (usize, Option<u64>) {
        (self.furthest, self.reached.map(|reached| reached.seq))
    }

    /// An event that would have been this step but for a bound or its cause.
    pub(crate) fn nearly(&self, step: usize) -> Option<&Near> {
        self.nearly.as_ref().filter(|near| near.step == step)
    }
}

/// Whether rows aren't kept at the next level: it is the last one, or a roster.
fn last_or_roster(kind: Kind, last: bool) -> bool {
    last || kind == Kind::Roster
}
