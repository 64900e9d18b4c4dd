//! Reads that take causes from a handler, since a read of the register clears them.

use std::collections::BTreeMap;

use barscope_device::{Access, Bdf, Region};
use barscope_trace::Capability;
use barscope_trace::event::{EventKind, Outcome};

use crate::lint::about::{About, Class};
use crate::lint::finding::{Found, Site, register};
use crate::lint::rule::Rule;
use crate::lint::touch::Touch;
use crate::view::View;

static ABOUT: About = About {
    name: "stolen-clear-on-read",
    class: Class::Certain,
    title: "Causes taken from a handler by a read that clears them",
    looks_for: "an interrupt, then a read outside of handlers of a register that a read clears, which gives something, then \
                the handler's read of the same register, which gives nothing. Silent about reads before the interrupt, as \
                drivers clear what is stale, about counters that no handler reads, and where it isn't known what is a \
                handler or records are missing.",
    why: "The handler finds no cause, says that the interrupt isn't its own, and what it should have done isn't done.",
    bug: "Linux's igb and igc keep clear of it in ethtool's dump of registers (igb_get_regs): it reads ICS in place of \
          ICR, which gives the same and clears nothing.",
    example: "
regs[i] = rd32(E1000_ICR);      /* wrong: a dump takes the cause */

regs[i] = rd32(E1000_ICS);      /* right: the same bits, which stay */
",
    advice: "leave the register to the handler: read its shadow, or what the driver has kept of it",
    shown_by: "barscope run --scenario interrupt --bug events-taken --trace t",
};

/// So many registers are followed.
const MOST: usize = 1024;

#[derive(Default)]
pub(super) struct StolenClearOnRead {
    /// The last interrupt of each function.
    raised: BTreeMap<Bdf, u64>,
    /// Reads that gave something after an interrupt, by register.
    taken: BTreeMap<(Bdf, Region, u64), Taken>,
}

struct Taken {
    seq: u64,
    interrupt: u64,
    value: u64,
    site: Site,
}

impl Rule for StolenClearOnRead {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn needs(&self) -> &'static [Capability] {
        &[Capability::Effects]
    }

    fn access(&mut self, touch: &Touch<'_>, found: &mut Found<'_>) {
        let Some((place, it)) = touch.bar_register() else { return };
        if it.access != Access::ReadSideEffect || touch.access.write || touch.access.outcome != Outcome::Ok {
            return;
        }
        let Some(bdf) = place.bdf else { return };
        let key = (bdf, place.region, it.offset);
        let view = touch.access.view;
        if view.uncertain.handler || view.context.is_none() {
            self.taken.remove(&key);
        } else if view.in_handler() {
            let taken = self.taken.remove(&key).filter(|_| touch.access.value == 0);
            self.raised.remove(&bdf);
            let Some(Taken { seq, interrupt, value, site }) = taken else { return };
            found.by(&ABOUT, site, (place, seq), || {
                format!(
                    "A read of {} takes {value:#x} after interrupt {interrupt}, and the handler finds nothing at record {}.",
                    register(place),
                    view.seq
                )
            });
        } else if let Some(interrupt) = self.raised.get(&bdf).copied()
            && touch.access.value != 0
            && self.taken.len() < MOST
        {
            let (seq, value, site) = (view.seq, touch.access.value, Site::of(&touch.access));
            self.taken.entry(key).or_insert(Taken { seq, interrupt, value, site });
        }
    }

    fn event(&mut self, view: &View, _: &mut Found<'_>) {
        let raised = matches!(
            view.kind,
            EventKind::Msi { delivered: true, .. } | EventKind::Intx { asserted: true, .. }
        );
        if let Some(function) = view.function().filter(|_| raised)
            && (self.raised.len() < MOST || self.raised.contains_key(&function.bdf))
        {
            // Causes of one that a handler answers don't tell of the next.
            self.raised.insert(function.bdf, view.seq);
        }
    }

    fn lose(&mut self) {
        *self = Self::default();
    }
}
