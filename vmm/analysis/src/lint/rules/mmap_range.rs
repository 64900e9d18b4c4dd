//! User mappings that reach beyond the BAR that they begin in, or begin elsewhere than they were asked to.

use std::sync::Arc;

use barscope_device::{Bdf, Region};
use barscope_trace::Capability;
use barscope_trace::definition::{Mapping, MemoryType, Path};
use barscope_trace::event::{EventKind, Id};
use rustc_hash::FxHashMap;

use crate::lint::about::{About, Class};
use crate::lint::finding::{Found, Site, device, register};
use crate::lint::rule::Rule;
use crate::lint::touch::Touch;
use crate::lint::uses::{PAGE, Use, Uses};
use crate::view::{Place, View};

static ABOUT: About = About {
    name: "mmap-range",
    class: Class::Certain,
    title: "User mapping that leaves the BAR, or ignores the offset",
    looks_for: "a mapping that a program gets, that begins in a BAR and ends behind the BAR's last page. Where the guest doesn't \
                announce mappings: accesses through one that begin in a BAR and go on behind it, where another device is, \
                or none. And one page of a BAR that a file gives at two offsets at once, with the same memory type and in \
                one part of the file that is as long as the BAR: its driver can't have heeded what it was asked for. At \
                once: the other mapping was announced and isn't undone, or this one was used both before and after it. \
                Silent about /dev/mem, which is there to map anything, and about UIO, whose offset is a mapping's number.",
    why: "The program reads and writes whatever lies behind: another BAR, another device, memory of the kernel. Or it gets \
          registers that it takes for others.",
    bug: "raspberrypi/linux#3055: an mmap that didn't heed all that it was asked for.",
    example: "
size = vma->vm_end - vma->vm_start;
return io_remap_pfn_range(vma, vma->vm_start, pfn, size, prot);         /* wrong */

return vm_iomap_memory(vma, pci_resource_start(pdev, 0),                /* right: checks both */
                       pci_resource_len(pdev, 0));
",
    advice: "check offset and length against the BAR's, by subtraction, or let vm_iomap_memory do so",
    shown_by: "barscope run --scenario map-offset --bug offset-ignored --trace t || echo the scenario fails",
};

/// So many files and mappings are followed.
const MOST: usize = 4096;

#[derive(Default)]
pub(super) struct MmapRange {
    /// At which offsets a file gives a page.
    pages: Uses<Page, u64>,
    /// Numbers of files.
    files: FxHashMap<String, usize>,
    /// Where mappings lead that nobody announced.
    begun: FxHashMap<Id, Begun>,
    /// The last access: a mapping is mostly used many times in a row.
    last: Option<Last>,
}

/// The page of an access, its walk, and the region that it reached.
type Last = (u64, Id, Option<(Option<Bdf>, Region)>);

/// A page of a BAR as a part of a file gives it that is as long as the BAR.
#[derive(PartialEq, Eq, Hash)]
struct Page {
    file: usize,
    /// The part's number.
    window: u64,
    region: (Bdf, Region),
    page: u64,
    memory_type: Option<MemoryType>,
    on_fault: bool,
}

/// An access to a BAR through a mapping.
#[derive(Clone)]
struct Begun {
    place: Place,
    site: Site,
    /// From virtual to bus addresses.
    distance: u64,
    /// Where the BAR's last page ends.
    end: u64,
}

