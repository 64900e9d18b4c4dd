//! What KVM served without telling: nothing can be said of accesses there.

use device_model::{Bdf, Region};

use crate::event::{Backing, RouteChange};
use crate::filter::Compiled;
use crate::view::{View, What};

/// The region of a function.
type Place = (Option<Bdf>, Region);

/// The regions whose accesses are not all seen now.
#[derive(Debug, Default)]
pub(super) struct Unseen {
    hidden: Vec<(Place, Backing)>,
}

impl Unseen {
    /// Takes notice of an event; whether it changed how something is served.
    pub(super) fn notice(&mut self, view: &View) -> bool {
        let Some((place, backing)) = change(view) else { return false };
        self.hidden.retain(|(known, _)| *known != place);
        if backing != Backing::Trapped {
            self.hidden.push((place, backing));
        }
        true
    }

    /// A region that one of `filters` asks about and whose accesses are not all seen now, in words.
    pub(super) fn asked_about(&self, filters: &[&Compiled]) -> Option<String> {
        let asked =
            |((_, region), _): &&(Place, Backing)| filters.iter().any(|filter| filter.asks_about(*region));
        let ((_, region), backing) = self.hidden.iter().find(asked)?;
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
