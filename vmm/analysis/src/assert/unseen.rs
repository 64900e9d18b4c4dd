//! What KVM served without telling: nothing can be said of accesses there.

use barscope_device::{BarIndex, Bdf, Region};
use barscope_trace::event::{Backing, EventKind, RouteChange};
use barscope_trace::{Capabilities, Capability, Definitions};

use crate::filter::{Compiled, Hidden};
use crate::view::View;

/// The region of a function.
type Place = (Option<Bdf>, Region);

/// How accesses to a region are served.
#[derive(Clone, Copy, Debug)]
enum Served {
    By(Backing),
    /// Nobody knows, since records are missing.
    Unknown,
}

/// The regions whose accesses are not all seen now.
#[derive(Debug, Default)]
pub(super) struct Unseen {
    hidden: Vec<(Place, Served)>,
    /// What whoever wrote the trace never saw.
    untold: Vec<Capability>,
}

impl Unseen {
    /// Of a trace that tells this.
    pub(super) fn of(capabilities: &Capabilities) -> Self {
        let untold = [Capability::ProgramAccesses, Capability::Configuration];
        let untold = untold.into_iter().filter(|capability| !capabilities.tells(*capability)).collect();
        Self { hidden: Vec::new(), untold }
    }

    /// Whether something is never seen.
    pub(super) fn is_blind(&self) -> bool {
        !self.untold.is_empty()
    }

    /// Takes notice of an event; whether it changed how something is served.
    pub(super) fn notice(&mut self, view: &View) -> bool {
        let Some((place, backing)) = change(view) else { return false };
        self.hidden.retain(|(known, _)| *known != place);
        if backing != Backing::Trapped {
            self.hidden.push((place, Served::By(backing)));
        }
        true
    }

    /// Records are missing: any region that can be served otherwise may be by now.
    pub(super) fn lose(&mut self, definitions: &Definitions) {
        for (_, function) in definitions.functions() {
            for region in &function.untrapped {
                let place = (Some(function.bdf), *region);
                self.hidden.retain(|(known, _)| *known != place);
                self.hidden.push((place, Served::Unknown));
            }
        }
    }

    /// A region whose accesses are not all seen now and may be like one of `filters`, in words.
    pub(super) fn asked_about(&self, filters: &[&Compiled]) -> Option<String> {
        let may_be = |((bdf, region), served): &&(Place, Served)| {
            let hidden = Hidden {
                bdf: *bdf,
                region: *region,
                reads: matches!(served, Served::By(Backing::Direct) | Served::Unknown),
                cpl: None,
            };
            filters.iter().any(|filter| filter.may_match_hidden(&hidden))
        };
        let never = || {
            let may_be = |capability: &&Capability| {
                hidden_by(**capability)
                    .any(|hidden| filters.iter().any(|filter| filter.may_match_hidden(&hidden)))
            };
            self.untold.iter().find(may_be).map(|capability| never_seen(*capability))
        };
        self.hidden.iter().find(may_be).and_then(told).or_else(never)
    }

    /// The first region whose accesses are not all seen, in words.
    pub(super) fn any(&self) -> Option<String> {
        let never = || self.untold.first().map(|capability| never_seen(*capability));
        self.hidden.first().and_then(told).or_else(never)
    }
}

/// Accesses that a trace lacks which doesn't tell this.
fn hidden_by(capability: Capability) -> impl Iterator<Item = Hidden> {
    let bars = (0..6).filter_map(BarIndex::new).map(Region::Bar).chain([Region::Rom]);
    let of_programs = capability == Capability::ProgramAccesses;
    let programs = bars.filter(move |_| of_programs).map(|region| (region, Some(3)));
    let configuration = (capability == Capability::Configuration).then_some((Region::Config, None));
    let all = programs.chain(configuration);
    all.map(|(region, cpl)| Hidden { bdf: None, region, reads: true, cpl })
}

fn never_seen(capability: Capability) -> String {
    format!("this trace doesn't tell {}; {}", capability.about(), capability.how_to_get())
}

fn told(((_, region), served): &(Place, Served)) -> Option<String> {
    let Served::By(backing) = served else {
        return Some(format!(
            "after lost records {region} may be mapped directly: accesses to it may not be seen"
        ));
    };
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
    let backing = match view.kind {
        EventKind::Backing { backing, .. } => backing,
        EventKind::Route { change: RouteChange::Removed, .. } => Backing::Trapped,
        _ => return None,
    };
    let route = view.route()?;
    Some(((view.function().map(|function| function.bdf), route.region), backing))
}
