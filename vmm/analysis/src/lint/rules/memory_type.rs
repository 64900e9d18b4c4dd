//! Registers through mappings that a processor caches or combines.

use barscope_device::Access;
use barscope_trace::Capability;
use barscope_trace::definition::{MemoryType, Path};

use crate::lint::about::{About, Class};
use crate::lint::finding::{Found, register};
use crate::lint::rule::Rule;
use crate::lint::touch::Touch;

static ABOUT: About = About {
    name: "memory-type",
    class: Class::Certain,
    title: "Registers through a cached or a write-combining mapping",
    looks_for: "an access to a BAR's register, not to a range of plain bytes, whose memory type is WB, WT or WP, or is WC \
                where a read has side effects or ones clear. A mapping that was made for the BAR (ioremap, mmap, ..) \
                and asks for WB, WT or WP by PAT is one even where the MTRRs make it UC. Silent about the page tables of \
                firmware and of kernels that map all addresses alike and leave types to the MTRRs, and about doorbells \
                through WC.",
    why: "A cached read may come from the cache, a cached write may never leave it; combined writes reach the device as one, \
          later, in another order; and the processor may read WC memory ahead.",
    bug: "switchtec-kernel#28, gdrcopy#44: mappings of BARs with a type that isn't theirs.",
    example: "
bar0 = ioremap_cache(pci_resource_start(pdev, 0), len);         /* wrong */
bar0 = ioremap_wc(pci_resource_start(pdev, 0), len);            /* wrong for registers */

bar0 = pci_iomap(pdev, 0, 0);                                   /* right */
",
    advice: "map registers uncached: ioremap or pci_iomap, resource0 instead of resource0_wc",
    shown_by: Some("barscope run --bug mapped-cached --trace t"),
};

pub(super) struct MemoryTypes;

impl Rule for MemoryTypes {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn needs(&self) -> &'static [Capability] {
        &[Capability::MemoryTypes]
    }

    fn access(&mut self, touch: &Touch<'_>, found: &mut Found<'_>) {
        let (effective, pat) = (touch.access.memory_type(), touch.access.pat());
        if !effective.is_some_and(may_be_wrong) && !pat.is_some_and(may_be_wrong) {
            return;
        }
        let Some((place, it)) = touch.bar_register() else { return };
        // Accesses by port have none; what KVM gathered nobody knows.
        if touch.access.gpa().is_none() || touch.access.coalesced {
            return;
        }
        let combines = it.access.read_has_side_effect() || it.access == Access::WriteOneToClear;
        let sentence = match effective {
            Some(MemoryType::WriteCombining) if combines => {
                format!("{} is accessed through WC", register(place))
            }
            Some(cached) if is_cached(cached) => format!("{} is accessed through {cached}", register(place)),
            _ => {
                let made = !matches!(touch.access.path(), Path::Unknown | Path::DirectMap);
                match pat.filter(|pat| made && is_cached(*pat)) {
                    Some(pat) => {
                        format!("{} is mapped {pat}, and only the MTRRs make it uncached", register(place))
                    }
                    None => return,
                }
            }
        };
        let by = touch.access.mapping().map(|mapping| format!(", by {} of {}", mapping.call, mapping.who));
        found.at(&ABOUT, touch.access, || format!("{sentence}{}.", by.unwrap_or_default()));
    }
}

fn is_cached(it: MemoryType) -> bool {
    matches!(it, MemoryType::WriteBack | MemoryType::WriteThrough | MemoryType::WriteProtected)
}

fn may_be_wrong(it: MemoryType) -> bool {
    is_cached(it) || it == MemoryType::WriteCombining
}
