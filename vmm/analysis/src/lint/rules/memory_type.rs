//! Registers through mappings that a processor caches or combines, and pages of a BAR that have two types.

use barscope_device::Access;
use barscope_trace::Capability;
use barscope_trace::definition::{MemoryType, Path};
use barscope_trace::event::{EventKind, Id};

use crate::lint::about::{About, Class};
use crate::lint::finding::{Found, register};
use crate::lint::rule::Rule;
use crate::lint::touch::Touch;
use crate::lint::uses::{PAGE, Use, Uses};
use crate::view::View;

static ABOUT: About = About {
    name: "memory-type",
    class: Class::Certain,
    title: "Registers through a cached or a write-combining mapping, or a page of a BAR with two types",
    looks_for: "an access to a BAR's register, not to a range of plain bytes, whose memory type is WB, WT or WP, or is WC \
                where a read has side effects or ones clear. A mapping that was made for the BAR (ioremap, mmap, ..) \
                and asks for WB, WT or WP by PAT is one even where the MTRRs make it UC. Silent about the page tables of \
                firmware and of kernels that map all addresses alike and leave types to the MTRRs, and about doorbells \
                through WC. Also one page of a BAR, registers or plain bytes, that two mappings give two types by PAT; UC \
                and UC- are one. Both have to be there at once: the other one was announced and isn't undone, or this one \
                was used both before and after it.",
    why: "A cached read may come from the cache, a cached write may never leave it; combined writes reach the device as one, \
          later, in another order; and the processor may read WC memory ahead. What a processor does with a page that has \
          two types is undefined (Intel SDM volume 3, \"Programming the PAT\").",
    bug: "switchtec-kernel#28, gdrcopy#44: mappings of BARs with a type that isn't theirs.",
    example: "
bar0 = ioremap_cache(pci_resource_start(pdev, 0), len);         /* wrong */
bar0 = ioremap_wc(pci_resource_start(pdev, 0), len);            /* wrong for registers */

bar0 = pci_iomap(pdev, 0, 0);                                   /* right */
",
    advice: "map registers uncached: ioremap or pci_iomap, resource0 instead of resource0_wc; and each page in one way",
    shown_by: "barscope run --bug mapped-cached --trace t",
};

#[derive(Default)]
pub(super) struct MemoryTypes {
    /// The types that physical pages were accessed with.
    pages: Uses<u64, MemoryType>,
    /// The page of the last access, and its walk: a mapping is mostly used many times in a row.
    last: Option<(u64, Id)>,
}

impl Rule for MemoryTypes {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn needs(&self) -> &'static [Capability] {
        &[Capability::MemoryTypes]
    }

    fn access(&mut self, touch: &Touch<'_>, found: &mut Found<'_>) {
        // Accesses by port have no page; what KVM gathered nobody knows.
        if touch.access.gpa().is_none() || touch.access.coalesced {
            return;
        }
        let Some(place) = touch.bar() else { return };
        let by =
            || touch.access.mapping().map(|by| format!(", by {} of {}", by.call, by.who)).unwrap_or_default();
        let two_types = self.two_types(touch);
        if let Some(sentence) = unsuitable(touch) {
            found.at(&ABOUT, touch.access, || format!("{sentence}{}.", by()));
        } else if let Some((own, other)) = two_types {
            found.at(&ABOUT, touch.access, || {
                let (place, own, other, seq) = (register(place), own.what, other.what, other.last);
                format!("{place} is mapped {own}{}, and its page is also mapped {other}, as record {seq} used it.", by())
            });
        }
    }

    fn event(&mut self, view: &View, _: &mut Found<'_>) {
        if let EventKind::Unmap { mapping } = view.kind {
            self.last = None;
            self.pages.undo(mapping);
        }
    }

    fn lose(&mut self) {
        *self = Self::default();
    }
}

impl MemoryTypes {
    /// The mapping that makes an access and another one of its page, if they certainly are there at once with two types.
    fn two_types(&mut self, touch: &Touch<'_>) -> Option<(Use<MemoryType>, Use<MemoryType>)> {
        let (page, id) = (touch.access.gpa()? / PAGE, touch.access.walk);
        if self.last == Some((page, id)) {
            return None;
        }
        let walk = touch.access.walk()?;
        let memory_type = if is_made(touch) { walk.pat? } else { walk.memory_type };
        self.last = Some((page, id));
        self.pages.take(page, touch, memory_type, differ)
    }
}

/// What is wrong with the type that a register is accessed through, by itself.
fn unsuitable(touch: &Touch<'_>) -> Option<String> {
    let (effective, pat) = (touch.access.memory_type(), touch.access.pat());
    if !effective.is_some_and(may_be_wrong) && !pat.is_some_and(may_be_wrong) {
        return None;
    }
    let (place, it) = touch.bar_register()?;
    let combines = it.access.read_has_side_effect() || it.access == Access::WriteOneToClear;
    match effective {
        Some(MemoryType::WriteCombining) if combines => {
            Some(format!("{} is accessed through WC", register(place)))
        }
        Some(cached) if is_cached(cached) => {
            Some(format!("{} is accessed through {cached}", register(place)))
        }
        _ => {
            let pat = pat.filter(|pat| is_made(touch) && is_cached(*pat))?;
            Some(format!("{} is mapped {pat}, and only the MTRRs make it uncached", register(place)))
        }
    }
}

/// Whether somebody made the mapping for this BAR.
fn is_made(touch: &Touch<'_>) -> bool {
    !matches!(touch.access.path(), Path::Unknown | Path::DirectMap)
}

fn differ(one: MemoryType, other: MemoryType) -> bool {
    one != other && !(one.uncached() && other.uncached())
}

fn is_cached(it: MemoryType) -> bool {
    matches!(it, MemoryType::WriteBack | MemoryType::WriteThrough | MemoryType::WriteProtected)
}

fn may_be_wrong(it: MemoryType) -> bool {
    is_cached(it) || it == MemoryType::WriteCombining
}
