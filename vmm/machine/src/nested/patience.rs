//! How long the virtual machine is waited for.

use std::time::{Duration, Instant};

/// How long the machine may take to boot: five seconds where nothing else runs.
pub const BOOT: Duration = Duration::from_secs(180);
/// How long the machine may say nothing, which says every second that it runs.
pub const SILENCE: Duration = Duration::from_secs(30);
/// How long a command may take beyond its own time limit, to begin and to end.
pub const BEYOND: Duration = Duration::from_secs(30);
/// How long a command that has got a signal may show no sign of ending.
const LEAVE: Duration = Duration::from_secs(1);
/// How long it may take to end in all, while the rest of its trace arrives.
const LEAVE_IN_ALL: Duration = Duration::from_secs(5);

/// What the machine has done so far.
pub struct Patience {
    /// The command's own time limit.
    limit: Option<Duration>,
    began: Instant,
    started: Option<Instant>,
    /// When the machine was heard of last.
    heard: Instant,
    /// When the command said or made something last.
    moved: Instant,
    signalled: Option<Instant>,
}

/// Why it isn't waited for any longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// It doesn't come up.
    Boot,
    /// It hangs.
    Silent,
    /// The command is past its time limit.
    Late,
    /// The command doesn't end though it was told to.
    Stays,
}

impl Patience {
    /// With a machine that begins to boot `now`, for a command with this time limit.
    pub fn new(limit: Option<Duration>, now: Instant) -> Self {
        Self { limit, began: now, started: None, heard: now, moved: now, signalled: None }
    }

    /// The command has started.
    pub fn started(&mut self, now: Instant) {
        self.started = Some(now);
    }

    /// Whether the command has started.
    pub fn has_started(&self) -> bool {
        self.started.is_some()
    }

    /// The machine was heard of, or it wasn't listened to. `moved` if the command said or made something.
    pub fn heard(&mut self, moved: bool, now: Instant) {
        self.heard = now;
        if moved {
            self.moved = now;
        }
    }

    /// The command is to end; `false` if it was told so before.
    pub fn signalled(&mut self, now: Instant) -> bool {
        self.signalled.replace(now).is_none()
    }

    /// Whether it was waited for long enough.
    pub fn over(&self, now: Instant) -> Option<Over> {
        let past = |since: Instant, limit: Duration| now.saturating_duration_since(since) > limit;
        if let Some(signalled) = self.signalled
            && (past(self.moved.max(signalled), LEAVE) || past(signalled, LEAVE_IN_ALL))
        {
            return Some(Over::Stays);
        }
        let Some(started) = self.started else { return past(self.began, BOOT).then_some(Over::Boot) };
        if self.limit.is_some_and(|limit| past(started, limit.saturating_add(BEYOND))) {
            return Some(Over::Late);
        }
        past(self.heard, SILENCE).then_some(Over::Silent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(began: Instant, seconds: f64) -> Instant {
        began + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_machine_has_three_minutes_to_boot_in_silence() {
        let began = Instant::now();
        let patience = Patience::new(Some(Duration::from_secs(1)), began);
        assert_eq!(patience.over(at(began, 179.0)), None);
        assert_eq!(patience.over(at(began, 181.0)), Some(Over::Boot));
    }

    #[test]
    fn a_command_may_be_late_by_half_a_minute_whatever_it_prints() {
        let began = Instant::now();
        let mut patience = Patience::new(Some(Duration::from_secs(60)), began);
        patience.started(at(began, 10.0));
        patience.heard(true, at(began, 99.0));
        assert_eq!(patience.over(at(began, 99.0)), None);
        patience.heard(true, at(began, 101.0));
        assert_eq!(patience.over(at(began, 101.0)), Some(Over::Late));
    }

    #[test]
    fn a_machine_that_says_nothing_for_half_a_minute_hangs() {
        let began = Instant::now();
        let mut patience = Patience::new(None, began);
        patience.started(at(began, 5.0));
        for second in 5..1000 {
            patience.heard(false, at(began, second.into()));
        }
        assert_eq!(patience.over(at(began, 1028.0)), None);
        assert_eq!(patience.over(at(began, 1030.0)), Some(Over::Silent));
    }

    #[test]
    fn after_a_signal_a_command_has_a_second_and_five_if_it_is_ending() {
        let began = Instant::now();
        let mut patience = Patience::new(None, began);
        patience.started(began);
        assert!(patience.signalled(at(began, 10.0)));
        patience.heard(false, at(began, 11.0));
        assert_eq!(patience.over(at(began, 10.9)), None);
        assert_eq!(patience.over(at(began, 11.1)), Some(Over::Stays));
        for tenth in 100..160 {
            patience.heard(true, at(began, f64::from(tenth) / 10.0));
        }
        assert_eq!(patience.over(at(began, 14.9)), None);
        assert_eq!(patience.over(at(began, 15.1)), Some(Over::Stays));
        assert!(!patience.signalled(at(began, 15.2)));
    }
}
