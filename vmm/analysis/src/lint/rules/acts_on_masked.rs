//! Handlers that acknowledge causes which their own mask excludes.

use std::collections::BTreeMap;

use barscope_device::{Access, Bdf};
use barscope_trace::Capability;
use barscope_trace::event::EventKind;

use crate::lint::about::{About, Class};
use crate::lint::finding::{Found, register};
use crate::lint::rule::Rule;
use crate::lint::touch::Touch;
use crate::view::{Context, View};

static ABOUT: About = About {
    name: "acts-on-masked",
    class: Class::Likely,
    title: "Handler acknowledges causes that its own mask excludes",
    looks_for: "a hard interrupt handler that reads the register of causes and writes ones back to bits that its mask \
                has excluded ever since they were set. Register and mask are told by the function's map: both in one \
                BAR, with the same fields of one bit each, and the same name but for a word, like INT_STATUS and \
                INT_MASK or IRQ_STATUS and IRQ_ENABLE. Whether a one in the mask lets through or holds back is told by \
                the causes that are set right before an interrupt; until then, and if interrupts contradict each \
                other, it is silent. Silent, too, about handlers that write the mask themselves, threaded handlers, \
                which run with the mask set, and bits that were set before records went missing.",
    why: "Status bits are set whether they are masked or not, and a handler runs for others as well: on a shared line, \
          or for another cause. What was masked since nobody is there for it is then acted upon, or taken from who \
          polls it.",
    bug: "Linux's iwlwifi acted on what it read in the interrupt register, also with interrupts disabled. On a shared \
          line the handler ran while the driver went, and called what was freed (25a172655f83 heeds the mask).",
    example: "
status = readl(bar0 + INT_STATUS);                              /* wrong */

status = readl(bar0 + INT_STATUS) & priv->int_mask;             /* right */
if (!status)
        return IRQ_NONE;
writel(status, bar0 + INT_STATUS);
",
    advice: "AND what the register gives with the mask before anything else",
    shown_by: "barscope run --bug masked-cause --trace t || echo the scenario fails",
};

/// So many vCPUs are followed.
const MOST: usize = 256;

/// What handlers on each vCPU did last.
#[derive(Default)]
pub(super) struct ActsOnMasked(BTreeMap<Option<u8>, Handler>);

#[derive(Default)]
struct Handler {
    /// The function whose causes were read last, and what they were.
    read: Option<(Bdf, u64)>,
    /// It writes a mask itself.
    masks: bool,
}

impl Rule for ActsOnMasked {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn needs(&self) -> &'static [Capability] {
        &[Capability::Effects]
    }

    fn access(&mut self, touch: &Touch<'_>, found: &mut Found<'_>) {
        let view = touch.access.view;
        if view.context != Some(Context::HardHandler) || view.uncertain.handler || touch.access.coalesced {
            self.0.remove(&view.vcpu);
            return;
        }
        let Some((place, bdf)) = touch.bar().and_then(|place| Some((place, place.bdf?))) else { return };
        let Some(causes) = found.causes.register(bdf) else { return };
        if self.0.len() >= MOST && !self.0.contains_key(&view.vcpu) {
            return;
        }
        let handler = self.0.entry(view.vcpu).or_default();
        if causes.is_masked_by(touch) {
            handler.masks |= touch.access.write;
            return;
        }
        if !causes.is_reached_by(touch) || causes.access != Access::WriteOneToClear {
            return;
        }
        let value = touch.access.value;
        if !touch.access.write {
            handler.read = Some((bdf, value));
            return;
        }
        let Some((_, read)) = handler.read.take().filter(|(of, _)| *of == bdf && !handler.masks) else {
            return;
        };
        let excluded = value & read & found.causes.excluded(bdf);
        if excluded != 0 {
            found.at(&ABOUT, touch.access, || {
                format!(
                    "A handler reads {read:#x} in {} and acknowledges {excluded:#x} of it, which the mask excludes.",
                    register(place)
                )
            });
        }
    }

    fn event(&mut self, view: &View, _: &mut Found<'_>) {
        if let EventKind::IsrEnter { .. } | EventKind::IsrExit { .. } = view.kind {
            self.0.remove(&view.vcpu);
        }
    }

    fn lose(&mut self) {
        self.0.clear();
    }
}
