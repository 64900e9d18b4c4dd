//! Causes that come while a handler clears others, for which no message is sent.

use std::collections::BTreeMap;

use barscope_device::{Access, Bdf};
use barscope_trace::Capability;
use barscope_trace::event::EventKind;

use crate::lint::about::{About, Class};
use crate::lint::finding::{Found, Site, register};
use crate::lint::rule::Rule;
use crate::lint::runs::Runs;
use crate::lint::touch::Touch;
use crate::view::{Place, View};

static ABOUT: About = About {
    name: "edge-lost",
    class: Class::Likely,
    title: "Cause that came while the handler of a message cleared others, and that nobody looks for",
    looks_for: "a handler of MSI or MSI-X that reads the register of causes and clears some; a cause that is let \
                through and that the device sets after that read; and the handler's end, with that cause still \
                pending, without another read, and without another interrupt of the function meanwhile, sent, held \
                back or lost. The register is told by the function's map: one whose ones clear or that a read clears, \
                with a mask of the same fields and the same name but for a word, like INT_STATUS and INT_MASK, or the \
                only one whose ones clear. A handler that only call stacks show has ended when its vCPU makes an \
                access of something else, unless that is a thread or a softirq, which may go on with it. Silent about \
                INTx, which stays asserted, and if records are missing since the handler began.",
    why: "A message is sent when the first cause of its vector comes, and none for one that joins it. With a cause \
          left pending there is no first one any more: the interrupt never comes again.",
    bug: "Linux's pciehp read Slot Status and cleared what it had read; an event in between was left, and the slot was \
          silent from then on. Since then it reads again until nothing is left (pciehp_isr in pciehp_hpc.c).",
    example: "
status = readl(bar0 + INT_STATUS);                      /* wrong: what comes here is left */
writel(status, bar0 + INT_STATUS);
handle(status);

while ((status = readl(bar0 + INT_STATUS))) {           /* right */
        writel(status, bar0 + INT_STATUS);
        handle(status);
}
",
    advice: "read the causes again after clearing them, until there are none",
    shown_by: "barscope run --scenario interrupt --bug event-lost --trace t",
};

/// So many functions are followed.
const MOST: usize = 256;

#[derive(Default)]
pub(super) struct EdgeLost {
    runs: Runs<Option<Look>>,
    /// The vector of each function's last message; none of one that used its pin since.
    messages: BTreeMap<Bdf, u8>,
}

/// A handler's last read of the causes of a function.
struct Look {
    bdf: Bdf,
    place: Place,
    site: Site,
    seq: u64,
    value: u64,
    /// Some were cleared.
    cleared: bool,
    /// What came since and is still there, each with its record.
    came: Vec<(u64, u64)>,
}

impl Rule for EdgeLost {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn needs(&self) -> &'static [Capability] {
        &[Capability::Handlers, Capability::Effects]
    }

    fn access(&mut self, touch: &Touch<'_>, found: &mut Found<'_>) {
        if let Some(look) = self.runs.step(&touch.access).and_then(|run| run.seen)
            && self.messages.contains_key(&look.bdf)
        {
            judge(&look, found);
        }
        let Some(run) = self.runs.of(&touch.access) else { return };
        let Some((place, bdf)) = touch.bar().and_then(|place| Some((place, place.bdf?))) else { return };
        let Some(causes) = found.causes.register(bdf).filter(|causes| causes.is_reached_by(touch)) else {
            return;
        };
        let value = touch.access.value;
        if !touch.access.write {
            run.seen = Some(Look {
                bdf,
                place: place.clone(),
                site: Site::of(&touch.access),
                seq: touch.access.view.seq,
                value,
                cleared: causes.access == Access::ReadSideEffect && value != 0,
                came: Vec::new(),
            });
        } else if let Some(look) = run.seen.as_mut().filter(|look| look.bdf == bdf) {
            look.cleared |= causes.access == Access::WriteOneToClear && value & look.value != 0;
        }
    }

    fn event(&mut self, view: &View, found: &mut Found<'_>) {
        match view.kind {
            EventKind::IsrEnter { vector } => self.runs.enter(view.vcpu, vector, view.seq),
            EventKind::IsrExit { vector } => {
                let look = self.runs.exit(view.vcpu, vector).and_then(|run| run.seen);
                if let Some(look) = look.filter(|look| self.messages.get(&look.bdf) == Some(&vector)) {
                    judge(&look, found);
                }
            }
            EventKind::Change { old, new, .. } => {
                let Some((place, bdf)) = view.place.as_ref().and_then(|place| Some((place, place.bdf?)))
                else {
                    return;
                };
                if !found.causes.register(bdf).is_some_and(|causes| causes.is_at(place)) {
                    return;
                }
                for look in self.runs.all().filter_map(|run| run.seen.as_mut()).filter(|look| look.bdf == bdf)
                {
                    look.came.push((new & !old, view.seq));
                    look.came.retain_mut(|(bits, seq)| {
                        // What comes again has come just now.
                        *bits &= if *seq == view.seq { new } else { new & old };
                        *bits != 0
                    });
                }
            }
            EventKind::Msi { .. }
            | EventKind::Intx { .. }
            | EventKind::InterruptMasked { .. }
            | EventKind::InterruptLost { .. } => self.interrupt(view),
            _ => (),
        }
    }

    fn lose(&mut self) {
        self.runs.lose();
        self.messages.clear();
    }
}

impl EdgeLost {
    /// The function interrupts, or would: whatever came is told by that.
    fn interrupt(&mut self, view: &View) {
        let Some(bdf) = view.function().map(|function| function.bdf) else { return };
        for look in self.runs.all().filter_map(|run| run.seen.as_mut()).filter(|look| look.bdf == bdf) {
            look.came.clear();
        }
        match view.kind {
            EventKind::Msi { data, .. } if self.messages.len() < MOST || self.messages.contains_key(&bdf) => {
                self.messages.insert(bdf, data as u8);
            }
            EventKind::Intx { asserted: true, .. } => {
                self.messages.remove(&bdf);
            }
            _ => (),
        }
    }
}

fn judge(look: &Look, found: &mut Found<'_>) {
    let interrupting = found.causes.interrupting(look.bdf);
    let left = look.came.iter().map(|(bits, seq)| (bits & interrupting, *seq)).filter(|(bits, _)| *bits != 0);
    let left = left.reduce(|(all, _), (bits, seq)| (all | bits, seq));
    let Some((left, last)) = left.filter(|_| look.cleared) else { return };
    found.by(&ABOUT, look.site, (&look.place, last), || {
        format!(
            "{} gives {:#x} at record {}, and the handler clears of that; {left:#x} comes at record {last}, and the handler ends \
             without looking again: no message comes for it.",
            register(&look.place),
            look.value,
            look.seq,
        )
    });
}
