//! User pages that hold registers of more than one region.

use std::sync::Arc;

use barscope_device::Region;
use barscope_trace::Capability;
use barscope_trace::definition::Path;

use super::mmap_range::user_mapping;
use crate::lint::about::{About, Class};
use crate::lint::finding::{Found, Site, device};
use crate::lint::rule::Rule;
use crate::lint::touch::Touch;
use crate::lint::uses::PAGE;
use crate::view::{Place, View};

static ABOUT: About = About {
    name: "sub-page-leak",
    class: Class::Certain,
    title: "User page with another BAR's or another function's registers in it",
    looks_for: "a page that a program gets, by a mapping that the guest announces or by an access of the program, that holds \
                two regions or more. Silent about /dev/mem.",
    why: "A BAR may be as small as 16 bytes, a page has 4096. Who maps a page for a program gives it all that lies \
          there, also the device next to it.",
    bug: "vfio-pci gave guests pages that they shared with other devices (Linux 05f0c03fbac1); FreeBSD D52013.",
    example: "
return vm_iomap_memory(vma, pci_resource_start(pdev, 0),        /* wrong for a BAR of 256 bytes */
                       pci_resource_len(pdev, 0));

if (pci_resource_len(pdev, 0) < PAGE_SIZE)                      /* right */
        return -EINVAL;
",
    advice: "refuse to map BARs smaller than a page, unless the page is the BAR's alone",
    shown_by: "barscope run --scenario sub-page-bar --trace t",
};

pub(super) struct SubPageLeak;

impl Rule for SubPageLeak {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn needs(&self) -> &'static [Capability] {
        &[Capability::Effects, Capability::Privilege]
    }

    fn access(&mut self, touch: &Touch<'_>, found: &mut Found<'_>) {
        if touch.access.cpl != 3 || touch.access.coalesced || touch.access.path() == Path::DevMem {
            return;
        }
        let (Some(place), Some(address), Some(walk)) = (touch.bar(), touch.access.gpa(), touch.access.walk())
        else {
            return;
        };
        if walk.page_size == PAGE && touch.access.view.vcpu.is_some() {
            let Some(other) = other_in_page(found, place, address & !(PAGE - 1)) else { return };
            found.at(&ABOUT, touch.access, || {
                format!("A program has the page of {}, in which {other} is as well.", place.region)
            });
        }
    }

    fn event(&mut self, view: &View, found: &mut Found<'_>) {
        let Some(mapping) = user_mapping(view) else { return };
        let end = mapping.physical_address.saturating_add(mapping.length);
        let pages = mapping.physical_address & !(PAGE - 1)..end.checked_next_multiple_of(PAGE).unwrap_or(end);
        let small =
            found.functions.in_memory().filter(|(_, _, at)| at.size < PAGE && pages.contains(&at.base));
        let shared = small.filter_map(|(bdf, region, at)| {
            let function = found.definitions.function_at(bdf).and_then(|id| found.definitions.function(id));
            let function = function.map(|function| Arc::new(function.clone()));
            let place = Place { bdf: Some(bdf), function, region, offset: 0 };
            let other = other_in_page(found, &place, at.base & !(PAGE - 1))?;
            Some((at.base, place, other))
        });
        let Some((_, place, other)) = shared.min_by_key(|(base, ..)| *base) else { return };
        let region = place.region;
        found.by(&ABOUT, Site::default(), (&place, view.seq), || {
            format!("{} gives a program the page of {region}, in which {other} is as well.", mapping.call)
        });
    }
}

/// Another region than that of `place` with bytes in the page at `page`.
fn other_in_page(found: &Found<'_>, place: &Place, page: u64) -> Option<String> {
    let own = |bdf, region: Region| Some(bdf) == place.bdf && region == place.region;
    let in_page = |base: u64, size: u64| base < page + PAGE && page < base.saturating_add(size);
    let (bdf, region, at) = found.functions.in_memory().find(|(bdf, region, at)| {
        !own(*bdf, *region) && *region != Region::Config && in_page(at.base, at.size)
    })?;
    let whose = if Some(bdf) == place.bdf { device(place) } else { format!("{bdf} {}", at.name) };
    Some(format!("{region} of {whose}"))
}
