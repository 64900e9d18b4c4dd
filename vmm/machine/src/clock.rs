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
    /// Each access advances it by so many nanoseconds; a guest that is idle lets it jump to the next deadline.
    /// Equal runs give equal times. It is the writer's [`Writer::device_time`].
    Virtual(Writer, u64),
    /// The platform's time, which passes by itself.
    Host,
}

impl DeviceClock {
    /// A virtual clock stands at 0, and each access advances it by `access_ns`, mostly [`ACCESS_NS`].
    pub fn new(kind: Clock, writer: &Writer, access_ns: u64) -> Self {
        match kind {
            Clock::Virtual => Self::Virtual(writer.clone(), access_ns),
            Clock::Host => Self::Host,
        }
    }

    /// Virtual or host.
    pub fn kind(&self) -> Clock {
        match self {
            Self::Virtual(..) => Clock::Virtual,
            Self::Host => Clock::Host,
        }
    }

    /// Device time.
    pub fn now(&self, platform: &impl Platform) -> u64 {
        match self {
            Self::Virtual(writer, _) => writer.device_time().load(Ordering::Relaxed),
            Self::Host => platform.now(),
        }
    }

    /// An access begins: device time at which it does.
    pub fn tick(&self, platform: &impl Platform) -> u64 {
        match self {
            Self::Virtual(writer, access_ns) => {
                writer.device_time().fetch_add(*access_ns, Ordering::Relaxed) + access_ns
            }
            Self::Host => platform.now(),
        }
    }

    /// What `taken`, device time from a moment ago, has become: a virtual clock stands still meanwhile.
    pub fn now_or(&self, platform: &impl Platform, taken: u64) -> u64 {
        match self {
            Self::Virtual(..) => taken,
            Self::Host => platform.now(),
        }
    }

    /// The guest is idle until `deadline`: a virtual clock jumps there, a host clock goes its own way. Whether it jumped.
    pub fn jump(&self, deadline: u64) -> bool {
        match self {
            Self::Virtual(writer, _) => {
                writer.device_time().fetch_max(deadline, Ordering::Relaxed) < deadline
            }
            Self::Host => false,
        }
    }
}
