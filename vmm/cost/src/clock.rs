//! Time that a thread took, other programs left out.

use std::fs;
use std::time::{Duration, Instant};

/// A time mark of one thread.
///
/// Time that the thread was ready to run while other programs had the processor doesn't count: it says nothing of what was
/// measured. Time that it slept does. Where the kernel doesn't tell (`CONFIG_SCHED_INFO`), all of it counts.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    at: Instant,
    waited: Duration,
}

impl Stamp {
    /// Now, of the thread that asks.
    pub fn now() -> Self {
        Self::of(Instant::now(), "/proc/thread-self/schedstat")
    }

    /// A moment ago, of the thread whose scheduler statistics are in that file.
    pub fn of(at: Instant, schedstat: &str) -> Self {
        let text = fs::read_to_string(schedstat).unwrap_or_default();
        Self { at, waited: waited(&text).unwrap_or_default() }
    }

    /// When it was.
    pub fn at(self) -> Instant {
        self.at
    }

    /// The time from an earlier mark of the same thread to this one.
    pub fn since(self, earlier: Self) -> Duration {
        let waited = self.waited.saturating_sub(earlier.waited);
        self.at.duration_since(earlier.at).saturating_sub(waited)
    }
}

/// How long a thread waited for a processor: the second of three numbers, in nanoseconds (Linux,
/// `Documentation/scheduler/sched-stats.rst`).
fn waited(schedstat: &str) -> Option<Duration> {
    schedstat.split_whitespace().nth(1)?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_number_is_what_a_thread_waited() {
        assert_eq!(waited("329913482 671851356 85\n"), Some(Duration::from_nanos(671_851_356)));
        assert_eq!(waited(""), None);
    }

    #[test]
    fn sleep_counts_and_waiting_for_a_processor_does_not() {
        let began = Stamp::now();
        std::thread::sleep(Duration::from_millis(5));
        assert!(Stamp::now().since(began) >= Duration::from_millis(5));

        let ready =
            Stamp { waited: began.waited + Duration::from_secs(3), at: began.at + Duration::from_secs(4) };
        assert_eq!(ready.since(began), Duration::from_secs(1));
    }
}
