//! The clock that devices see.

use std::sync::atomic::Ordering;

pub use barscope_trace::Clock;
use barscope_trace::Writer;

use crate::platform::Platform;

/// What one access advances the virtual clock by, in nanoseconds.
pub const ACCESS_NS: u64 = 1000;

/// Device time in nanoseconds, from 0 at the machine's start. Shared by all vCPUs.
#[derive(Debug)]
pub enum DeviceClock {
    /// Each access advances it by [`ACCESS_NS`]; a guest that is idle lets it jump to the next deadline.
    /// Equal runs give equal times. It is the writer's [`Writer::device_time`].
    Virtual(Writer),
    /// The platform's time, which passes by itself.
    Host,
}

impl DeviceClock {
    /// A virtual clock stands at 0.
    pub fn new(kind: Clock, writer: &Writer) -> Self {
        match kind {
            Clock::Virtual => Self::Virtual(writer.clone()),
            Clock::Host => Self::Host,
        }
    }

    /// Virtual or host.
    pub fn kind(&self) -> Clock {
        match self {
            Self::Virtual(_) => Clock::Virtual,
            Self::Host => Clock::Host,
        }
    }

    /// Device time.
    pub fn now(&self, platform: &impl Platform) -> u64 {
        match self {
            Self::Virtual(writer) => writer.device_time().load(Ordering::Relaxed),
            Self::Host => platform.now(),
        }
    }

    /// An access begins: device time at which it does.
    pub fn tick(&self, platform: &impl Platform) -> u64 {
        match self {
            Self::Virtual(writer) => writer.device_time().fetch_add(ACCESS_NS, Ordering::Relaxed) + ACCESS_NS,
            Self::Host => platform.now(),
        }
    }

    /// What `taken`, device time from a moment ago, has become: a virtual clock stands still meanwhile.
    pub fn now_or(&self, platform: &impl Platform, taken: u64) -> u64 {
        match self {
            Self::Virtual(_) => taken,
            Self::Host => platform.now(),
        }
    }

    /// The guest is idle until `deadline`: a virtual clock jumps there, a host clock goes its own way. Whether it jumped.
    pub fn jump(&self, deadline: u64) -> bool {
        match self {
            Self::Virtual(writer) => writer.device_time().fetch_max(deadline, Ordering::Relaxed) < deadline,
            Self::Host => false,
        }
    }
}
