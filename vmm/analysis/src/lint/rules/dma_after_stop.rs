//! Transfers that go on when the driver has gone.

use std::collections::BTreeMap;
use std::ops::Range;

use barscope_device::Bdf;
use barscope_trace::Capability;
use barscope_trace::event::{DmaOutcome, EventKind};

use crate::lint::about::{About, Class};
use crate::lint::finding::Found;
use crate::lint::mappings::{KernelMappings, Remapped, overlap};
use crate::lint::rule::Rule;
use crate::view::View;

static ABOUT: About = About {
    name: "dma-after-stop",
    class: Class::Likely,
    title: "Transfer that was under way when the driver undid its mapping",
    looks_for: "a transfer that reached memory after the kernel undid its last mapping of the function's BARs, and \
                that was started before. The function was still a bus master then. Silent about functions of which the \
                kernel keeps or makes another mapping, about programs' mappings, and for good once records are \
                missing: a mapping may have been made there.",
    why: "A driver that has no mapping any more gives back its buffers, too. What the device writes later lands in \
          memory that belongs to somebody else.",
    bug: "Linux's NVMe driver freed the buffers of commands that it had cancelled, while the controller was still a \
          bus master and might write to them (linux-kernel, February 2016).",
    example: "
iounmap(bar0);                                  /* wrong: the transfer goes on */
dma_free_coherent(dev, size, buffer, address);

writel(RESET, bar0 + CONTROL);                  /* right */
readl(bar0 + CONTROL);
pci_clear_master(pdev);
iounmap(bar0);
dma_free_coherent(dev, size, buffer, address);
",
    advice: "stop the device and wait until it has stopped, or clear Bus Master, before buffers and mappings go",
    shown_by: "barscope run --scenario dma-both-ways --bug transfer-left --trace t",
};

/// So many functions are followed.
const MOST: usize = 256;

#[derive(Default)]
pub(super) struct DmaAfterStop {
    mappings: KernelMappings,
    /// Functions without any mapping, and the record that undid the last.
    stopped: BTreeMap<Bdf, u64>,
}

impl Rule for DmaAfterStop {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn needs(&self) -> &'static [Capability] {
        &[Capability::KernelMappings, Capability::Effects]
    }

    fn event(&mut self, view: &View, found: &mut Found<'_>) {
        if let EventKind::Dma { outcome: DmaOutcome::Done, cause, .. } = view.kind {
            let Some(function) = view.function() else { return };
            let Some(since) = self.stopped.get(&function.bdf).copied() else { return };
            if cause != 0 && cause < since {
                found.because_of(&ABOUT, (cause, view.seq), Some(function), || {
                    format!(
                        "Record {cause} starts a transfer, record {since} undoes the last mapping of the function, and \
                         record {} is the transfer.",
                        view.seq
                    )
                });
            }
            return;
        }
        match self.mappings.event(view) {
            Some(Remapped::Made(range)) => {
                for (bdf, _) in regions(found).filter(|(_, region)| overlap(region, &range)) {
                    self.stopped.remove(&bdf);
                }
            }
            Some(Remapped::Undone(range)) => {
                for (bdf, _) in regions(found).filter(|(_, region)| overlap(region, &range)) {
                    let mapped = regions(found).any(|(of, region)| of == bdf && self.mappings.reach(&region));
                    if !mapped && self.stopped.len() < MOST {
                        self.stopped.insert(bdf, view.seq);
                    }
                }
            }
            None => (),
        }
    }

    fn lose(&mut self) {
        self.mappings.lose();
        self.stopped.clear();
    }
}

/// All BARs in memory.
fn regions(found: &Found<'_>) -> impl Iterator<Item = (Bdf, Range<u64>)> {
    let all = found.functions.in_memory();
    let bars = all.filter(|(_, region, _)| matches!(region, barscope_device::Region::Bar(_)));
    bars.map(|(bdf, _, at)| (bdf, at.base..at.base.saturating_add(at.size)))
}
