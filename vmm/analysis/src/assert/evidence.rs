//! What a failure rests on.

use std::sync::Arc;

use super::clause::Time;
use crate::filter::Compiled;
use crate::view::View;

/// Evidence of a failure.
#[derive(Clone, Debug, Default)]
pub(super) struct Evidence {
    pub(super) reason: String,
    /// What came nearest, if it is known already.
    pub(super) nearest: Option<String>,
    /// The event that it is about.
    pub(super) at: Option<u64>,
    /// What to look for the nearest to, after which record.
    pub(super) look: Option<(Arc<Compiled>, u64)>,
    /// What was awaited within a time, and may have come later.
    pub(super) late: Option<Late>,
}

impl Evidence {
    pub(super) fn because(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ..Self::default() }
    }

    pub(super) fn about(seq: u64, reason: String) -> Self {
        Self { at: Some(seq), ..Self::because(reason) }
    }
}

/// What was awaited within a time.
#[derive(Clone, Debug)]
pub(super) struct Late {
    /// What it is like.
    pub(super) filter: Arc<Compiled>,
    /// The record that the time counts from, and when that was.
    pub(super) since: u64,
    pub(super) since_ns: u64,
    /// How long there was, of which time.
    pub(super) limit_ns: u64,
    pub(super) time: Time,
}

impl Late {
    /// How long after the time's beginning an event came that would have been the one, but for that.
    pub(super) fn delay(&self, view: &View) -> Option<u64> {
        let now = match self.time {
            Time::Device => view.device_ns,
            Time::Host => view.host_ns,
        };
        let delay = now.checked_sub(self.since_ns).filter(|delay| *delay > self.limit_ns)?;
        (view.seq > self.since && self.filter.matches(view)).then_some(delay)
    }
}
