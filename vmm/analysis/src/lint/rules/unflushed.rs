//! Posted writes that nobody waits for where it matters.

use std::ops::Range;

use barscope_device::{Access, Bdf};
use barscope_trace::Capability;
use barscope_trace::event::{EventKind, Target};
use rustc_hash::FxHashMap;

use crate::lint::about::{About, Class};
use crate::lint::finding::{Found, Site, register};
use crate::lint::mappings::{KernelMappings, Remapped};
use crate::lint::rule::Rule;
use crate::lint::runs::{Run, Runs};
use crate::lint::touch::Touch;
use crate::view::{Place, View};

static ABOUT: About = About {
    name: "unflushed",
    class: Class::Likely,
    title: "Write that may still be on its way when the driver takes it for done",
    looks_for: "two places, by order only, as an emulated device gets every write at once. A handler of INTx that \
                reads nothing of the function, and whose last access to it is the write that takes its pin back: it \
                ends with the pin still asserted, and the next run takes that for another interrupt. And a write that \
                only clears bits of a register that holds what is written, as the last access to a function before the \
                kernel undoes its last mapping of that register: what was to be off may still be on when buffers and \
                handlers go. A write to memory that nothing of the same function follows is posted; a read of it, and \
                any access to its ports or its configuration space, come after the write. Silent about the handler of \
                a message, one that reads first and so finds out that there is nothing to do, and where records are \
                missing.",
    why: "A write to memory is posted: bridges hold it for as long as they like, and the processor goes on. Only a \
          read of the same device has to wait until it has arrived.",
    bug: "Linux's qla1280 disables its interrupts by a write, and reads the register back before it relies on that \
          (Documentation/driver-api/device-io.rst tells of it). FreeBSD rS291444 is another case.",
    example: "
writel(0, bar0 + INT_MASK);                     /* wrong: may still interrupt */
iounmap(bar0);

writel(0, bar0 + INT_MASK);                     /* right */
readl(bar0 + INT_MASK);
iounmap(bar0);
",
    advice: "read a register of the device after the write",
    shown_by: "barscope run --bug missing-read-back --trace t",
};

/// So many functions are followed, and so many that one run of a handler writes to.
const MOST: usize = 256;
const TOUCHED: usize = 16;

#[derive(Default)]
pub(super) struct Unflushed {
    runs: Runs<Vec<Seen>>,
    mappings: KernelMappings,
    /// The last access to a function, if it was a write.
    posted: FxHashMap<Bdf, Option<Posted>>,
}

/// What a handler does with a function.
struct Seen {
    bdf: Bdf,
    only_writes: bool,
    /// Its last access, if that was a posted write.
    last: Option<Posted>,
}

/// A posted write.
#[derive(Clone)]
struct Posted {
    place: Place,
    site: Site,
    seq: u64,
    address: Range<u64>,
    /// It only cleared bits.
    clears: bool,
    /// It took back the pin.
    lowers: bool,
}

