//! How far a turn is that a guest plays.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// How far a turn is, as the guest says it.
#[derive(Default)]
pub(crate) struct Turn {
    /// The status that it ended with, and when.
    ended: OnceLock<(u64, Instant)>,
    is_tidy: AtomicBool,
}

impl Turn {
    /// It is over, with this status. The first one counts.
    pub(crate) fn end(&self, status: u64) {
        self.ended.set((status, Instant::now())).ok();
    }

    /// The status that it ended with, and when.
    pub(crate) fn ended(&self) -> Option<(u64, Instant)> {
        self.ended.get().copied()
    }

    /// Nothing of it is left.
    pub(crate) fn tidy(&self) {
        self.is_tidy.store(true, Ordering::Release);
    }

    /// Whether another one may follow.
    pub(crate) fn is_tidy(&self) -> bool {
        self.ended().is_some() && self.is_tidy.load(Ordering::Acquire)
    }
}
