//! Bits of a register whose ones clear that are cleared since they were read, along with the one that was meant.

use barscope_device::{Access, Bdf, Region};
use barscope_trace::event::Outcome;
use rustc_hash::FxHashMap;

use crate::lint::about::{About, Class};
use crate::lint::finding::{Found, Site, register};
use crate::lint::rule::Rule;
use crate::lint::touch::Touch;

static ABOUT: About = About {
    name: "w1c-write-back",
    class: Class::Likely,
    title: "A bit set in a register whose ones clear, and with it all that were pending cleared",
    looks_for: "a read-modify-write instruction, or a read and a write right after it, by which a bit is OR-ed into a \
                register whose ones clear: what is written is what was read, and the same further bits at each of two \
                different values that were read. Silent about a handler that writes back just what it read, or always the \
                same mask: that is how causes are acknowledged. Correct where all are to be cleared anyway.",
    why: "Bits that nobody looked at are cleared, and their causes are lost.",
    bug: "barebox's imx-esdhc.",
    example: "
writel(readl(bar0 + STATUS) | DONE, bar0 + STATUS);     /* wrong: clears ERROR, too */

writel(DONE, bar0 + STATUS);                            /* right */
",
    advice: "write the bits to be cleared, and zeros for the others",
    shown_by: "barscope run --bug cause-added --trace t",
};

/// So many vCPUs are followed, and so many places in code.
const MOST: usize = 1024;

type Key = (Option<Bdf>, Region, u64);

#[derive(Default)]
pub(super) struct W1cWriteBack {
    /// The last read of each vCPU, if it was of such a register: what it gave.
    read: FxHashMap<Option<u8>, (Key, u64)>,
    /// For each place in code that wrote more than was read: what was read, and what was added.
    wrote: FxHashMap<(Site, Key), (u64, u64)>,
}

impl Rule for W1cWriteBack {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn access(&mut self, touch: &Touch<'_>, found: &mut Found<'_>) {
        let view = touch.access.view;
        let before = if self.read.is_empty() { None } else { self.read.remove(&view.vcpu) };
        let Some((place, it)) = touch.bar_register().filter(|(_, it)| it.access == Access::WriteOneToClear)
        else {
            return;
        };
        if touch.access.outcome != Outcome::Ok
            || touch.access.coalesced
            || u64::from(touch.access.size) != it.size
        {
            return;
        }
        let (key, value) = ((place.bdf, place.region, it.offset), touch.access.value);
        if !touch.access.write {
            if self.read.len() < MOST {
                self.read.insert(view.vcpu, (key, value));
            }
            return;
        }
        let Some((_, read)) = before.filter(|(known, _)| *known == key) else { return };
        let added = value & !read;
        if read == 0 || value & read != read || added == 0 {
            return;
        }
        let site = (Site::of(&touch.access), key);
        let twice = self.wrote.get(&site).is_some_and(|(other, same)| *other != read && *same == added);
        if touch.access.read_modify_write || twice {
            found.at(&ABOUT, touch.access, || {
                format!("{} gives {read:#x} and is written {value:#x}: {read:#x} is cleared along with {added:#x}.", register(place))
            });
        } else if self.wrote.len() < MOST || self.wrote.contains_key(&site) {
            self.wrote.insert(site, (read, added));
        }
    }

    fn lose(&mut self) {
        self.read.clear();
    }
}