impl Rule for MmapRange {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn needs(&self) -> &'static [Capability] {
        &[Capability::Effects, Capability::Paths, Capability::ProgramAccesses]
    }

    fn access(&mut self, touch: &Touch<'_>, found: &mut Found<'_>) {
        let (Some(gpa), Some(gva)) = (touch.access.gpa(), touch.access.gva()) else { return };
        let page = (gpa / PAGE, touch.access.walk, touch.place.map(|place| (place.bdf, place.region)));
        if self.last == Some(page) {
            return;
        }
        self.last = Some(page);
        if let Some(begun) = self.left(touch, (gpa, gpa.wrapping_sub(gva)), found) {
            found.by(&ABOUT, begun.site, (&begun.place, touch.access.view.seq), || {
                let (region, device) = (begun.place.region, device(&begun.place));
                let next = touch.place.map_or("where nobody answers".to_owned(), |place| {
                    format!("to {} of {}", register(place), self::device(place))
                });
                format!("{} begins in {region} of {device} and leads {next} behind it.", call(touch))
            });
        }
        let Some((own, other)) = self.two_offsets(touch, found) else { return };
        found.at(&ABOUT, touch.access, || {
            let place = touch.place.map(register).unwrap_or_default();
            let file = touch.access.mapping().and_then(|it| it.of.as_ref()).map_or("", |of| &of.file);
            let (one, two, seq) = (own.what, other.what, other.last);
            format!("Offset {one:#x} of {file} leads to the page of {place}, as offset {two:#x} does by record {seq}.")
        });
    }

    fn event(&mut self, view: &View, found: &mut Found<'_>) {
        if let EventKind::Route { .. } = view.kind {
            // The BAR may be elsewhere now.
            self.forget();
        }
        if let EventKind::Unmap { mapping } = view.kind {
            self.last = None;
            self.pages.undo(mapping);
        }
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
            function: function.map(|function| Arc::new(function.clone())),
            region,
            offset: mapping.physical_address - at.base,
        };
        found.by(&ABOUT, Site::default(), (&place, view.seq), || sentence);
    }

    fn lose(&mut self) {
        self.forget();
    }
}

impl MmapRange {
    fn forget(&mut self) {
        self.pages.clear();
        self.begun.clear();
        self.last = None;
    }

    /// The access with which a mapping began that nobody announced, if this one goes on in it behind that BAR.
    fn left(&mut self, touch: &Touch<'_>, (gpa, distance): (u64, u64), found: &Found<'_>) -> Option<Begun> {
        let access = &touch.access;
        access.mapping().filter(|it| it.path == Path::Mmap && !it.announced)?;
        let id = access.walk()?.mapping?;
        if let Some(begun) = self.begun.get(&id) {
            let place = touch.place.map(|place| (place.bdf, place.region));
            // Another BAR of the function may be meant to follow.
            let is_elsewhere = place.is_none_or(|(bdf, _)| bdf != begun.place.bdf);
            let is_behind = begun.distance == distance && gpa >= begun.end;
            return (is_elsewhere && is_behind).then(|| begun.clone());
        }
        let place = touch.bar().filter(|_| self.begun.len() < MOST)?;
        let at = found.functions.decoded(place.bdf?, place.region)?;
        let end = at.base.saturating_add(at.size).next_multiple_of(PAGE);
        self.begun.insert(id, Begun { place: place.clone(), site: Site::of(access), distance, end });
        None
    }

    /// The offset at which a file gives the page of an access, and another one at which it does so, too.
    fn two_offsets(&mut self, touch: &Touch<'_>, found: &Found<'_>) -> Option<(Use<u64>, Use<u64>)> {
        let page = touch.access.gpa()? / PAGE;
        let place = touch.bar()?;
        let bdf = place.bdf?;
        // Other parts of a file may be other ways to the same BAR.
        let part = found.functions.decoded(bdf, place.region)?.size.max(PAGE);
        let mapping = touch.access.mapping()?;
        let of = mapping.of.as_ref().filter(|_| !matches!(mapping.path, Path::DevMem | Path::Uio))?;
        let within = (touch.access.gva()? & !(PAGE - 1)).checked_sub(mapping.virtual_address)?;
        let offset = of.offset.checked_add(within)?;
        if self.files.len() >= MOST {
            return None;
        }
        let file = match self.files.get(&of.file) {
            Some(file) => *file,
            None => {
                let number = self.files.len();
                *self.files.entry(of.file.clone()).or_insert(number)
            }
        };
        let key = Page {
            file,
            window: offset / part,
            region: (bdf, place.region),
            page,
            memory_type: touch.access.pat(),
            on_fault: mapping.on_fault,
        };
        self.pages.take(key, touch, offset, |one, other| one != other)
    }
}

/// The call that made an access's mapping.
fn call(touch: &Touch<'_>) -> String {
    touch.access.mapping().map(|mapping| format!("{} of {}", mapping.call, mapping.who)).unwrap_or_default()
}

/// The mapping that a program gets, if a record tells of that: `/dev/mem` may map anything.
pub(super) fn user_mapping(view: &View) -> Option<&Mapping> {
    let EventKind::Map { .. } = view.kind else { return None };
    let mapping = view.mapping()?;
    let may_be = mapping.announced && mapping.address_space.is_some() && mapping.path != Path::DevMem;
    may_be.then_some(mapping)
}
