//! What the header page says of a trace as a whole: its clock, and its end.

/// What the device clock of a trace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Each access advances it by a fixed step, and it jumps to the next deadline when the guest is
    /// idle: equal runs give equal traces.
    Virtual,
    /// The host's monotonic clock.
    Host,
}

impl Clock {
    pub(crate) fn code(self) -> u64 {
        match self {
            Clock::Virtual => 1,
            Clock::Host => 2,
        }
    }

    pub(crate) fn from_code(code: u64) -> Option<Self> {
        match code {
            1 => Some(Clock::Virtual),
            2 => Some(Clock::Host),
            _ => None,
        }
    }

    /// How people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Clock::Virtual => "virtual",
            Clock::Host => "host",
        }
    }
}

/// How a trace ended. The texts are one line for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The guest was done.
    Finished,
    /// Somebody stopped it: Ctrl-C, a time limit.
    Interrupted(String),
    /// It could not go on: the guest or the host failed.
    Failed(String),
}

impl End {
    pub(crate) fn code(&self) -> u64 {
        match self {
            End::Finished => 2,
            End::Interrupted(_) => 3,
            End::Failed(_) => 4,
        }
    }

    pub(crate) fn from_code(code: u64, reason: String) -> Option<Self> {
        match code {
            2 => Some(End::Finished),
            3 => Some(End::Interrupted(reason)),
            4 => Some(End::Failed(reason)),
            _ => None,
        }
    }

    /// The name of the way it ended.
    pub fn name(&self) -> &'static str {
        match self {
            End::Finished => "finished",
            End::Interrupted(_) => "interrupted",
            End::Failed(_) => "failed",
        }
    }

    /// Why it ended early; empty for a finished trace.
    pub fn reason(&self) -> &str {
        match self {
            End::Finished => "",
            End::Interrupted(reason) | End::Failed(reason) => reason,
        }
    }

    /// The same, for keeps.
    pub(crate) fn into_reason(self) -> String {
        match self {
            End::Finished => String::new(),
            End::Interrupted(reason) | End::Failed(reason) => reason,
        }
    }
}
