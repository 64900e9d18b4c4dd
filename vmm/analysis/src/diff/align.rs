//! Alignment of two sequences of items: what both have in the same order, and what only one has.
//!
//! Both are read side by side. As long as they say the same nothing is kept; from where they differ on, what came is
//! kept until both have ended or the window is full, and is aligned then.

use std::collections::VecDeque;
use std::ops::Range;

use imara_diff::{Algorithm, Diff, Interner, Token};

use super::Item;

/// So many items of both sides together wait to be aligned, at most.
pub(crate) const WINDOW: usize = 1 << 18;
/// Up to so many pairs of items each is looked at: nothing that both might have in common is missed.
const PAIRS: usize = 1 << 20;
/// When both sides have so many waiting in a sequence, and not many more, it is tried whether that was a small
/// difference.
const SOON: usize = 1 << 9;
/// It was if so many pairs in a row come after it.
const AGAIN: usize = 1 << 6;
/// So many of what both have are shown on each side of a difference.
const AROUND: usize = 3;
/// So many differences are kept to be shown, and so many items of each on either side.
const HUNKS: usize = 1 << 10;
const SHOWN: usize = 1 << 7;

/// A pair of items that both sides have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) seqs: [u64; 2],
    pub(crate) hash: u64,
}

impl Pair {
    fn of(left: &Item, right: &Item) -> Self {
        Self { seqs: [left.seq, right.seq], hash: left.hash }
    }
}

/// A difference: what only one side has, or each has instead of the other's.
#[derive(Clone, Debug)]
pub(crate) struct Hunk {
    pub(crate) lane: u32,
    /// The first items of each side, as many as are shown.
    pub(crate) items: [Vec<Item>; 2],
    /// How many there are.
    pub(crate) counts: [usize; 2],
    /// What both have right before.
    pub(crate) before: Vec<Pair>,
    /// What both have right after.
    pub(crate) after: Vec<Pair>,
}

impl Hunk {
    /// Where it is among others: by the left side, if that has anything there.
    pub(crate) fn place(&self) -> (u64, u64) {
        let [left, right] = [0, 1].map(|side| self.items[side].first().map(|item: &Item| item.seq));
        let anchor = left.or_else(|| self.before.last().map(|pair| pair.seqs[0]));
        (anchor.unwrap_or(u64::MAX), right.unwrap_or(0))
    }
}

/// How often a register occurs on each side, and how much of that the other one lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) all: [u64; 2],
    pub(crate) only: [u64; 2],
}

/// Sequences that are being aligned.
pub(crate) struct Aligner {
    window: usize,
    lanes: Vec<Lane>,
    pending: usize,
    /// Differences, the first ones that were found.
    pub(crate) hunks: Vec<Hunk>,
    /// How many there are.
    pub(crate) count: u64,
    /// The first one, by [`Hunk::place`].
    pub(crate) first: Option<Hunk>,
    /// By number of the register.
    pub(crate) registers: Vec<Counts>,
    /// Differences were aligned before both sides had ended: beyond the window they may have more in common.
    pub(crate) was_cut: bool,
    /// Parts of differences that have no pair after them yet, by lane.
    open: Vec<Option<Open>>,
}

/// Where a difference that a pair may follow is kept.
#[derive(Clone, Copy)]
struct Open {
    index: Option<usize>,
    is_first: bool,
}

#[derive(Default)]
struct Lane {
    waiting: [VecDeque<Item>; 2],
    recent: VecDeque<Pair>,
}

impl Aligner {
    pub(crate) fn new(window: usize) -> Self {
        Self {
            window,
            lanes: Vec::new(),
            pending: 0,
            hunks: Vec::new(),
            count: 0,
            first: None,
            registers: Vec::new(),
            was_cut: false,
            open: Vec::new(),
        }
    }

