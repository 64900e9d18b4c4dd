//! Records that are missing between others.

use barscope_analysis::view::View;
use barscope_trace::TraceInfo;

/// Counts the records that are missing, by the sequence numbers of the others.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    last: Option<u64>,
    counted: u64,
}

impl Gaps {
    /// Takes note of a record; how many are missing between it and the one before. Before the first one none are: an
    /// export may begin anywhere.
    pub(crate) fn before(&mut self, view: &View) -> u64 {
        let missing = self.last.map_or(0, |last| view.seq.saturating_sub(last + 1));
        self.last = Some(view.seq);
        self.counted += missing;
        missing
    }

    /// How many are missing that no gap told of: before the first record, and after the last one.
    pub(crate) fn at_end(&self, info: &TraceInfo<'_>) -> u64 {
        info.lost.saturating_sub(self.counted)
    }
}
