//! When each function's next timer is due, known without taking any function's lock.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use vmm_sys_util::eventfd::EventFd;

use super::lock;

/// Stands for a function without a timer.
const NEVER: u64 = u64::MAX;

/// The functions' next deadlines, in device time.
pub(super) struct Deadlines {
    each: Vec<AtomicU64>,
    /// The least of them. It only ever goes from one right value to the next.
    earliest: AtomicU64,
    /// Held while both are changed.
    change: Mutex<()>,
    /// Told when the earliest changes.
    changed: EventFd,
}

impl Deadlines {
    /// Those of functions without timers.
    pub(super) fn new(functions: usize, changed: EventFd) -> Self {
        let each = (0..functions).map(|_| AtomicU64::new(NEVER)).collect();
        Self { each, earliest: AtomicU64::new(NEVER), change: Mutex::new(()), changed }
    }

    /// Notes a function's next deadline. Called with the function locked.
    pub(super) fn set(&self, function: usize, deadline: Option<u64>) {
        let deadline = deadline.unwrap_or(NEVER);
        let Some(own) = self.each.get(function) else { return };
        if own.load(Ordering::Acquire) == deadline {
            return;
        }
        let changing = lock(&self.change);
        own.store(deadline, Ordering::Release);
        let earliest = self.each.iter().map(|each| each.load(Ordering::Acquire)).min().unwrap_or(NEVER);
        let before = self.earliest.swap(earliest, Ordering::AcqRel);
        drop(changing);
        if before != earliest {
            // The counter can't overflow before it is read.
            self.changed.write(1).ok();
        }
    }

    /// The earliest of all.
    pub(super) fn earliest(&self) -> Option<u64> {
        Some(self.earliest.load(Ordering::Acquire)).filter(|deadline| *deadline != NEVER)
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

    /// Readable when the earliest deadline has changed.
    pub(super) fn changed(&self) -> &EventFd {
        &self.changed
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use vmm_sys_util::eventfd::EFD_NONBLOCK;

    use super::*;

    fn deadlines(functions: usize) -> Deadlines {
        Deadlines::new(functions, EventFd::new(EFD_NONBLOCK).unwrap())
    }

    #[test]
    fn the_earliest_is_due_first_and_of_equal_ones_the_lowest() {
        let deadlines = deadlines(3);
        assert_eq!((deadlines.earliest(), deadlines.due(u64::MAX)), (None, None));
        deadlines.set(2, Some(50));
        deadlines.set(1, Some(50));
        deadlines.set(0, Some(90));
        assert_eq!((deadlines.earliest(), deadlines.due(49), deadlines.due(50)), (Some(50), None, Some(1)));
        deadlines.set(1, None);
        assert_eq!(deadlines.due(60), Some(2));
        deadlines.set(2, None);
        assert_eq!((deadlines.earliest(), deadlines.due(89), deadlines.due(90)), (Some(90), None, Some(0)));
    }

    #[test]
    fn whoever_waits_for_the_earliest_is_told_when_it_changes_only() {
        let deadlines = deadlines(2);
        deadlines.set(0, Some(10));
        assert_eq!(deadlines.changed().read().unwrap(), 1);
        deadlines.set(1, Some(20));
        deadlines.set(0, Some(10));
        assert!(deadlines.changed().read().is_err());
        deadlines.set(0, None);
        assert_eq!((deadlines.changed().read().unwrap(), deadlines.earliest()), (1, Some(20)));
    }

    #[test]
    fn a_timer_that_is_due_is_seen_whatever_others_change_at_that_moment() {
        let deadlines = deadlines(2);
        deadlines.set(0, Some(5));
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..200_000 {
                    deadlines.set(1, (round % 2 == 0).then_some(7));
                }
                done.store(true, Ordering::Release);
            });
            while !done.load(Ordering::Acquire) {
                assert_eq!(deadlines.due(6), Some(0));
            }
        });
    }
}