    /// Takes the next item of a side, 0 or 1.
    pub(crate) fn push(&mut self, side: usize, item: Item) {
        let register = item.register as usize;
        if register >= self.registers.len() {
            self.registers.resize(register + 1, Counts::default());
        }
        self.registers[register].all[side] += 1;
        let lane = item.lane as usize;
        if lane >= self.lanes.len() {
            self.lanes.resize_with(lane + 1, Lane::default);
            self.open.resize(lane + 1, None);
        }
        self.lanes[lane].waiting[side].push_back(item);
        self.pending += 1;
        self.pass(lane);
        let [left, right] = self.lanes[lane].waiting.each_ref().map(VecDeque::len);
        if left.min(right) == SOON && left.max(right) <= 2 * SOON {
            self.align(lane, false);
        }
        if self.pending > self.window {
            self.make_room();
        }
    }

    /// Nothing comes any more.
    pub(crate) fn finish(&mut self) {
        for lane in 0..self.lanes.len() {
            self.align(lane, true);
        }
    }

    /// Lets pass what both have at the front.
    fn pass(&mut self, lane: usize) {
        while let [Some(left), Some(right)] =
            self.lanes[lane].waiting.each_ref().map(|waiting| waiting.front())
        {
            if left.hash != right.hash {
                break;
            }
            let pair = Pair::of(left, right);
            for waiting in &mut self.lanes[lane].waiting {
                waiting.pop_front();
            }
            self.pending -= 2;
            self.both(lane, pair);
        }
    }

    fn both(&mut self, lane: usize, pair: Pair) {
        if let Some(open) = self.open[lane] {
            let of_list = open.index.and_then(|index| self.hunks.get_mut(index));
            let first = self.first.as_mut().filter(|first| open.is_first && first.lane as usize == lane);
            let mut is_full = true;
            for hunk in of_list.into_iter().chain(first) {
                hunk.after.push(pair);
                is_full &= hunk.after.len() >= AROUND;
            }
            if is_full {
                self.open[lane] = None;
            }
        }
        let recent = &mut self.lanes[lane].recent;
        if recent.len() == AROUND {
            recent.pop_front();
        }
        recent.push_back(pair);
    }

    /// Aligns what waits, the longest sequences first, until there is room.
    fn make_room(&mut self) {
        self.was_cut = true;
        let mut lanes: Vec<_> = (0..self.lanes.len()).collect();
        lanes.sort_by_key(|lane| std::cmp::Reverse(self.lanes[*lane].len()));
        for whole in [false, true] {
            for lane in &lanes {
                if self.pending <= self.window / 2 {
                    return;
                }
                self.align(*lane, whole);
            }
        }
    }

    /// Aligns what waits in a sequence: all of it, or but for a difference at the end, that may go on.
    fn align(&mut self, lane: usize, whole: bool) {
        let [left, right] = self.lanes[lane].waiting.each_ref().map(VecDeque::len);
        if left + right == 0 || !whole && (left == 0 || right == 0) {
            return;
        }
        let items: [Vec<Item>; 2] =
            self.lanes[lane].waiting.each_mut().map(|waiting| waiting.drain(..).collect());
        let mut hunks = differences(&items[0], &items[1]);
        let after_last = |hunks: &[(Range<usize>, Range<usize>)], end: usize| {
            end - hunks.last().map_or(0, |(before, _)| before.end)
        };
        let at_end =
            |(before, after): &(Range<usize>, Range<usize>)| before.end == left || after.end == right;
        let mut end = [left, right];
        if !whole && hunks.last().is_some_and(at_end) {
            let (before, after) = hunks.pop().unwrap_or_default();
            end = [before.start, after.start];
        }
        // Too little in common so soon: more is waited for.
        if !whole && left.min(right) == SOON && after_last(&hunks, end[0]) < AGAIN {
            for (waiting, items) in self.lanes[lane].waiting.iter_mut().zip(items) {
                waiting.extend(items);
            }
            return;
        }
        let mut at = [0, 0];
        for (before, after) in hunks {
            self.pairs(lane, &items, at, before.start);
            at = [before.end, after.end];
            self.hunk(lane, [&items[0][before], &items[1][after]]);
        }
        self.pairs(lane, &items, at, end[0]);
        for side in [0, 1] {
            self.lanes[lane].waiting[side].extend(&items[side][end[side]..]);
        }
        self.pending -= end[0] + end[1];
    }

