//! A function's timers, in device time.

use serde::{Deserialize, Serialize};

/// A timer that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Timer {
    /// The device's number for it.
    pub(crate) index: u8,
    /// Device time in nanoseconds.
    pub(crate) deadline: u64,
    /// Sequence number of the access that set it.
    pub(crate) cause: u64,
}

/// The timers that run, at most one an index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Timers {
    running: Vec<Timer>,
}

impl Timers {
    /// Starts timer `index`, or moves its deadline.
    pub(crate) fn set(&mut self, index: u8, deadline: u64, cause: u64) {
        self.cancel(index);
        self.running.push(Timer { index, deadline, cause });
    }

    /// Stops timer `index`, if it runs.
    pub(crate) fn cancel(&mut self, index: u8) {
        self.running.retain(|timer| timer.index != index);
    }

    /// Stops them all.
    pub(crate) fn clear(&mut self) {
        self.running.clear();
    }

    /// Those that run.
    pub(crate) fn running(&self) -> impl Iterator<Item = &Timer> {
        self.running.iter()
    }

    /// The earliest deadline.
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        self.running.iter().map(|timer| timer.deadline).min()
    }

    /// Takes the earliest timer that is due at `now`; of equal deadlines, the lowest index.
    pub(crate) fn take_due(&mut self, now: u64) -> Option<Timer> {
        let due = self.running.iter().filter(|timer| timer.deadline <= now);
        let first = *due.min_by_key(|timer| (timer.deadline, timer.index))?;
        self.cancel(first.index);
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_come_due_by_deadline_then_by_index() {
        let mut timers = Timers::default();
        timers.set(2, 50, 1);
        timers.set(1, 50, 2);
        timers.set(0, 90, 3);
        timers.set(3, 10, 4);

        assert_eq!(timers.next_deadline(), Some(10));
        let order: Vec<u8> = std::iter::from_fn(|| timers.take_due(60)).map(|timer| timer.index).collect();
        assert_eq!(order, [3, 1, 2]);
        assert_eq!(timers.next_deadline(), Some(90));
    }

    #[test]
    fn a_timer_set_again_comes_due_once_for_its_latest_cause() {
        let mut timers = Timers::default();
        timers.set(0, 10, 1);
        timers.set(0, 20, 2);

        assert_eq!(timers.take_due(15), None);
        assert_eq!(timers.take_due(20), Some(Timer { index: 0, deadline: 20, cause: 2 }));
        assert_eq!(timers.take_due(20), None);
    }

    #[test]
    fn a_cancelled_timer_never_comes_due() {
        let mut timers = Timers::default();
        timers.set(0, 10, 1);
        timers.cancel(0);

        assert_eq!(timers.take_due(u64::MAX), None);
    }
}
