//! The handlers that a vCPU is in.

use super::Raised;

/// The most handlers that a vCPU is followed into: a guest may begin some and never end them.
pub(crate) const DEEPEST: usize = 256;

/// An interrupt handler that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handler {
    pub(crate) vector: u8,
    /// What it answers, if that is known.
    pub(crate) answers: Option<Raised>,
    /// Another handler answered it before: the pin was still asserted.
    pub(crate) again: bool,
    /// Whether that is what it answers.
    pub(crate) certain: bool,
}

impl Handler {
    /// The access that led to its interrupt.
    pub(crate) fn caused_by(&self) -> Option<u64> {
        self.answers.map(|raised| raised.cause).filter(|cause| *cause != 0)
    }
}

/// The innermost handler that a vCPU is in.
#[derive(Clone, Copy)]
pub(crate) struct Innermost<'a> {
    /// `None` if it is in none.
    pub(crate) handler: Option<&'a Handler>,
    /// Whether it is in one, or in none, for certain.
    pub(crate) certain: bool,
    /// Whether what led to it is certain as well.
    pub(crate) cause_certain: bool,
}

/// Handlers on a vCPU, the innermost last.
#[derive(Clone, Default)]
pub(super) struct Handlers {
    list: Vec<Handler>,
    /// Those before this one began before the last gap: whether they run isn't known.
    known_from: usize,
    /// There was a gap since the vCPU was in none.
    open: bool,
    /// How many gaps there had been when `known_from` and `open` were last brought up to date.
    gaps: u64,
}

impl Handlers {
    fn update(&mut self, gaps: u64) {
        if self.gaps != gaps {
            self.gaps = gaps;
            self.open = true;
            self.known_from = self.list.len();
        }
    }

    /// The vCPU is in none.
    pub(super) fn none(&mut self, gaps: u64) {
        self.list.clear();
        (self.known_from, self.open, self.gaps) = (0, false, gaps);
    }

    pub(super) fn enter(&mut self, handler: Handler, gaps: u64) {
        self.update(gaps);
        if self.list.len() == DEEPEST {
            self.list.remove(0);
            self.known_from = self.known_from.saturating_sub(1);
        }
        self.list.push(handler);
    }

    /// The innermost handler of `vector` ends, and with it those within.
    pub(super) fn exit(&mut self, vector: u8, gaps: u64) {
        self.update(gaps);
        let entered = self.list.iter().rposition(|known| known.vector == vector);
        if self.open && entered.is_none_or(|entered| entered < self.known_from) {
            // One that began before the gap, or in it, may have ended, with all that are known.
            self.known_from = self.list.len();
        }
        if let Some(entered) = entered {
            self.list.truncate(entered);
            self.known_from = self.known_from.min(entered);
        }
    }

    pub(super) fn innermost(&self, gaps: u64) -> Innermost<'_> {
        let handler = self.list.last();
        let (certain, cause_certain) = match handler {
            _ if self.gaps != gaps => (false, false),
            Some(handler) if self.list.len() > self.known_from => (true, handler.certain),
            Some(handler) => (!self.open, !self.open && handler.certain),
            None => (!self.open, !self.open),
        };
        Innermost { handler, certain, cause_certain }
    }

    pub(super) fn depth(&self) -> usize {
        self.list.len()
    }
}
