//! Message-signalled interrupts between their delivery and their handler.

use super::Raised;

/// Logical destination mode, in a message's address.
const LOGICAL: u64 = 1 << 2;
/// Delivery modes, in a message's data.
const FIXED: u32 = 0;
const LOWEST_PRIORITY: u32 = 1;
/// Physical destination of all local APICs.
const BROADCAST: u8 = 0xff;
/// No number of gaps.
const NEVER: u64 = u64::MAX;

/// Where a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Destination {
    One(u8),
    All,
    /// To one of several, or to those that have a logical id, which the trace doesn't know.
    Any,
}

impl Destination {
    /// Where a message goes that has a vector; `None` if it has none.
    pub(super) fn new(address: u64, data: u32) -> Option<Self> {
        let mode = data >> 8 & 7;
        if mode != FIXED && mode != LOWEST_PRIORITY {
            return None;
        }
        // Also with a redirection hint, a physical destination is that one.
        Some(match (address >> 12) as u8 {
            _ if address & LOGICAL != 0 => Self::Any,
            BROADCAST if mode == LOWEST_PRIORITY => Self::Any,
            BROADCAST => Self::All,
            vcpu => Self::One(vcpu),
        })
    }
}

/// What is pending of one vector.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pending {
    first: Option<Raised>,
    /// The first that came while `first` was pending: it coalesced, or came when the handler had begun.
    second: Option<Raised>,
    /// How many gaps there had been when `first` and `second` were last known.
    first_known: u64,
    second_known: u64,
}

impl Pending {
    pub(super) fn deliver(&mut self, raised: Raised, gaps: u64) {
        if self.first.is_some() {
            self.second.get_or_insert(raised);
            return;
        }
        self.first = Some(raised);
        self.second = None;
        if self.first_known == gaps {
            self.second_known = gaps;
        }
    }

    /// What a handler that begins answers, and whether that is certain.
    pub(super) fn take(&mut self, gaps: u64) -> (Option<Raised>, bool) {
        if self.first_known != gaps {
            self.first_known = gaps;
            return (self.first.take().or_else(|| self.second.take()), false);
        }
        if self.first.is_some() {
            return (self.first.take(), true);
        }
        let certain = std::mem::replace(&mut self.second_known, gaps) == gaps;
        (self.second.take(), certain)
    }

    /// A handler began that may or may not have taken something.
    pub(super) fn doubt(&mut self, gaps: u64) {
        let known = self.first_known == gaps && self.second_known == gaps;
        if !known || self.first.is_some() || self.second.is_some() {
            (self.first_known, self.second_known) = (NEVER, NEVER);
        }
    }
}
