//! What a lint is made of.

use barscope_trace::Capability;

use super::about::About;
use super::finding::Found;
use super::touch::Touch;
use crate::view::View;

/// A lint at work: it takes records one by one, in memory that doesn't grow with their number.
pub(super) trait Rule {
    /// It in words.
    fn about(&self) -> &'static About;

    /// What a trace has to tell. Where it doesn't, the lint judges nothing.
    fn needs(&self) -> &'static [Capability] {
        &[]
    }

    /// Takes an access.
    fn access(&mut self, _: &Touch<'_>, _: &mut Found<'_>) {}

    /// Takes any other record.
    fn event(&mut self, _: &View, _: &mut Found<'_>) {}

    /// Records are missing before the one that comes next: what they may have changed is no longer known.
    fn lose(&mut self) {}
}
