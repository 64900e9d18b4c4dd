//! Causes that handlers leave pending, time after time.

use std::collections::BTreeMap;

use barscope_device::Bdf;
use barscope_trace::Capability;
use barscope_trace::event::EventKind;

use crate::lint::about::{About, Class};
use crate::lint::finding::{Found, Site, register};
use crate::lint::rule::Rule;
use crate::lint::runs::{Run, Runs};
use crate::lint::touch::Touch;
use crate::view::View;

static ABOUT: About = About {
    name: "handled-not-cleared",
    class: Class::Likely,
    title: "Handler that ran three times in a row and left the same cause pending",
    looks_for: "three ends of a function's handler, one after the other, with the same cause pending and let through, \
                which nobody cleared in between. A handler is a function's if its vector is that of the function's \
                only message, or if the function's pin is asserted from its beginning to its end and the handler \
                accesses its BARs. The register of causes is told by the function's map: one with a mask of the same \
                fields and the same name but for a word, like INT_STATUS and INT_MASK, or the only one whose ones \
                clear, of which those causes count that were seen to interrupt. Handlers that only call stacks show \
                are told apart by what they interrupt and by accesses of tasks between them. Silent about functions \
                with several messages, and it counts anew where records are missing.",
    why: "A pin that stays asserted interrupts again as soon as the handler ends: the processor does nothing else any \
          more. A message isn't sent again, and what comes next is never heard of.",
    bug: "Linux's 8250_dw said that it had handled a receive timeout for which no byte was there to read: the \
          interrupt came back for ever, until the watchdog told of a soft lockup (424d79183af0 reads a byte to clear \
          it).",
    example: "
if (readl(bar0 + INT_STATUS) & TIMEOUT)         /* wrong: nothing clears it */
        return IRQ_HANDLED;

if (readl(bar0 + INT_STATUS) & TIMEOUT) {       /* right */
        writel(TIMEOUT, bar0 + INT_STATUS);
        return IRQ_HANDLED;
}
",
    advice: "clear every cause that is found, or mask what nobody is there for",
    shown_by: "barscope run --scenario shared-line --bug late-acknowledgement --trace t",
};

/// So many functions are followed.
const MOST: usize = 256;
/// So many functions that one run of a handler accesses are remembered.
const TOUCHED: usize = 16;

#[derive(Default)]
pub(super) struct HandledNotCleared {
    /// Functions that each handler accesses, with the code that did so last.
    runs: Runs<Vec<(Bdf, Site)>>,
    sources: BTreeMap<Bdf, Source>,
}

/// How a function interrupts, and what is left of it.
#[derive(Default)]
struct Source {
    vector: Option<u8>,
    /// It has sent several messages.
    several: bool,
    /// The record since which its pin is asserted.
    asserted: Option<u64>,
    /// Causes that were pending at the last two ends, the last one first, and that nobody cleared since.
    left: [u64; 2],
}

impl Rule for HandledNotCleared {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn needs(&self) -> &'static [Capability] {
        &[Capability::Handlers, Capability::Effects]
    }

    fn access(&mut self, touch: &Touch<'_>, found: &mut Found<'_>) {
        if let Some(run) = self.runs.step(&touch.access) {
            self.end(&run, touch.access.view.seq, found);
        }
        let Some(run) = self.runs.of(&touch.access) else { return };
        let Some(bdf) = touch.bar().and_then(|place| place.bdf) else { return };
        run.seen.retain(|(known, _)| *known != bdf);
        if run.seen.len() < TOUCHED {
            run.seen.push((bdf, Site::of(&touch.access)));
        }
    }

    fn event(&mut self, view: &View, found: &mut Found<'_>) {
        match view.kind {
            EventKind::IsrEnter { vector } => self.runs.enter(view.vcpu, vector, view.seq),
            EventKind::IsrExit { vector } => {
                if let Some(run) = self.runs.exit(view.vcpu, vector) {
                    self.end(&run, view.seq, found);
                }
            }
            EventKind::Change { new, .. } => {
                let Some((place, bdf)) = view.place.as_ref().and_then(|place| Some((place, place.bdf?)))
                else {
                    return;
                };
                if let Some(source) = self.sources.get_mut(&bdf)
                    && found.causes.register(bdf).is_some_and(|causes| causes.is_at(place))
                {
                    source.left.iter_mut().for_each(|left| *left &= new);
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
        for source in self.sources.values_mut() {
            (source.asserted, source.left) = (None, [0, 0]);
        }
    }
}

impl HandledNotCleared {
    fn interrupt(&mut self, view: &View) {
        let Some(bdf) = view.function().map(|function| function.bdf) else { return };
        if !self.sources.contains_key(&bdf) && self.sources.len() >= MOST {
            return;
        }
        let source = self.sources.entry(bdf).or_default();
        match view.kind {
            EventKind::Msi { data, .. } => {
                let vector = data as u8;
                source.several |= source.vector.is_some_and(|known| known != vector);
                source.vector = Some(vector);
            }
            EventKind::Intx { asserted: true, .. } => source.asserted = Some(view.seq),
            // Something is done about it, or somebody holds it back.
            _ => (source.asserted, source.left) = (None, [0, 0]),
        }
    }

    /// A handler ends.
    fn end(&mut self, run: &Run<Vec<(Bdf, Site)>>, seq: u64, found: &mut Found<'_>) {
        let may_answer = |source: &Source| source.vector.and_then(|vector| run.answers(vector));
        let mut by_message = self.sources.values().filter(|source| may_answer(source) == Some(true));
        let alone = by_message.next().is_some() && by_message.next().is_none();
        for (bdf, source) in &mut self.sources {
            let site = run.seen.iter().find(|(touched, _)| touched == bdf).map(|(_, site)| *site);
            let answers = match source.asserted {
                Some(since) => site.is_some() && since < run.since,
                // Where no vector is announced, a handler answers whom it asks.
                None => match may_answer(source) {
                    Some(answers) => answers && alone && !source.several,
                    None => source.vector.is_some() && site.is_some() && !source.several,
                },
            };
            if !answers {
                continue;
            }
            let pending = found.causes.interrupting(*bdf);
            let [last, before] = source.left;
            source.left = [pending, last];
            let left = pending & last & before;
            let Some(place) = found.causes.place(*bdf).filter(|_| left != 0) else { continue };
            found.by(&ABOUT, site.unwrap_or_default(), (&place, seq), || {
                format!(
                    "{} has {left:#x} pending at the end of a handler, 3 times in a row: nobody clears it.",
                    register(&place)
                )
            });
        }
    }
}
