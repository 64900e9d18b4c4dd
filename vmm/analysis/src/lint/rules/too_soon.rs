//! Accesses to functions that may not be ready yet after a reset or a change of power.

use std::collections::BTreeMap;

use barscope_device::{Bdf, Region};
use barscope_trace::Capability;
use barscope_trace::event::Outcome;

use super::decode_off::absent_place;
use crate::lint::about::{About, Class};
use crate::lint::finding::{Found, Site, register};
use crate::lint::rule::Rule;
use crate::lint::touch::Touch;
use crate::view::{Place, View};

static ABOUT: About = About {
    name: "too-soon",
    class: Class::Likely,
    title: "Access before the function has had its time after a reset or a change of power",
    looks_for: "the first access to a function, if it comes less than 100 ms after a Function Level Reset (Initiate \
                FLR of Device Control, or of AF Control), or less than 10 ms after it went from D3hot to D0 or from D0 \
                to D3hot, by the host's clock and by the device's, whichever says more. Silent about reads by which \
                drivers wait: of Vendor ID, Command and Status, of Device Status, AF Status and of the power \
                management control. Silent about BARs in D3hot, which are asleep's, where records are missing since, \
                and where the trace doesn't tell the time.",
    why: "Until then a function need not answer, or may answer anything, and what is written is lost (PCI Express Base \
          5.0, sections 6.6.2 and 5.9). An emulated device is ready at once, so that nobody notices before the driver \
          meets a real one.",
    bug: "Intel's DC P3700 isn't ready even after those 100 ms: Linux waits for 250 (delay_250ms_after_flr in \
          quirks.c).",
    example: "
pci_write_config_word(pdev, exp + PCI_EXP_DEVCTL, control | PCI_EXP_DEVCTL_BCR_FLR);
pci_restore_state(pdev);                        /* wrong */

pcie_flr(pdev);                                 /* right: it waits */
pci_restore_state(pdev);
",
    advice: "wait for 100 ms after a reset and for 10 ms after a change of power (pcie_flr and pci_set_power_state do)",
    shown_by: "barscope poke lab write CONFIG.PCIE_DEVICE_CONTROL {INITIATE_FLR=1} write CONFIG.COMMAND 2 --trace t",
};

/// So many functions are followed.
const MOST: usize = 256;
const MILLISECOND: u64 = 1_000_000;
const RESET_NS: u64 = 100 * MILLISECOND;
const POWER_NS: u64 = 10 * MILLISECOND;
const D0: u8 = 0;
const D3_HOT: u8 = 3;
/// The bit for a reset in the upper byte of Device Control, and in AF Control.
const INITIATE_RESET: u8 = 1 << 7;
const INITIATE_AF_RESET: u8 = 1;
/// Vendor and device, Command and Status.
const READY_BELOW: u64 = 8;

#[derive(Default)]
pub(super) struct TooSoon {
    /// Functions that may not be ready.
    until: BTreeMap<Bdf, Change>,
    power: BTreeMap<Bdf, u8>,
}

/// What happened to a function.
#[derive(Clone, Copy)]
struct Change {
    seq: u64,
    host_ns: u64,
    device_ns: u64,
    takes_ns: u64,
    what: &'static str,
}

impl Rule for TooSoon {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn needs(&self) -> &'static [Capability] {
        &[Capability::Configuration]
    }

    fn access(&mut self, touch: &Touch<'_>, found: &mut Found<'_>) {
        let view = touch.access.view;
        if touch.access.coalesced {
            return;
        }
        if !self.until.is_empty() {
            self.judge(touch, found);
        }
        let Some(place) = touch.configuration().filter(|_| touch.access.outcome == Outcome::Ok) else {
            return;
        };
        let Some(bdf) = place.bdf else { return };
        let power = byte(touch, "PM_CONTROL", 0).map(|control| control & 3);
        let before = self.power.get(&bdf).copied();
        if let Some(power) = power
            && (self.power.len() < MOST || before.is_some())
        {
            self.power.insert(bdf, power);
        }
        if !touch.access.write {
            return;
        }
        let resets = byte(touch, "PCIE_DEVICE_CONTROL", 1).is_some_and(|high| high & INITIATE_RESET != 0)
            || byte(touch, "AF_CONTROL", 0).is_some_and(|control| control & INITIATE_AF_RESET != 0);
        let (takes_ns, what) = match (before, power) {
            _ if resets => (RESET_NS, "its reset"),
            (Some(D3_HOT), Some(D0)) => (POWER_NS, "it left D3hot"),
            (Some(D0), Some(D3_HOT)) => (POWER_NS, "it went to D3hot"),
            _ => return,
        };
        if resets {
            self.power.insert(bdf, D0);
        }
        if self.until.len() < MOST && view.host_ns != 0 {
            let (host_ns, device_ns) = (view.host_ns, view.device_ns);
            self.until.insert(bdf, Change { seq: view.seq, host_ns, device_ns, takes_ns, what });
        }
    }

    fn lose(&mut self) {
        self.until.clear();
        self.power.clear();
    }
}

impl TooSoon {
    fn judge(&mut self, touch: &Touch<'_>, found: &mut Found<'_>) {
        let absent = || Some(absent_place(touch, touch.access.absent()?)?.0);
        let Some(place) = touch.place.cloned().or_else(absent) else { return };
        let Some((bdf, change)) = place.bdf.and_then(|bdf| Some((bdf, *self.until.get(&bdf)?))) else {
            return;
        };
        let view = touch.access.view;
        let passed = change.passed(view);
        if passed >= change.takes_ns {
            self.until.remove(&bdf);
            return;
        }
        let asleep = place.region != Region::Config && self.power.get(&bdf) == Some(&D3_HOT);
        if asleep || !touch.access.write && tells_readiness(&place) {
            return;
        }
        // What follows it comes too soon as well, by the same mistake.
        self.until.remove(&bdf);
        let verb = if touch.access.write { "written" } else { "read" };
        found.by(&ABOUT, Site::of(&touch.access), (&place, view.seq), || {
            format!(
                "{} is {verb} {:.1} ms after {} (record {}), which takes {} ms.",
                register(&place),
                passed as f64 / MILLISECOND as f64,
                change.what,
                change.seq,
                change.takes_ns / MILLISECOND
            )
        });
    }
}

impl Change {
    /// Time that has passed since, in nanoseconds. A guest may wait by either clock.
    fn passed(&self, view: &View) -> u64 {
        let host = view.host_ns.saturating_sub(self.host_ns);
        host.max(view.device_ns.saturating_sub(self.device_ns))
    }
}

/// Whether a read of that is how drivers wait.
fn tells_readiness(place: &Place) -> bool {
    let named = |names: &[&str]| place.register().is_some_and(|it| names.contains(&&*it.name));
    place.region == Region::Config
        && (place.offset < READY_BELOW
            || named(&["PM_CONTROL", "PCIE_DEVICE_CONTROL", "PCIE_DEVICE_STATUS", "AF_CONTROL", "AF_STATUS"]))
}

/// The byte of this register that an access to configuration space reaches.
fn byte(touch: &Touch<'_>, name: &str, at: u64) -> Option<u8> {
    let place = touch.place?;
    let function = place.function.as_deref()?;
    let map = function.register_maps.iter().find(|map| map.region == Region::Config)?;
    let offset = map.named(name)?.offset + at;
    let within = offset.checked_sub(place.offset).filter(|within| *within < touch.access.size.into())?;
    touch.access.value.to_le_bytes().get(usize::try_from(within).ok()?).copied()
}
