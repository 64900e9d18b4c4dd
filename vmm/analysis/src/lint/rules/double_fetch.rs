//! Registers that one call reads twice.

use barscope_device::{Bdf, Region};
use barscope_trace::Capability;
use barscope_trace::event::Outcome;
use rustc_hash::FxHashMap;

use crate::lint::about::{About, Class};
use crate::lint::finding::{Found, Site, register};
use crate::lint::rule::Rule;
use crate::lint::touch::Touch;

static ABOUT: About = About {
    name: "double-fetch",
    class: Class::Provable,
    title: "Register read twice by one call, as if it were sure to give the same",
    looks_for: "two reads of one register by one call of one function, on different lines of its code or by what it calls, \
                with no write to the device in between, and no read that changes something. The register isn't one that changes by itself or by being read, \
                as far as its map says. A call ends where the code goes back: reads in a loop are none. What the driver \
                does with both values, no trace shows.",
    why: "If the first value was checked and the second one is used, a device that answers otherwise the second time (a faulty \
          or a hostile one) gets past the check.",
    bug: "Lu, Wang and others looked through Linux's drivers for such reads, and had four of them fixed (Untrusted Hardware \
          Causes Double-Fetch Problems in the I/O Memory, JCST 2018).",
    example: "
if (readl(bar0 + LENGTH) > sizeof(buffer))      /* a site */
        return -EIO;
memcpy_fromio(buffer, bar2, readl(bar0 + LENGTH));

length = readl(bar0 + LENGTH);                  /* none */
if (length > sizeof(buffer))
        return -EIO;
memcpy_fromio(buffer, bar2, length);
",
    advice: "read it once, and use what was checked",
    shown_by: "barscope run --bug status-read-twice --trace t",
};

/// So many functions are followed, and so many registers of each.
const MOST: usize = 256;

/// The last read of each register since the last write to its device.
#[derive(Default)]
pub(super) struct DoubleFetch(FxHashMap<Bdf, FxHashMap<(Region, u64, u8), Fetch>>);

struct Fetch {
    call: u64,
    line: u64,
    seq: u64,
}

impl Rule for DoubleFetch {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn needs(&self) -> &'static [Capability] {
        &[Capability::Functions]
    }

    fn access(&mut self, touch: &Touch<'_>, found: &mut Found<'_>) {
        let Some(bdf) = touch.place.and_then(|place| place.bdf) else { return };
        if touch.access.write || touch.access.read_modify_write {
            self.0.remove(&bdf);
            return;
        }
        let Some((place, it)) = touch.bar_register() else { return };
        if it.access.read_has_side_effect() {
            self.0.remove(&bdf);
            return;
        }
        if it.volatile || !it.access.readable() || touch.access.outcome != Outcome::Ok {
            return;
        }
        let Some(call) = touch.call else { return };
        if self.0.len() >= MOST && !self.0.contains_key(&bdf) {
            return;
        }
        let reads = self.0.entry(bdf).or_default();
        let key = (place.region, place.offset, touch.access.size);
        if reads.len() >= MOST && !reads.contains_key(&key) {
            return;
        }
        let seq = touch.access.view.seq;
        let before = reads.insert(key, Fetch { call: call.id, line: call.line, seq });
        let Some(before) = before.filter(|it| it.call == call.id && it.line != call.line) else { return };
        found.by(&ABOUT, Site::of(&touch.access), (place, seq), || {
            format!("{} is read again, after record {} by the same call.", register(place), before.seq)
        });
    }

    fn lose(&mut self) {
        self.0.clear();
    }
}
