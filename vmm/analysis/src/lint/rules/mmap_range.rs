//! User mappings that reach beyond the BAR that they begin in.

use barscope_trace::Capability;
use barscope_trace::definition::{Mapping, Path};
use barscope_trace::event::EventKind;

use crate::lint::about::{About, Class};
use crate::lint::finding::{Found, Site};
use crate::lint::rule::Rule;
use crate::view::{Place, View};

/// Bytes of a page.
pub(super) const PAGE: u64 = 4096;

static ABOUT: About = About {
    name: "mmap-range",
    class: Class::Certain,
    title: "User mapping that leaves the BAR",
    looks_for: "a mapping that a program gets, that begins in a BAR and ends behind the BAR's last page. Silent about \
                /dev/mem, which is there to map anything, and about mappings that the guest doesn't announce.",
    why: "The program reads and writes whatever lies behind: another BAR, another device, memory of the kernel.",
    bug: "raspberrypi/linux#3055: an mmap that didn't heed all that it was asked for.",
    example: "
size = vma->vm_end - vma->vm_start;
return io_remap_pfn_range(vma, vma->vm_start, pfn, size, prot);         /* wrong */

return vm_iomap_memory(vma, pci_resource_start(pdev, 0),                /* right: checks both */
                       pci_resource_len(pdev, 0));
",
    advice: "check offset and length against the BAR's, by subtraction, or let vm_iomap_memory do so",
    shown_by: None,
};

pub(super) struct MmapRange;

impl Rule for MmapRange {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn needs(&self) -> &'static [Capability] {
        &[Capability::Effects, Capability::UserMappings]
    }

    fn event(&mut self, view: &View, found: &mut Found<'_>) {
        let Some(mapping) = user_mapping(view) else { return };
        let begins = found.functions.in_memory().find(|(_, _, at)| {
            mapping.physical_address.checked_sub(at.base).is_some_and(|within| within < at.size)
        });
        let Some((bdf, region, at)) = begins else { return };
        let end = at.base.saturating_add(at.size).next_multiple_of(PAGE);
        let over = mapping.physical_address.saturating_add(mapping.length).saturating_sub(end);
        if over == 0 {
            return;
        }
        let sentence = format!(
            "{} maps {:#x} bytes from {}+{:#x} of {bdf} {} for a program, {over:#x} more than the BAR has there.",
            mapping.call,
            mapping.length,
            region,
            mapping.physical_address - at.base,
            at.name
        );
        let function = found.definitions.function_at(bdf).and_then(|id| found.definitions.function(id));
        let place = Place {
            bdf: Some(bdf),
            function: function.map(|function| std::sync::Arc::new(function.clone())),
            region,
            offset: mapping.physical_address - at.base,
        };
        found.by(&ABOUT, Site::default(), (&place, view.seq), || sentence);
    }
}

/// The mapping that a program gets, if a record tells of that: `/dev/mem` may map anything.
pub(super) fn user_mapping(view: &View) -> Option<&Mapping> {
    let EventKind::Map { .. } = view.kind else { return None };
    let mapping = view.mapping()?;
    let may_be = mapping.announced && mapping.address_space.is_some() && mapping.path != Path::DevMem;
    may_be.then_some(mapping)
}
