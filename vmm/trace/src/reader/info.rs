//! What is known of a trace besides its events.

use std::path::Path;

use super::Damage;
use crate::capability::Capabilities;
use crate::definitions::Definitions;
use crate::format::{Clock, End};

/// What is known of a trace besides its events, as far as it was read.
#[derive(Clone, Copy, Debug)]
pub struct TraceInfo<'a> {
    /// The file's path, or a name for what is no file.
    pub path: &'a Path,
    /// Everything that was defined.
    pub definitions: &'a Definitions,
    /// The device clock's kind.
    pub clock: Clock,
    /// How it ended; `None` if it is still being written, if its writer was killed, if its header is damaged, and
    /// before a [`Tail`](super::Tail) returned the last event.
    pub end: Option<&'a End>,
    /// Number of events that are missing among those read: gaps in the sequence, and at the end what was announced but
    /// never came.
    pub lost: u64,
    /// Parts of the file that can't be trusted.
    pub damage: &'a [Damage],
    /// What the trace can tell, as far as the guest said so.
    pub capabilities: Capabilities,
    /// Number of records and definitions that were skipped because this program doesn't know their kinds: a later one
    /// wrote them. They aren't lost.
    pub unknown_kinds: u64,
}
