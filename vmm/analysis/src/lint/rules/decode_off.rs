//! Accesses to a BAR that isn't decoded, since Memory Space Enable is clear.

use crate::lint::about::{About, Class};
use crate::lint::finding::{Found, Site, register};
use crate::lint::rule::Rule;
use crate::lint::touch::Touch;
use crate::view::{Absence, Place};

static ABOUT: About = About {
    name: "decode-off",
    class: Class::Certain,
    title: "BAR access while Memory Space is off",
    looks_for: "an access that nothing answers, to an address that a BAR has, after Memory Space Enable of the Command \
                register was read or written as 0. Silent if the function is in D3hot (see asleep), if its BAR was \
                written to another address since, or if records are missing after which Memory Space wasn't told again.",
    why: "Reads give all-ones, which the driver takes for registers, and writes are lost. Some platforms report the \
          unanswered read as a machine check, and stop.",
    bug: "vfio-pci let programs keep mappings of BARs whose decoding they could switch off (CVE-2020-12888, Linux \
          abafbc551fdd): an access brought the host down.",
    example: "
writew(command & ~PCI_COMMAND_MEMORY, ..);      /* decoding is off */
status = readl(bar0 + STATUS);                  /* wrong: all-ones */

pci_enable_device(pdev);                        /* right: first this */
status = readl(bar0 + STATUS);
",
    advice: "enable the device before its registers are used, and keep it enabled while a mapping is in use",
    shown_by: "barscope run --scenario decode-off --trace t",
};

pub(super) struct DecodeOff;

impl Rule for DecodeOff {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn access(&mut self, touch: &Touch<'_>, found: &mut Found<'_>) {
        let Some((place, base)) = touch.access.absent().and_then(|absent| absent_place(touch, absent)) else {
            return;
        };
        let Some(bdf) = place.bdf else { return };
        let asleep = found.functions.asleep(bdf).is_some();
        let Some(since) = found.functions.memory_space_off(bdf).filter(|_| !asleep) else { return };
        if is_elsewhere(found, &place, base) {
            return;
        }
        let what = if touch.access.write { "is written" } else { "is read" };
        found.by(&ABOUT, Site::of(&touch.access), (&place, touch.access.view.seq), || {
            format!("{} {what} while Memory Space is off, as record {since} tells.", register(&place))
        });
    }
}

/// The place that an access would have reached, and the address of its BAR.
pub(super) fn absent_place(touch: &Touch<'_>, absent: &Absence) -> Option<(Place, u64)> {
    let base = absent.base?;
    let offset = touch.access.gpa()?.checked_sub(base)?;
    let function = Some(absent.function.clone());
    Some((Place { bdf: Some(absent.function.bdf), function, region: absent.region, offset }, base))
}

/// Whether the region is, or may be, at another address than `base`: what is there then is nothing's.
pub(super) fn is_elsewhere(found: &Found<'_>, place: &Place, base: u64) -> bool {
    let wide = place.function.as_ref().is_some_and(|function| {
        function.bars.iter().any(|bar| barscope_device::Region::Bar(bar.index) == place.region && bar.wide)
    });
    let decoded = place.bdf.and_then(|bdf| found.functions.decoded(bdf, place.region)).is_some();
    decoded || found.functions.may_have_moved(place, base, wide)
}
