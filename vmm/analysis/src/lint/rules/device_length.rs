//! Values from a device that decide what is written or transferred.

use barscope_device::{Bdf, Region};
use barscope_trace::Capability;
use barscope_trace::event::{EventKind, Outcome};
use rustc_hash::FxHashMap;

use super::early_interrupt::is_about_interrupts;
use crate::lint::about::{About, Class};
use crate::lint::calls::Runner;
use crate::lint::finding::{Found, Site, register};
use crate::lint::rule::Rule;
use crate::lint::touch::{Touch, whole};
use crate::view::{Place, View};

static ABOUT: About = About {
    name: "device-length",
    class: Class::Provable,
    title: "Value from the device as value, offset or length of what is done next",
    looks_for: "a value that a call reads from a register, and that is, in the same call, the value of a write to another \
                register, the offset of an access in a range of plain bytes, or address or length of a transfer. Equal \
                by chance it may be: so values below 16 and all-ones don't count, nor does what the register holds \
                after reset, what the driver wrote there itself, or causes of interrupts, which are written to \
                acknowledge them. What a driver computes from a value isn't followed.",
    why: "A driver that doesn't hold the value against what it may be reads and writes wherever a faulty or hostile device \
          wants.",
    bug: "Linux's atlantic took a length from its device as it came, and wrote past a buffer (CVE-2021-43975).",
    example: "
offset = readl(bar0 + OFFSET);                  /* a site, checked or not: */
writel(data, bar2 + offset);                    /* wrong */

if (offset > BAR2_SIZE - sizeof(data))          /* right */
        return -EIO;
writel(data, bar2 + offset);
",
    advice: "hold what the device says against the size of what it is used for, by subtraction",
    shown_by: "barscope run --scenario interrupt --bug result-trusted --trace t",
};

/// So many vCPUs and functions are followed, and so many registers of each.
const MOST: usize = 256;
/// So many values of a call are remembered.
const VALUES: usize = 16;
/// The least value that says something.
const LEAST: u64 = 16;

type Key = (Region, u64);

#[derive(Default)]
pub(super) struct DeviceLength {
    calls: FxHashMap<Runner, Values>,
    /// What was last written to registers.
    written: FxHashMap<Bdf, FxHashMap<Key, u64>>,
}

/// What a call has read, oldest first.
struct Values {
    call: u64,
    read: Vec<Value>,
    /// The last access, which may start a transfer.
    last: (u64, Site),
}

struct Value {
    value: u64,
    place: Place,
    seq: u64,
}

impl Rule for DeviceLength {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn needs(&self) -> &'static [Capability] {
        &[Capability::Functions]
    }

    fn access(&mut self, touch: &Touch<'_>, found: &mut Found<'_>) {
        let (Some(place), Some(call)) = (touch.bar(), touch.call) else { return };
        let Some(bdf) = place.bdf.filter(|_| touch.access.outcome == Outcome::Ok) else { return };
        if self.calls.len() >= MOST && !self.calls.contains_key(&call.runner) {
            return;
        }
        let (seq, value) = (touch.access.view.seq, touch.access.value);
        let last = (seq, Site::of(&touch.access));
        let new = || Values { call: call.id, read: Vec::new(), last };
        let values = self.calls.entry(call.runner).or_insert_with(new);
        if values.call != call.id {
            *values = new();
        }
        values.last = last;
        values.judge(touch, place, found);
        let key = (place.region, place.offset);
        let Some((_, it)) = touch.bar_register() else { return };
        if touch.access.write {
            if self.written.len() < MOST || self.written.contains_key(&bdf) {
                let written = self.written.entry(bdf).or_default();
                if written.len() < MOST || written.contains_key(&key) {
                    written.insert(key, value);
                }
            }
            return;
        }
        let own = self.written.get(&bdf).and_then(|written| written.get(&key)) == Some(&value);
        let says_something = value >= LEAST && value != whole(touch.access.size.into()) && value != it.reset;
        if says_something && !own && !is_about_interrupts(&it.name) {
            if values.read.len() >= VALUES {
                values.read.remove(0);
            }
            values.read.push(Value { value, place: place.clone(), seq });
        }
    }

    fn event(&mut self, view: &View, found: &mut Found<'_>) {
        let EventKind::Dma { address, length, cause, .. } = view.kind else { return };
        let Some(values) = self.calls.values().find(|values| values.last.0 == cause && cause != 0) else {
            return;
        };
        for (what, of) in [("long", length), ("the address", address)] {
            let Some(read) = values.read.iter().rfind(|read| read.value == of) else { continue };
            found.by(&ABOUT, values.last.1, (&read.place, read.seq), || {
                let (name, seq) = (register(&read.place), view.seq);
                match what {
                    "long" => format!("{name} gives {of:#x}, and the transfer of record {seq} is as long."),
                    _ => {
                        format!("{name} gives {of:#x}, and the transfer of record {seq} is to or from there.")
                    }
                }
            });
        }
    }

    fn lose(&mut self) {
        *self = Self::default();
    }
}

impl Values {
    /// Whether an access is by what was read before it.
    fn judge(&self, touch: &Touch<'_>, place: &Place, found: &mut Found<'_>) {
        let Some(it) = touch.register else { return };
        let (seq, value) = (touch.access.view.seq, touch.access.value);
        let site = Site::of(&touch.access);
        let at = if it.memory { place.offset - it.offset } else { 0 };
        for read in self.read.iter().rev() {
            let (name, of) = (register(&read.place), read.seq);
            if it.memory && read.value == at {
                found.by(&ABOUT, site, (place, seq), || {
                    format!("{} is accessed at {at:#x}, which record {of} read from {name}.", register(place))
                });
                return;
            }
            let other = read.place != *place && !is_about_interrupts(&it.name);
            if touch.access.write && other && read.value == value {
                found.by(&ABOUT, site, (place, seq), || {
                    format!("{} is written {value:#x}, which record {of} read from {name}.", register(place))
                });
                return;
            }
        }
    }
}
