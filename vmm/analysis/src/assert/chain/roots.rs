//! Records of the first step, and where those are that wait.

use rustc_hash::FxHashMap;
use smallvec::{SmallVec, smallvec};

use super::Timestamp;
use super::plan::Bound;

/// Positions in a roster, the end excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: u32,
    pub(super) to: u32,
}

/// Several of them; mostly one.
pub(super) type Spans = SmallVec<[Span; 1]>;

impl Span {
    pub(super) const NONE: Span = Span { from: 0, to: 0 };

    pub(super) fn one(at: u32) -> Self {
        Self { from: at, to: at + 1 }
    }

    pub(super) fn is_empty(self) -> bool {
        self.from >= self.to
    }

    pub(super) fn contains(self, at: u32) -> bool {
        (self.from..self.to).contains(&at)
    }
}

/// All records of the first step that still matter, in order.
#[derive(Debug, Default)]
pub(super) struct Roots {
    list: Vec<Timestamp>,
    by_seq: FxHashMap<u64, u32>,
}

impl Roots {
    pub(super) fn push(&mut self, root: Timestamp, find_later: bool) -> u32 {
        let at = self.list.len() as u32;
        self.list.push(root);
        if find_later {
            self.by_seq.insert(root.seq, at);
        }
        at
    }

    pub(super) fn len(&self) -> u32 {
        self.list.len() as u32
    }

    pub(super) fn get(&self, at: u32) -> Timestamp {
        self.list[at as usize]
    }

    pub(super) fn called(&self, seq: u64) -> Option<u32> {
        self.by_seq.get(&seq).copied()
    }

    pub(super) fn clear(&mut self) {
        self.list.clear();
        self.by_seq.clear();
    }
}

/// Roots at a level, in the order in which they came there.
#[derive(Debug)]
pub(super) struct Roster {
    order: Vec<u32>,
    /// The place in `order` of each root whose place isn't its own number.
    places: FxHashMap<u32, u32>,
    /// Those before went on.
    pub(super) from: u32,
    /// Places of those that went on one by one, for those after `from`.
    gone: Vec<bool>,
    /// Whether `order` ascends, and so do times.
    ascends: bool,
}

impl Default for Roster {
    fn default() -> Self {
        Self { order: Vec::new(), places: FxHashMap::default(), from: 0, gone: Vec::new(), ascends: true }
    }
}

impl Roster {
    pub(super) fn push(&mut self, root: u32) {
        self.ascends &= self.order.last().is_none_or(|last| *last < root);
        let place = self.order.len() as u32;
        if place != root {
            self.places.insert(root, place);
        }
        self.order.push(root);
    }

    pub(super) fn len(&self) -> u32 {
        self.order.len() as u32
    }

    pub(super) fn root(&self, place: u32) -> u32 {
        self.order[place as usize]
    }

    /// The latest root of a span that isn't empty.
    pub(super) fn latest(&self, span: Span) -> u32 {
        let roots = &self.order[span.from as usize..span.to as usize];
        let last = if self.ascends { roots.last() } else { roots.iter().max() };
        last.copied().unwrap_or(0)
    }

    pub(super) fn place(&self, root: u32) -> Option<u32> {
        let at_its_own = self.order.get(root as usize) == Some(&root);
        if at_its_own { Some(root) } else { self.places.get(&root).copied() }
    }

    /// Those that didn't go on.
    pub(super) fn present(&self) -> Span {
        Span { from: self.from, to: self.len() }
    }

    pub(super) fn is_present(&self, place: u32) -> bool {
        self.present().contains(place) && !self.gone.get(place as usize).is_some_and(|gone| *gone)
    }

    pub(super) fn take(&mut self, place: u32) {
        let place = place as usize;
        if place >= self.gone.len() {
            self.gone.resize(place + 1, false);
        }
        self.gone[place] = true;
        while self.gone.get(self.from as usize).is_some_and(|gone| *gone) {
            self.from += 1;
        }
    }

    /// The parts of `span` whose roots are not too long ago for `bounds`; what it cost to find them is added to
    /// `work`.
    pub(super) fn in_time(
        &self,
        span: Span,
        bounds: &[Bound],
        now: Timestamp,
        roots: &Roots,
        work: &mut u64,
    ) -> Spans {
        let fits = |place: u32| {
            let root = roots.get(self.root(place));
            bounds.iter().filter(|bound| bound.since == 0).all(|bound| bound.holds(root, now))
        };
        if !bounds.iter().any(|bound| bound.since == 0) {
            return smallvec![span];
        }
        if self.ascends {
            let places = &self.order[span.from as usize..span.to as usize];
            let late = places.partition_point(|root| {
                let root = roots.get(*root);
                !bounds.iter().filter(|bound| bound.since == 0).all(|bound| bound.holds(root, now))
            });
            let from = span.from + late as u32;
            let rest = Span { from, to: span.to };
            return if rest.is_empty() { Spans::new() } else { smallvec![rest] };
        }
        *work += u64::from(span.to - span.from);
        let mut parts = Spans::new();
        for place in (span.from..span.to).filter(|place| fits(*place)) {
            match parts.last_mut() {
                Some(last) if last.to == place => last.to += 1,
                _ => parts.push(Span::one(place)),
            }
        }
        parts
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Which places of a roster were met, so that all of them are met in little more than one step each.
#[derive(Debug, Default)]
pub(super) struct Met {
    /// For each place the next one, from itself on, that may not have been met.
    next: Vec<u32>,
}

impl Met {
    /// The first place from `at` on that wasn't met.
    pub(super) fn next(&mut self, at: u32) -> u32 {
        let mut end = at;
        while let Some(next) = self.next.get(end as usize).copied().filter(|next| *next != end) {
            end = next;
        }
        let mut at = at;
        while at != end {
            let next = self.next[at as usize];
            self.next[at as usize] = end;
            at = next;
        }
        end
    }

    pub(super) fn is_met(&mut self, at: u32) -> bool {
        self.next(at) != at
    }

    /// Meets those of `span` that weren't, and calls `each` for them.
    pub(super) fn meet(&mut self, span: Span, mut each: impl FnMut(u32)) {
        let known = self.next.len() as u32;
        if span.to > known {
            self.next.extend(known..span.to);
        }
        let mut at = self.next(span.from);
        while at < span.to {
            self.next[at as usize] = at + 1;
            each(at);
            at = self.next(at + 1);
        }
    }

    pub(super) fn clear(&mut self) {
        self.next.clear();
    }
}
