//! Candidates: the live records of those that came as far as a level.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use smallvec::{SmallVec, smallvec};

use super::Timestamp;
use super::partition::Partition;
use super::plan::{Kind, Link, Plan, Shape};
use super::roots::{Roots, Roster, Span, Spans};

/// Records of a level's live steps, in the order of the steps.
pub(super) type Live = SmallVec<[Timestamp; 2]>;

/// Candidates that share the records of their live steps, for each root of a span.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) live: Live,
    /// Without a root, [`Span::NONE`].
    pub(super) roots: Span,
}

/// Rows that an event continues; mostly one.
pub(super) type Rows = SmallVec<[Row; 1]>;

/// An event that may be the next step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) now: Timestamp,
    pub(super) cause: Option<u64>,
    /// The event is live at the next level: what it continues may be continued by a later one as well.
    pub(super) stays: bool,
    /// Any one row will do.
    pub(super) one: bool,
    /// The next level knows roots.
    pub(super) rooted: bool,
    /// Nothing but the root is live at the next level of what is live here.
    pub(super) forgets: bool,
}

/// The candidates of a level.
#[derive(Debug)]
pub(super) enum Level {
    Free(bool),
    Roster(Roster),
    Latest(Option<Timestamp>),
    Partition(Partition),
    Keyed(FxHashMap<u64, SmallVec<[Row; 1]>>),
    /// By the latest live record, and a number.
    Listed(BTreeMap<(u64, u64), Row>, u64),
}

impl Level {
    pub(super) fn new(shape: &Shape) -> Self {
        match shape.kind {
            Kind::Free => Level::Free(false),
            Kind::Roster => Level::Roster(Roster::default()),
            Kind::Latest => Level::Latest(None),
            Kind::Partition => Level::Partition(Partition::default()),
            Kind::Keyed => Level::Keyed(FxHashMap::default()),
            Kind::Listed => Level::Listed(BTreeMap::new(), 0),
        }
    }

    pub(super) fn clear(&mut self) {
        match self {
            Level::Free(reached) => *reached = false,
            Level::Roster(roster) => roster.clear(),
            Level::Latest(latest) => *latest = None,
            Level::Partition(parts) => parts.clear(),
            Level::Keyed(groups) => groups.clear(),
            Level::Listed(rows, _) => rows.clear(),
        }
    }

    /// Adds a row that isn't one of a roster.
    pub(super) fn add(&mut self, shape: &Shape, row: Row, work: &mut u64) {
        *work += 1;
        match self {
            Level::Free(reached) => *reached = true,
            Level::Roster(_) => {}
            Level::Latest(latest) => {
                let new = row.live[0];
                if latest.is_none_or(|known| known.seq < new.seq) {
                    *latest = Some(new);
                }
            }
            Level::Partition(parts) => parts.take_over(row.roots, row.live[0], work),
            Level::Keyed(groups) => {
                let key = row.live[shape.key.unwrap_or(0)].seq;
                groups.entry(key).or_default().push(row);
            }
            Level::Listed(rows, number) => {
                let latest = row.live.last().map_or(0, |moment| moment.seq);
                *number += 1;
                rows.insert((latest, *number), row);
            }
        }
    }
}

/// What a level is matched with.
pub(super) struct Context<'a> {
    pub(super) shape: &'a Shape,
    pub(super) link: &'a Link,
    pub(super) roots: &'a Roots,
    /// The roster that spans refer to, if it is that of another level.
    pub(super) base: Option<&'a Roster>,
}

impl Context<'_> {
    /// Whether live records other than the root are as the step asks.
    fn fits(&self, live: &Live, arrival: &Arrival) -> bool {
        let record = |step: usize| self.shape.live.iter().position(|known| *known == step).map(|at| live[at]);
        let caused = match self.link.caused_by.and_then(record) {
            Some(record) => arrival.cause == Some(record.seq),
            None => true,
        };
        caused
            && self
                .link
                .within
                .iter()
                .all(|bound| record(bound.since).is_none_or(|since| bound.holds(since, arrival.now)))
    }

    /// The parts of a row that fit.
    fn parts(&self, row: &Row, base: Option<&Roster>, arrival: &Arrival, work: &mut u64) -> Spans {
        if !self.fits(&row.live, arrival) {
            return Spans::new();
        }
        let Some(base) = base.filter(|_| self.shape.root) else { return smallvec![Span::NONE] };
        let span = if self.shape.pinned {
            match self.pinned(base, arrival).filter(|place| row.roots.contains(*place)) {
                Some(place) => Span::one(place),
                None => return Spans::new(),
            }
        } else {
            row.roots
        };
        base.in_time(span, &self.link.within, arrival.now, self.roots, work)
    }

    /// The place of the root that caused the event.
    fn pinned(&self, base: &Roster, arrival: &Arrival) -> Option<u32> {
        base.place(self.roots.called(arrival.cause?)?)
    }
}

