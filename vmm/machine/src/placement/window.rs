//! A range of addresses that is given out, lowest first.

use std::ops::RangeInclusive;

/// A range of addresses with what is free of it.
pub(super) struct Window {
    /// First and last address of each free part, in ascending order.
    free: Vec<(u64, u64)>,
}

impl Window {
    pub(super) fn new(range: &RangeInclusive<u64>) -> Self {
        Self { free: vec![(*range.start(), *range.end())] }
    }

    /// The lowest free address for `size` bytes, a power of two, that is a multiple of it; `None` if there is no
    /// room.
    pub(super) fn take(&mut self, size: u64) -> Option<u64> {
        let fits = |&(first, last): &(u64, u64)| {
            let base = first.checked_next_multiple_of(size)?;
            base.checked_add(size - 1).filter(|end| *end <= last).map(|_| base)
        };
        let (index, base) =
            self.free.iter().enumerate().find_map(|(index, part)| Some((index, fits(part)?)))?;
        let (first, last) = self.free[index];
        let end = base + (size - 1);
        let before = (first < base).then(|| (first, base - 1));
        let after = (end < last).then(|| (end + 1, last));
        self.free.splice(index..=index, before.into_iter().chain(after));
        Some(base)
    }
}
