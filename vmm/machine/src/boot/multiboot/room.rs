//! Guest memory that is free still, while a kernel is loaded.

use crate::layout;

/// Ranges of memory that are taken: start and end of each.
pub(super) struct Room {
    taken: Vec<(u64, u64)>,
    size: u64,
}

impl Room {
    /// All of memory from 0 to `size`, but the legacy hole.
    pub(super) fn new(size: u64) -> Self {
        Self { taken: vec![(layout::LEGACY_HOLE, layout::HIGH_MEMORY)], size }
    }

    /// Takes a range, wherever it is.
    pub(super) fn claim(&mut self, start: u64, end: u64) {
        self.taken.push((start, end));
    }

    /// The lowest address from `from` on that is a multiple of `align`, a power of two, and has `size` free bytes; `None`
    /// if there is none.
    pub(super) fn take(&mut self, size: u64, align: u64, from: u64) -> Option<u64> {
        let ends = self.taken.iter().map(|(_, end)| *end).filter(|end| *end > from);
        let mut candidates: Vec<_> =
            std::iter::once(from).chain(ends).filter_map(|at| at.checked_next_multiple_of(align)).collect();
        candidates.sort_unstable();
        let is_free = |start: &u64| {
            start.checked_add(size).is_some_and(|end| {
                end <= self.size && self.taken.iter().all(|taken| end <= taken.0 || taken.1 <= *start)
            })
        };
        let start = candidates.into_iter().find(is_free)?;
        self.claim(start, start + size);
        Some(start)
    }
}
