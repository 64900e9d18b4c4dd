//! What an event means for a clause.

use barscope_trace::event::EventKind;

use super::evidence::Evidence;
use crate::view::View;

/// What an event means for a clause, for certain.
#[derive(Debug)]
pub(super) enum Turn {
    /// It is broken, whatever else happened or happens.
    Broken(Evidence),
    /// It holds in this occurrence, whatever else happened or happens.
    Held,
    /// The event may be one that the clause is about: nobody knows what it is.
    Doubt(String),
}

/// Why an event that may be one that the clause is about leaves it open.
pub(super) fn unclear(view: &View) -> String {
    match view.kind {
        EventKind::NotEmulated { .. } => {
            format!(
                "record {} is an instruction that KVM couldn't emulate: what it would have done isn't known",
                view.seq
            )
        }
        _ => format!("record {} may be one of these: not all is known of it", view.seq),
    }
}
