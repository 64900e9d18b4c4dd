//! Accesses to registers of a function that is in D3hot.

use super::decode_off::{absent_place, is_elsewhere};
use crate::lint::about::{About, Class};
use crate::lint::finding::{Found, Site, register};
use crate::lint::rule::Rule;
use crate::lint::touch::Touch;

static ABOUT: About = About {
    name: "asleep",
    class: Class::Certain,
    title: "Register access while the function is in D3hot",
    looks_for: "an access that nothing answers, to an address that a BAR has, while the power management capability says \
                D3hot. Configuration space answers in D3hot, and accesses to it are no finding. Silent where records are \
                missing since the power state was told.",
    why: "In D3hot a function decodes none of its BARs: reads give all-ones, writes are lost (PCI Power Management 1.2, \
          section 5.4.1).",
    bug: "Linux's tpm_crb, until 9514ff1961c6.",
    example: "
pci_set_power_state(pdev, PCI_D3hot);
status = readl(bar0 + STATUS);                  /* wrong: all-ones */

pci_set_power_state(pdev, PCI_D0);              /* right: wake it first */
pci_restore_state(pdev);
status = readl(bar0 + STATUS);
",
    advice: "bring the function to D0 and restore its state first (with runtime power management: pm_runtime_get_sync)",
    shown_by: "barscope run --scenario d3hot --trace t",
};

pub(super) struct Asleep;

impl Rule for Asleep {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn access(&mut self, touch: &Touch<'_>, found: &mut Found<'_>) {
        let Some((place, base)) = touch.access.absent().and_then(|absent| absent_place(touch, absent)) else {
            return;
        };
        let Some(since) = place.bdf.and_then(|bdf| found.functions.asleep(bdf)) else { return };
        if is_elsewhere(found, &place, base) {
            return;
        }
        let what = if touch.access.write { "is written" } else { "is read" };
        found.by(&ABOUT, Site::of(&touch.access), (&place, touch.access.view.seq), || {
            format!("{} {what} in D3hot, as record {since} tells.", register(&place))
        });
    }
}
