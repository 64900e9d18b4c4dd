//! How long ids that were looked up before are good.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the changes of what decides about an access's ids: mappings, processes, images, modules. What a vCPU has
/// looked up is good as long as it stands still.
///
/// It advances with the definitions locked. Whoever looks ids up under that lock and keeps them with the epoch that it
/// finds there, has those of this epoch; whoever learns of a change from another thread finds another one.
#[derive(Clone, Default)]
pub struct Epoch(Arc<Line>);

/// Nothing that is written more often shares its cache lines: every access reads it.
#[derive(Default)]
#[repr(align(128))]
struct Line(AtomicU64);

impl Epoch {
    /// The number of changes so far.
    pub fn now(&self) -> u64 {
        self.0.0.load(Ordering::Acquire)
    }

    /// Something changed.
    pub(super) fn advance(&self) {
        self.0.0.fetch_add(1, Ordering::Release);
    }
}