impl Level {
    /// The rows that the event continues. Those that can't do better by a later one are taken out.
    pub(super) fn take(&mut self, context: &Context<'_>, arrival: &Arrival, work: &mut u64) -> Rows {
        *work += 1;
        let row = |live: Live, roots: Span| Row { live, roots };
        match self {
            Level::Free(true) => smallvec![row(Live::new(), Span::NONE)],
            Level::Free(false) => Rows::new(),
            Level::Roster(roster) => {
                let span = if context.shape.pinned {
                    let place = context.pinned(roster, arrival).filter(|place| roster.is_present(*place));
                    place.map_or(Span::NONE, Span::one)
                } else {
                    roster.present()
                };
                if span.is_empty() {
                    return Rows::new();
                }
                let parts = roster.in_time(span, &context.link.within, arrival.now, context.roots, work);
                if !arrival.stays {
                    if context.shape.pinned {
                        roster.take(span.from);
                    } else {
                        roster.from = span.to;
                    }
                }
                parts.into_iter().map(|part| row(Live::new(), part)).collect()
            }
            Level::Latest(latest) => {
                let Some(known) = *latest else { return Rows::new() };
                let live: Live = smallvec![known];
                let fits = context.fits(&live, arrival);
                if fits && !arrival.stays {
                    *latest = None;
                }
                if fits { smallvec![row(live, Span::NONE)] } else { Rows::new() }
            }
            Level::Partition(parts) => take_partition(parts, context, arrival, work),
            Level::Keyed(groups) => {
                let Some(cause) = arrival.cause else { return Rows::new() };
                let Some(group) = groups.get(&cause) else { return Rows::new() };
                let mut found = Rows::new();
                for known in group {
                    *work += 1;
                    let parts = context.parts(known, context.base, arrival, work);
                    found.extend(parts.into_iter().map(|part| row(known.live.clone(), part)));
                }
                if !arrival.stays {
                    groups.remove(&cause);
                }
                found
            }
            Level::Listed(rows, number) => take_listed(rows, number, context, arrival, work),
        }
    }
}

fn take_partition(parts: &mut Partition, context: &Context<'_>, arrival: &Arrival, work: &mut u64) -> Rows {
    let Some(base) = context.base else { return Rows::new() };
    let mut found = Rows::new();
    let mut add = |roots: Span, latest: Timestamp, work: &mut u64| {
        *work += 1;
        let known = Row { live: smallvec![latest], roots };
        let fitting = context.parts(&known, Some(base), arrival, work);
        found.extend(fitting.into_iter().map(|part| Row { live: known.live.clone(), roots: part }));
    };
    if context.shape.pinned {
        let Some(place) = context.pinned(base, arrival) else { return Rows::new() };
        if let Some((_, latest)) = parts.at(place) {
            add(Span::one(place), latest, work);
            if !arrival.stays {
                parts.remove(place);
            }
        }
        return found;
    }
    // Time only passes.
    parts.expire(|latest| context.fits(&smallvec![latest], arrival), work);
    if arrival.stays && arrival.forgets {
        // All that are left fit, and who they are for is all that matters.
        for span in parts.spans() {
            add(span, arrival.now, work);
        }
    } else {
        for (span, latest) in parts.iter() {
            add(span, latest, work);
        }
    }
    if !arrival.stays {
        parts.clear();
    }
    found
}

fn take_listed(
    rows: &mut BTreeMap<(u64, u64), Row>,
    number: &mut u64,
    context: &Context<'_>,
    arrival: &Arrival,
    work: &mut u64,
) -> Rows {
    let mut found = Rows::new();
    // What the root caused continues rows of later records.
    let first = if context.shape.pinned { arrival.cause.unwrap_or(u64::MAX) } else { 0 };
    let place = context.base.filter(|_| context.shape.pinned).and_then(|base| context.pinned(base, arrival));
    if context.shape.pinned && place.is_none() {
        return found;
    }
    let mut gone = Vec::new();
    let mut rest = Vec::new();
    for (key, known) in rows.range((first, 0)..) {
        *work += 1;
        // The spans of those at level 2 begin ever later.
        if context.shape.base == 1
            && context.shape.live == [1]
            && place.is_some_and(|place| known.roots.from > place)
        {
            break;
        }
        let parts = context.parts(known, context.base, arrival, work);
        if !arrival.stays {
            if !context.shape.pinned || (!parts.is_empty() && !arrival.rooted) {
                gone.push(*key);
            } else if let Some(part) = parts.first() {
                gone.push(*key);
                for roots in [
                    Span { from: known.roots.from, to: part.from },
                    Span { from: part.to, to: known.roots.to },
                ] {
                    if !roots.is_empty() {
                        rest.push((key.0, Row { live: known.live.clone(), roots }));
                    }
                }
            }
        }
        let any = !parts.is_empty();
        found.extend(parts.into_iter().map(|part| Row { live: known.live.clone(), roots: part }));
        if any && arrival.one && arrival.stays {
            break;
        }
    }
    for key in gone {
        rows.remove(&key);
    }
    for (latest, row) in rest {
        *number += 1;
        rows.insert((latest, *number), row);
    }
    found
}

/// The live records of the next level.
pub(super) fn project(
    plan: &Plan,
    step: usize,
    row: &Row,
    now: Timestamp,
    roots: &Roots,
    base: Option<&Roster>,
) -> Live {
    let (here, next) = (&plan.levels[step], &plan.levels[step + 1]);
    next.live
        .iter()
        .map(|wanted| match here.live.iter().position(|known| known == wanted) {
            Some(at) => row.live[at],
            None if *wanted == step => now,
            // The root isn't needed exactly any more: the latest one serves best.
            None => base.map_or(now, |base| roots.get(base.latest(row.roots))),
        })
        .collect()
}