    fn pairs(&mut self, lane: usize, items: &[Vec<Item>; 2], from: [usize; 2], to: usize) {
        let both = items[0][from[0]..to].iter().zip(&items[1][from[1]..]);
        for (left, right) in both {
            self.both(lane, Pair::of(left, right));
        }
    }

    fn hunk(&mut self, lane: usize, items: [&[Item]; 2]) {
        for side in [0, 1] {
            for item in items[side] {
                self.registers[item.register as usize].only[side] += 1;
            }
        }
        let hunk = Hunk {
            lane: lane as u32,
            items: items.map(|items| items[..items.len().min(SHOWN)].to_vec()),
            counts: items.map(<[Item]>::len),
            before: self.lanes[lane].recent.iter().copied().collect(),
            after: Vec::new(),
        };
        self.count += 1;
        let is_first = self.first.as_ref().is_none_or(|first| hunk.place() < first.place());
        if is_first {
            self.first = Some(hunk.clone());
        }
        let index = (self.hunks.len() < HUNKS).then_some(self.hunks.len());
        if index.is_some() {
            self.hunks.push(hunk);
        }
        self.open[lane] = Some(Open { index, is_first });
    }
}

impl Lane {
    fn len(&self) -> usize {
        self.waiting.iter().map(VecDeque::len).sum()
    }
}

/// What two sequences don't have in common, in order: ranges of the one and of the other.
pub(crate) fn differences(left: &[Item], right: &[Item]) -> Vec<(Range<usize>, Range<usize>)> {
    let start = left.iter().zip(right).take_while(|(left, right)| left.hash == right.hash).count();
    let rest = [&left[start..], &right[start..]];
    let back = rest[0].iter().rev().zip(rest[1].iter().rev());
    let end = back.take_while(|(left, right)| left.hash == right.hash).count();
    let [left, right] = rest.map(|items| &items[..items.len() - end]);
    let found = if left.len().saturating_mul(right.len()) <= PAIRS {
        exactly(left, right)
    } else {
        fast(left, right)
    };
    let shifted = |range: Range<usize>| start + range.start..start + range.end;
    found.into_iter().map(|(left, right)| (shifted(left), shifted(right))).collect()
}

/// The same by the longest common subsequence.
fn exactly(left: &[Item], right: &[Item]) -> Vec<(Range<usize>, Range<usize>)> {
    // How much the rests from here on have in common.
    let width = right.len() + 1;
    let mut common = vec![0_u32; (left.len() + 1) * width];
    for row in (0..left.len()).rev() {
        for column in (0..right.len()).rev() {
            let at = row * width + column;
            common[at] = if left[row].hash == right[column].hash {
                common[at + width + 1] + 1
            } else {
                common[at + 1].max(common[at + width])
            };
        }
    }
    let mut found: Vec<(Range<usize>, Range<usize>)> = Vec::new();
    let (mut row, mut column) = (0, 0);
    let mut from = None;
    while row < left.len() || column < right.len() {
        let is_pair = row < left.len() && column < right.len() && left[row].hash == right[column].hash;
        if is_pair {
            found.extend(from.take().map(|(rows, columns)| (rows..row, columns..column)));
            (row, column) = (row + 1, column + 1);
            continue;
        }
        from.get_or_insert((row, column));
        let at = row * width + column;
        if column == right.len() || row < left.len() && common[at + width] >= common[at + 1] {
            row += 1;
        } else {
            column += 1;
        }
    }
    found.extend(from.map(|(rows, columns)| (rows..row, columns..column)));
    found
}

/// The same by heuristics that keep it fast, whatever the sequences are.
fn fast(left: &[Item], right: &[Item]) -> Vec<(Range<usize>, Range<usize>)> {
    let mut interner = Interner::new(left.len() + right.len());
    let mut tokens =
        |items: &[Item]| items.iter().map(|item| interner.intern(item.hash)).collect::<Vec<Token>>();
    let (left, right) = (tokens(left), tokens(right));
    let mut diff = Diff::default();
    diff.compute_with(Algorithm::Myers, &left, &right, interner.num_tokens());
    let range = |range: Range<u32>| range.start as usize..range.end as usize;
    diff.hunks().map(|hunk| (range(hunk.before), range(hunk.after))).collect()
}

#[cfg(test)]
mod tests;
