//! What KVM served without telling: nothing can be said of accesses there.

use device_model::{Bdf, Region};

use super::pattern::Pattern;
use crate::event::{Backing, RouteChange};
use crate::view::{View, What};

/// The region of a function.
type Place = (Option<Bdf>, Region);

/// A region that one of `patterns` asks about and whose accesses were not all seen between the views
/// `first` and `end`, in words.
pub(super) fn unseen(views: &[View], first: usize, end: usize, patterns: &[Pattern]) -> Option<String> {
    let mut hidden: Vec<(Place, Backing)> = Vec::new();
    for (at, view) in views[..end].iter().enumerate() {
        if at >= first
            && let Some(words) = asked_about(&hidden, patterns)
        {
            return Some(words);
        }
        let Some((place, backing)) = change(view) else { continue };
        hidden.retain(|(known, _)| *known != place);
        if backing != Backing::Trapped {
            hidden.push((place, backing));
        }
    }
    asked_about(&hidden, patterns)
}

fn asked_about(hidden: &[(Place, Backing)], patterns: &[Pattern]) -> Option<String> {
    let asked =
        |((_, region), _): &&(Place, Backing)| patterns.iter().any(|pattern| pattern.asks_about(*region));
    let ((_, region), backing) = hidden.iter().find(asked)?;
    Some(match backing {
        Backing::Direct => format!("{region} was mapped directly: accesses to it are not seen"),
        Backing::Doorbell => {
            format!("doorbells in {region} were taken by KVM: writes to it are only counted")
        }
        Backing::Coalesced => {
            format!("writes to {region} were coalesced: nobody knows when and by whom they were made")
        }
        Backing::Trapped => return None,
    })
}

/// How accesses to a region are served from this event on.
fn change(view: &View) -> Option<(Place, Backing)> {
    let (route, backing) = match &view.what {
        What::Backing { route: Some(route), backing, .. } => (route, *backing),
        What::Route { route: Some(route), change: RouteChange::Removed, .. } => (route, Backing::Trapped),
        _ => return None,
    };
    Some(((view.function().map(|function| function.bdf), route.region), backing))
}
