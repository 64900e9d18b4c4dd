//! The latest record of a step for each root, where only that one matters.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use smallvec::SmallVec;

use super::Timestamp;
use super::roots::Span;

/// Disjoint spans of roots, each with its record.
#[derive(Debug, Default)]
pub(super) struct Partition {
    /// By the first place of a span: the place after its last one, and its record.
    parts: BTreeMap<u32, (u32, Timestamp)>,
    /// All places of `parts`, in as few spans as will do.
    all: BTreeMap<u32, u32>,
    /// Records with the first places of their spans, the oldest on top; some are gone from `parts`.
    oldest: BinaryHeap<Reverse<(u64, u32)>>,
}

impl Partition {
    /// Makes `new` the latest record of the places of `span`, but where there is a later one.
    pub(super) fn take_over(&mut self, span: Span, new: Timestamp, work: &mut u64) {
        let before = self.parts.range(..span.from).next_back();
        let before = before.filter(|(_, (to, _))| *to > span.from).map(|(from, _)| *from);
        let within = self.parts.range(span.from..span.to).map(|(from, _)| *from);
        let overlapping: SmallVec<[u32; 4]> = before.into_iter().chain(within).collect();
        let mut next = span.from;
        for from in overlapping {
            *work += 1;
            let Some((to, known)) = self.parts.remove(&from) else { continue };
            if from < span.from {
                self.put(from, span.from, known);
            }
            if to > span.to {
                self.put(span.to, to, known);
            }
            let (from, to) = (from.max(span.from), to.min(span.to));
            if known.seq > new.seq {
                if next < from {
                    self.put(next, from, new);
                }
                self.put(from, to, known);
                next = to;
            }
        }
        if next < span.to {
            self.put(next, span.to, new);
        }
        self.cover(span);
    }

    fn put(&mut self, from: u32, to: u32, record: Timestamp) {
        self.parts.insert(from, (to, record));
        self.oldest.push(Reverse((record.seq, from)));
        if self.oldest.len() > 64 + 2 * self.parts.len() {
            self.oldest = self.parts.iter().map(|(from, (_, known))| Reverse((known.seq, *from))).collect();
        }
    }

    fn cover(&mut self, span: Span) {
        let (mut from, mut to) = (span.from, span.to);
        if let Some((first, last)) = self.all.range(..=from).next_back().map(|(first, last)| (*first, *last))
            && last >= from
        {
            (from, to) = (first, to.max(last));
        }
        while let Some((first, last)) = self.all.range(from..=to).next().map(|(first, last)| (*first, *last))
        {
            self.all.remove(&first);
            to = to.max(last);
        }
        self.all.insert(from, to);
    }

    fn uncover(&mut self, span: Span) {
        let Some((from, to)) = self.all.range(..=span.from).next_back().map(|(from, to)| (*from, *to)) else {
            return;
        };
        self.all.remove(&from);
        if from < span.from {
            self.all.insert(from, span.from);
        }
        if span.to < to {
            self.all.insert(span.to, to);
        }
    }

    /// The span that a place is in, with its record.
    pub(super) fn at(&self, place: u32) -> Option<(Span, Timestamp)> {
        let (from, (to, record)) = self.parts.range(..=place).next_back()?;
        (place < *to).then_some((Span { from: *from, to: *to }, *record))
    }

    /// Takes a place out.
    pub(super) fn remove(&mut self, place: u32) {
        let Some((span, record)) = self.at(place) else { return };
        self.parts.remove(&span.from);
        if span.from < place {
            self.put(span.from, place, record);
        }
        if place + 1 < span.to {
            self.put(place + 1, span.to, record);
        }
        self.uncover(Span::one(place));
    }

    /// Takes out all whose records are too old; `holds` says whether one isn't.
    pub(super) fn expire(&mut self, holds: impl Fn(Timestamp) -> bool, work: &mut u64) {
        while let Some(Reverse((seq, from))) = self.oldest.peek().copied() {
            let known = self.parts.get(&from).copied().filter(|(_, record)| record.seq == seq);
            if known.is_some_and(|(_, record)| holds(record)) {
                return;
            }
            self.oldest.pop();
            *work += 1;
            if let Some((to, _)) = known {
                self.parts.remove(&from);
                self.uncover(Span { from, to });
            }
        }
    }

    /// All places.
    pub(super) fn spans(&self) -> impl Iterator<Item = Span> {
        self.all.iter().map(|(from, to)| Span { from: *from, to: *to })
    }

    /// All places with their records.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (Span, Timestamp)> {
        self.parts.iter().map(|(from, (to, record))| (Span { from: *from, to: *to }, *record))
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}
