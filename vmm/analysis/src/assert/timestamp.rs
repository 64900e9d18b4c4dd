//! When an event was.

use super::clause::Time;

/// Timestamp of an event. Times never go back from one record to the next: threads that record at once may have read
/// their clocks in another order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timestamp {
    pub(super) seq: u64,
    pub(super) device_ns: u64,
    pub(super) host_ns: u64,
}

impl Timestamp {
    pub(super) fn at(&self, time: Time) -> u64 {
        match time {
            Time::Device => self.device_ns,
            Time::Host => self.host_ns,
        }
    }
}
