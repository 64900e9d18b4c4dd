//! When each function's next timer is due, known without taking any function's lock.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::lock::lock;

/// Stands for a function without a timer.
const NEVER: u64 = u64::MAX;

/// The functions' next deadlines, in device time.
pub(super) struct Deadlines {
    each: Vec<AtomicU64>,
    /// The least of them. It only ever goes from one right value to the next.
    earliest: AtomicU64,
    /// Held while both are changed.
    change: Mutex<()>,
}

impl Deadlines {
    /// Those of functions without timers.
    pub(super) fn new(functions: usize) -> Self {
        let each = (0..functions).map(|_| AtomicU64::new(NEVER)).collect();
        Self { each, earliest: AtomicU64::new(NEVER), change: Mutex::new(()) }
    }

    /// Notes a function's next deadline, and tells `changed` the earliest of all if that is another one now, before
    /// anybody can change it again. Called with the function locked.
    pub(super) fn set(&self, function: usize, deadline: Option<u64>, changed: impl FnOnce(Option<u64>)) {
        let deadline = deadline.unwrap_or(NEVER);
        let Some(own) = self.each.get(function) else { return };
        if own.load(Ordering::Acquire) == deadline {
            return;
        }
        let _changing = lock(&self.change);
        own.store(deadline, Ordering::Release);
        let earliest = self.each.iter().map(|each| each.load(Ordering::Acquire)).min().unwrap_or(NEVER);
        let before = self.earliest.swap(earliest, Ordering::AcqRel);
        if before != earliest {
            changed(some(earliest));
        }
    }

    /// The earliest of all.
    pub(super) fn earliest(&self) -> Option<u64> {
        some(self.earliest.load(Ordering::Acquire))
    }

    /// The function whose deadline comes first, if that is not after `now`; of equal ones, the one with the lowest
    /// index.
    pub(super) fn due(&self, now: u64) -> Option<usize> {
        if self.earliest.load(Ordering::Acquire) > now {
            return None;
        }
        let deadlines = self.each.iter().map(|each| each.load(Ordering::Acquire)).enumerate();
        let (first, deadline) = deadlines.min_by_key(|(_, deadline)| *deadline)?;
        (deadline <= now && deadline != NEVER).then_some(first)
    }
}

fn some(deadline: u64) -> Option<u64> {
    (deadline != NEVER).then_some(deadline)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;

    fn set(deadlines: &Deadlines, function: usize, deadline: Option<u64>) {
        deadlines.set(function, deadline, |_| {});
    }

    #[test]
    fn the_earliest_is_due_first_and_of_equal_ones_the_lowest() {
        let deadlines = Deadlines::new(3);
        assert_eq!((deadlines.earliest(), deadlines.due(u64::MAX)), (None, None));
        set(&deadlines, 2, Some(50));
        set(&deadlines, 1, Some(50));
        set(&deadlines, 0, Some(90));
        assert_eq!((deadlines.earliest(), deadlines.due(49), deadlines.due(50)), (Some(50), None, Some(1)));
        set(&deadlines, 1, None);
        assert_eq!(deadlines.due(60), Some(2));
        set(&deadlines, 2, None);
        assert_eq!((deadlines.earliest(), deadlines.due(89), deadlines.due(90)), (Some(90), None, Some(0)));
    }

    #[test]
    fn whoever_waits_for_the_earliest_is_told_when_it_changes_only() {
        let deadlines = Deadlines::new(2);
        let mut told = Vec::new();
        for (function, deadline) in [(0, Some(10)), (1, Some(20)), (0, Some(10)), (0, None), (1, None)] {
            deadlines.set(function, deadline, |earliest| told.push(earliest));
        }
        assert_eq!(told, [Some(10), Some(20), None]);
    }

    #[test]
    fn a_timer_that_is_due_is_seen_whatever_others_change_at_that_moment() {
        let deadlines = Deadlines::new(2);
        set(&deadlines, 0, Some(5));
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..200_000 {
                    set(&deadlines, 1, (round % 2 == 0).then_some(7));
                }
                done.store(true, Ordering::Release);
            });
            while !done.load(Ordering::Acquire) {
                assert_eq!(deadlines.due(6), Some(0));
            }
        });
    }
}
