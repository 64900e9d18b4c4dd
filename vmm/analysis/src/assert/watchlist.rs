//! Which clauses an event may matter to, found without touching those that it doesn't.

use crate::filter::{Interest, Seen};

/// What each clause waits for now, side by side.
#[derive(Debug, Default)]
pub(super) struct Watchlist {
    interests: Vec<Interest>,
    /// For each of `interests`, the clause that has it.
    owners: Vec<u32>,
    /// For each clause, the first of its interests and how many there may be.
    ranges: Vec<(u32, u32)>,
}

impl Watchlist {
    /// Adds the next clause, which never has more than `most` interests.
    pub(super) fn add(&mut self, most: usize) {
        let (owner, first) = (self.ranges.len() as u32, self.interests.len());
        self.ranges.push((first as u32, most as u32));
        self.interests.resize(first + most, Interest::NONE);
        self.owners.resize(first + most, owner);
    }

    /// Sets what a clause waits for.
    pub(super) fn set(&mut self, clause: usize, interests: impl IntoIterator<Item = Interest>) {
        let (first, most) = self.ranges[clause];
        let mut interests = interests.into_iter();
        for place in &mut self.interests[first as usize..][..most as usize] {
            *place = interests.next().unwrap_or(Interest::NONE);
        }
    }

    /// The first clause, looking from `at` on, that an event may matter to, and where to look next.
    pub(super) fn next(&self, at: usize, seen: Seen) -> Option<(usize, usize)> {
        let found = self.interests.get(at..)?.iter().position(|interest| interest.meets(seen))?;
        let owner = self.owners[at + found] as usize;
        let (first, most) = self.ranges[owner];
        Some((owner, (first + most) as usize))
    }
}
