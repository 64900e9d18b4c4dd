//! What has to be remembered while steps are followed: worked out once, from who refers to whom.
//!
//! After the first `n` steps were found (*level* `n`), all that matters of them is what later steps refer to: the
//! *live* steps. A reference by cause needs that very record (*exact*); a reference by time is best served by the
//! latest one. The first step is the *root* wherever it is needed exactly: always in `each`, whose every trigger has
//! to be followed, and in a sequence while a later step is caused by it.

use super::super::clause::Time;

/// Steps that follow each other, and how they refer to each other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Link {
    pub(crate) within: Vec<Bound>,
    pub(crate) caused_by: Option<usize>,
}

/// At most this long after an earlier step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bound {
    pub(crate) limit_ns: u64,
    pub(crate) time: Time,
    pub(crate) since: usize,
}

/// How the candidates of a level are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing is live: there is a candidate, or there is none.
    Free,
    /// Only the root is live: roots in the order in which they came here.
    Roster,
    /// One step is live, not exactly, and no root: its latest record.
    Latest,
    /// The same with a root: its latest record for each root.
    Partition,
    /// By the record that the next step has to be caused by.
    Keyed,
    /// Any other.
    Listed,
}

/// A level.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) kind: Kind,
    /// Whether the root is live.
    pub(super) root: bool,
    /// The live steps other than the root, in order.
    pub(super) live: Vec<usize>,
    /// The level whose roster spans of roots refer to.
    pub(super) base: usize,
    /// Which of `live` the next step has to be caused by.
    pub(super) key: Option<usize>,
    /// The next step has to be caused by the root.
    pub(super) pinned: bool,
}

/// A chain's steps and levels.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(super) links: Vec<Link>,
    /// By the number of steps found; the first and the last one hold nothing.
    pub(super) levels: Vec<Shape>,
    pub(super) each: bool,
    /// Some step is caused by the root.
    pub(super) by_root: bool,
    /// Steps that have to come within a time of the root.
    pub(super) deadlines: Vec<(usize, Bound)>,
}

impl Plan {
    pub(crate) fn new(links: Vec<Link>, each: bool) -> Self {
        let refers = |link: &Link, step: usize| {
            link.caused_by == Some(step) || link.within.iter().any(|bound| bound.since == step)
        };
        let mut base = 1;
        let mut levels = Vec::with_capacity(links.len() + 1);
        for level in 0..=links.len() {
            let rest = &links[level..];
            let exact = |step: usize| rest.iter().any(|link| link.caused_by == Some(step));
            let root = level > 0 && (each || exact(0));
            let first = usize::from(root);
            let live: Vec<_> =
                (first..level).filter(|step| rest.iter().any(|link| refers(link, *step))).collect();
            let next = rest.first();
            let cause = next.and_then(|link| link.caused_by);
            let key = cause.and_then(|cause| live.iter().position(|step| *step == cause));
            let kind = match live.as_slice() {
                [] if root => Kind::Roster,
                [] => Kind::Free,
                _ if key.is_some() => Kind::Keyed,
                [only] if !exact(*only) && root => Kind::Partition,
                [only] if !exact(*only) => Kind::Latest,
                _ => Kind::Listed,
            };
            if kind == Kind::Roster {
                base = level;
            }
            levels.push(Shape { kind, root, live, base, key, pinned: root && cause == Some(0) });
        }
        let by_root = links.iter().any(|link| link.caused_by == Some(0));
        let of_root = |(step, link): (usize, &Link)| {
            let bounds = link.within.iter().filter(|bound| bound.since == 0);
            bounds.map(|bound| (step, *bound)).collect::<Vec<_>>()
        };
        let deadlines = if each { links.iter().enumerate().flat_map(of_root).collect() } else { Vec::new() };
        Self { links, levels, each, by_root, deadlines }
    }

    /// Whether steps have to come within a time of the root.
    pub(crate) fn has_deadlines(&self) -> bool {
        !self.deadlines.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.links.len()
    }

    pub(crate) fn link(&self, step: usize) -> &Link {
        &self.links[step]
    }

    /// Whether a step says what led to it.
    pub(super) fn names_cause(&self, step: usize) -> bool {
        self.links[step].caused_by.is_some()
    }

    /// Whether steps after `step` refer to it.
    pub(super) fn stays(&self, step: usize) -> bool {
        let next = &self.levels[step + 1];
        next.live.contains(&step) || (step == 0 && next.root)
    }
}