impl Rule for Unflushed {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn needs(&self) -> &'static [Capability] {
        &[Capability::Handlers, Capability::KernelMappings, Capability::Effects, Capability::Configuration]
    }

    fn access(&mut self, touch: &Touch<'_>, found: &mut Found<'_>) {
        if let Some(run) = self.runs.step(&touch.access) {
            end(&run, touch.access.view.seq, found);
        }
        let Some(bdf) = touch.place.and_then(|place| place.bdf) else { return };
        let is_posted = reaches_memory(touch).is_some();
        if let Some(run) = self.runs.of(&touch.access) {
            match run.seen.iter().position(|seen| seen.bdf == bdf) {
                Some(at) => {
                    run.seen[at].only_writes &= is_posted;
                    run.seen[at].last = posted(touch);
                }
                None if run.seen.len() < TOUCHED => {
                    run.seen.push(Seen { bdf, only_writes: is_posted, last: posted(touch) });
                }
                None => (),
            }
        }
        if let Some(known) = self.posted.get_mut(&bdf) {
            if !known.as_mut().is_some_and(|known| known.goes_on(touch)) {
                *known = posted(touch);
            }
        } else if is_posted && self.posted.len() < MOST {
            self.posted.insert(bdf, posted(touch));
        }
    }

    fn event(&mut self, view: &View, found: &mut Found<'_>) {
        match view.kind {
            EventKind::IsrEnter { vector } => self.runs.enter(view.vcpu, vector, view.seq),
            EventKind::IsrExit { vector } => {
                if let Some(run) = self.runs.exit(view.vcpu, vector) {
                    end(&run, view.seq, found);
                }
            }
            EventKind::Change { old, new, cause, .. } => {
                let bdf = view.place.as_ref().and_then(|place| place.bdf);
                if let Some(posted) = bdf.and_then(|bdf| self.posted.get_mut(&bdf)?.as_mut())
                    && posted.seq == cause
                    && view.place.as_ref().and_then(Place::register) == posted.place.register()
                {
                    let plain = posted.place.register().is_some_and(|it| it.access == Access::ReadWrite);
                    posted.clears = plain && new & !old == 0;
                }
            }
            EventKind::Intx { asserted: false, cause, .. } => {
                let writes =
                    self.runs.all().flat_map(|run| &mut run.seen).filter_map(|seen| seen.last.as_mut());
                writes.filter(|last| last.seq == cause).for_each(|last| last.lowers = true);
            }
            _ => {
                if let Some(Remapped::Undone(range)) = self.mappings.event(view) {
                    self.undone(&range, view.seq, found);
                }
            }
        }
    }

    fn lose(&mut self) {
        self.runs.lose();
        self.mappings.lose();
        self.posted.clear();
    }
}

impl Unflushed {
    /// The kernel undoes a mapping.
    fn undone(&mut self, range: &Range<u64>, seq: u64, found: &mut Found<'_>) {
        for posted in self.posted.values().flatten().filter(|posted| posted.clears) {
            if !range.contains(&posted.address.start) || self.mappings.reach(&posted.address) {
                continue;
            }
            found.by(&ABOUT, posted.site, (&posted.place, posted.seq), || {
                let name = register(&posted.place);
                format!("A write clears bits of {name}, nothing waits for it, and record {seq} undoes the mapping.")
            });
        }
    }
}

/// A handler ends.
fn end(run: &Run<Vec<Seen>>, seq: u64, found: &mut Found<'_>) {
    for seen in run.seen.iter().filter(|seen| seen.only_writes) {
        let Some(last) = seen.last.as_ref().filter(|last| last.lowers) else { continue };
        found.by(&ABOUT, last.site, (&last.place, last.seq), || {
            let name = register(&last.place);
            format!(
                "A write to {name} takes the pin back, and the handler ends at record {seq} without having read anything."
            )
        });
    }
}

/// A posted write: to a BAR in memory.
fn posted(touch: &Touch<'_>) -> Option<Posted> {
    let (place, address) = reaches_memory(touch)?;
    let (site, seq) = (Site::of(&touch.access), touch.access.view.seq);
    Some(Posted { place: place.clone(), site, seq, address, clears: false, lowers: false })
}

/// The place of such a write, and its bus addresses.
fn reaches_memory<'a>(touch: &Touch<'a>) -> Option<(&'a Place, Range<u64>)> {
    let place = touch.bar().filter(|_| touch.access.write)?;
    let Target::Memory(start) = touch.access.target else { return None };
    Some((place, start..start.saturating_add(touch.access.size.into())))
}

impl Posted {
    /// Becomes the next one, if that is to the same region.
    fn goes_on(&mut self, touch: &Touch<'_>) -> bool {
        let same = |place: &Place| {
            place.region == self.place.region
                && place.bdf == self.place.bdf
                && place.function == self.place.function
        };
        let Some((place, address)) = reaches_memory(touch).filter(|(place, _)| same(place)) else {
            return false;
        };
        (self.place.offset, self.address) = (place.offset, address);
        (self.site, self.seq) = (Site::of(&touch.access), touch.access.view.seq);
        (self.clears, self.lowers) = (false, false);
        true
    }
}
