//! Where a trace says that a region was.

use barscope_analysis::Trace;
use barscope_trace::EventKind;
use barscope_trace::event::RouteChange;

/// Where `region` (like `BAR0`) of `device` was decoded, one base address after the other; `None` where
/// another route was in its way.
pub fn bases(trace: &Trace, device: &str, region: &str) -> Vec<Option<u64>> {
    let changes =
        trace.views().all().iter().filter_map(|view| match (view.kind, view.function(), view.route()) {
            (EventKind::Route { change, .. }, Some(function), Some(route))
                if function.name == device && route.region.to_string() == region =>
            {
                Some((route.base, change))
            }
            _ => None,
        });
    changes
        .filter_map(|(base, change)| match change {
            RouteChange::Added => Some(Some(base)),
            RouteChange::Refused => Some(None),
            RouteChange::Removed => None,
        })
        .collect()
}
