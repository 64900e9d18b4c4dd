//! What is summed up rather than dumped: devices, their addresses, accesses to configuration space and MSI-X tables.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use barscope_device::{Region, Space, is_msix_register};
use barscope_trace::definition::{Function, Route};
use barscope_trace::event::{Id, Outcome};
use barscope_trace::units;

use crate::table::wrap;
use crate::view::{AccessView, BusAddress};
use crate::words;

/// Where BARs are, and accesses that set devices up of which no line was printed yet.
#[derive(Default)]
pub(super) struct Setup {
    /// Where regions are decoded now.
    decoded: HashMap<(Id, Region), u64>,
    ports: u64,
    ecam: u64,
    msix: u64,
    /// Regions of which some were summed up, as a filter names them.
    folded: BTreeSet<Region>,
}

/// Whether an access is summed up with others like it: to configuration space, or to an MSI-X table, unless that refused
/// it.
pub(super) fn is_setup(access: AccessView<'_>) -> bool {
    access.is_configuration() || is_msix(access)
}

fn is_msix(access: AccessView<'_>) -> bool {
    let Some(place) = access.place().filter(|place| !place.is_configuration()) else { return false };
    let has = place.function.as_ref().is_some_and(|function| function.msix_vectors > 0);
    let named = || place.register().is_some_and(|register| is_msix_register(&register.name));
    has && access.outcome == Outcome::Ok && named()
}

impl Setup {
    /// Counts an access that is summed up.
    pub(super) fn count(&mut self, access: AccessView<'_>) {
        self.folded.extend(access.place().map(|place| place.region));
        match access.address() {
            _ if !access.is_configuration() => self.msix += 1,
            BusAddress::Port(_) => self.ports += 1,
            BusAddress::Memory(_) => self.ecam += 1,
        }
    }

    /// How to see what was summed up of the trace in this file; `None` if that is nothing but configuration accesses,
    /// which everybody knows of.
    pub(super) fn unfold(&self, trace: &Path) -> Option<String> {
        self.folded.iter().any(|region| *region != Region::Config).then(|| {
            let regions: Vec<_> = self.folded.iter().map(|region| format!("access {region}")).collect();
            format!("unfold: barscope show {} \"{}\"", trace.display(), regions.join(" or "))
        })
    }

    /// A route appeared, or went away.
    pub(super) fn reroute(&mut self, route: &Route, added: bool) {
        let Some(function) = route.function else { return };
        if added {
            self.decoded.insert((function, route.region), route.base);
        } else {
            self.decoded.remove(&(function, route.region));
        }
    }

    /// Whether accesses wait to be told.
    pub(super) fn is_pending(&self) -> bool {
        self.ports + self.ecam + self.msix > 0
    }

    /// The line about accesses since the last one.
    pub(super) fn take_line(&mut self) -> Option<String> {
        let (ports, ecam) = (std::mem::take(&mut self.ports), std::mem::take(&mut self.ecam));
        let ways = [("CF8/CFC", ports), ("ECAM", ecam)]
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(way, count)| format!("{way} {}", words::number(*count)))
            .collect::<Vec<_>>()
            .join(", ");
        let accesses = words::counted(ports + ecam, "configuration access", "configuration accesses");
        let configuration = (ports + ecam > 0).then(|| format!("{accesses} ({ways})"));
        let msix = std::mem::take(&mut self.msix);
        let of_tables = words::counted(msix, "access to MSI-X tables", "accesses to MSI-X tables");
        let parts: Vec<_> = configuration.into_iter().chain((msix > 0).then_some(of_tables)).collect();
        (!parts.is_empty()).then(|| format!("       {}", parts.join(", ")))
    }

    /// The lines about a device.
    pub(super) fn device_lines(&self, id: Id, function: &Function, width: usize) -> Vec<String> {
        let head =
            format!("{}  {:04x}:{:04x} {}", function.bdf, function.vendor, function.device, function.name);
        let mut items = function
            .bars
            .iter()
            .map(|bar| {
                let region = Region::Bar(bar.index);
                let at = match self.decoded.get(&(id, region)) {
                    Some(base) => format!(" @ {base:#x}"),
                    None => " off".to_owned(),
                };
                let kind = match (bar.space, bar.prefetchable) {
                    (Space::Io, _) => " I/O",
                    (Space::Memory, true) => " pref",
                    (Space::Memory, false) => "",
                };
                format!("{region} {}{at}{kind}", units::size(bar.size))
            })
            .collect::<Vec<_>>();
        if function.msi_vectors > 0 {
            items.push("MSI".to_owned());
        }
        if function.msix_vectors > 0 {
            items.push("MSI-X".to_owned());
        }
        let items = if items.is_empty() { vec![String::new()] } else { items };
        wrap(&format!("{head}  "), 9, &items, width)
    }
}
