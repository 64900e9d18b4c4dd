//! DMA that is started, and messages that are due, with Bus Master Enable clear.

use barscope_device::InterruptLoss;
use barscope_trace::Capability;
use barscope_trace::event::{DmaOutcome, EventKind};

use crate::lint::about::{About, Class};
use crate::lint::finding::Found;
use crate::lint::rule::Rule;
use crate::view::View;

static ABOUT: About = About {
    name: "no-bus-master",
    class: Class::Certain,
    title: "DMA or a message started with Bus Master off",
    looks_for: "a transfer that the device could not make, or a message that it could not send, since Bus Master Enable was \
                clear, and was so already at the access that started it. Silent if Bus Master was cleared in between, as \
                a shutdown does on purpose, or if that can't be told.",
    why: "A message is a write to memory, so a function without Bus Master makes no DMA and sends neither MSI nor MSI-X. \
          The driver waits for what never comes.",
    bug: "managarm#1236, aws-fpga#430, riffa#8: transfers and messages that never came, for want of this bit.",
    example: "
pci_enable_device(pdev);
writel(START, bar0 + DMA_CONTROL);              /* wrong: nothing leaves the function */

pci_enable_device(pdev);
pci_set_master(pdev);                           /* right */
writel(START, bar0 + DMA_CONTROL);
",
    advice: "set Bus Master (pci_set_master) before anything that needs DMA or MSI",
    shown_by: "barscope poke lab msi write CONFIG.COMMAND 2 write BAR0.INT_MASK 1 write BAR0.TRIGGER 1 --trace t",
};

pub(super) struct NoBusMaster;

impl Rule for NoBusMaster {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn needs(&self) -> &'static [Capability] {
        &[Capability::Effects, Capability::Configuration]
    }

    fn event(&mut self, view: &View, found: &mut Found<'_>) {
        let (what, cause) = match view.kind {
            EventKind::Dma { outcome: DmaOutcome::BusMasterOff, cause, .. } => ("a DMA transfer", cause),
            EventKind::InterruptLost { why: Some(InterruptLoss::BusMasterOff), cause, .. } => {
                ("a message", cause)
            }
            _ => return,
        };
        let Some(function) = view.function() else { return };
        if cause == 0 || cause <= found.functions.master_since(function.bdf) {
            return;
        }
        found.because_of(&ABOUT, (cause, view.seq), Some(function), || {
            format!("Record {cause} starts {what} with Bus Master off; record {} is what is lost.", view.seq)
        });
    }
}
