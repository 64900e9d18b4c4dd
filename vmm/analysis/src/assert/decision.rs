//! What clauses come to.

use super::evidence::Evidence;
use super::suite::Location;

/// What a clause comes to at the end of an occurrence.
#[derive(Debug)]
pub(super) enum Finish {
    /// It holds, whatever else happened.
    Held,
    /// It holds, unless something happened that the trace doesn't show.
    Holds,
    /// It is broken, unless something happened that the trace doesn't show.
    Lacks(Evidence),
    /// It is broken, whatever else happened.
    Broken(Evidence),
    /// Nobody can tell, for this reason.
    Open(String),
}

/// A clause, decided.
pub(super) struct Decided {
    pub(super) test: String,
    pub(super) clause: String,
    pub(super) window: String,
    pub(super) location: Option<Location>,
    pub(super) result: Decision,
}

/// What a clause came to.
pub(super) enum Decision {
    Pass,
    /// The record that decided it comes with it: the one that broke it, or that closed the window. None if
    /// that was the end of the trace.
    Fail(Evidence, Option<u64>),
    Inconclusive(String),
}
