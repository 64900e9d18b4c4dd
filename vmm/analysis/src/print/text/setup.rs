//! What is summed up rather than dumped: devices, their addresses, configuration accesses.

use std::collections::HashMap;

use barscope_device::{Region, Space};
use barscope_trace::definition::{Function, Route};
use barscope_trace::event::Id;
use barscope_trace::units;

use crate::table::wrap;
use crate::view::{BusAddress, View};
use crate::words;

/// Where BARs are, and configuration accesses that no line was printed about yet.
#[derive(Default)]
pub(super) struct Setup {
    /// Where regions are decoded now.
    decoded: HashMap<(Id, Region), u64>,
    ports: u64,
    ecam: u64,
}

impl Setup {
    /// Counts a configuration access.
    pub(super) fn count(&mut self, view: &View) {
        match view.access().map(|access| access.address()) {
            Some(BusAddress::Port(_)) => self.ports += 1,
            Some(BusAddress::Memory(_)) => self.ecam += 1,
            None => (),
        }
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

    /// Whether configuration accesses wait to be told.
    pub(super) fn is_pending(&self) -> bool {
        self.ports + self.ecam > 0
    }

    /// The line about configuration accesses since the last one.
    pub(super) fn take_line(&mut self) -> Option<String> {
        let (ports, ecam) = (std::mem::take(&mut self.ports), std::mem::take(&mut self.ecam));
        let ways = [("CF8/CFC", ports), ("ECAM", ecam)]
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|(way, count)| format!("{way} {}", words::number(*count)))
            .collect::<Vec<_>>()
            .join(", ");
        let accesses = words::counted(ports + ecam, "configuration access", "configuration accesses");
        (ports + ecam > 0).then(|| format!("       {accesses} ({ways})"))
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
