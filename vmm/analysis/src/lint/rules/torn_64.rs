//! 64-bit registers that are read in halves which may not belong together.

use barscope_device::{Bdf, Region, Register};
use barscope_trace::event::{EventKind, Outcome};
use rustc_hash::FxHashMap;

use crate::lint::about::{About, Class};
use crate::lint::finding::{Found, Site, register};
use crate::lint::rule::Rule;
use crate::lint::touch::Touch;
use crate::view::{Place, View};

static ABOUT: About = About {
    name: "torn-64",
    class: Class::Likely,
    title: "64-bit register read in halves that may not belong together",
    looks_for: "one function's reads of the one half and then of the other of a 64-bit register that changes by itself, with \
                no access of the same vCPU in between, and none of the first half right after, by which the function \
                would notice that it moved. Correct where the device keeps the other half still once the first was read: \
                its data sheet says so.",
    why: "Between both reads the low half may overflow: the value is then wrong by 2^32, once in a long while.",
    bug: "Linux on sparc64 read a timer so (9eb3394bf203).",
    example: "
low = readl(bar0 + COUNTER);
high = readl(bar0 + COUNTER + 4);               /* wrong if low went over in between */

do {                                            /* right; or readq, where there is one */
        high = readl(bar0 + COUNTER + 4);
        low = readl(bar0 + COUNTER);
} while (high != readl(bar0 + COUNTER + 4));
",
    advice: "read the upper half again and start over if it changed, or read all 64 bits at once",
    shown_by: "barscope run --scenario counters --trace t",
};

/// So many vCPUs are followed.
const MOST: usize = 256;

/// What each vCPU read last.
#[derive(Default)]
pub(super) struct Torn64(FxHashMap<Option<u8>, Half>);

/// A read of a half.
struct Half {
    register: (Option<Bdf>, Region, u64),
    offset: u64,
    seq: u64,
    function: Option<String>,
    in_handler: bool,
    other: Option<Other>,
}

/// The read of the other one.
struct Other {
    site: Site,
    place: Place,
    seq: u64,
}

impl Rule for Torn64 {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn access(&mut self, touch: &Touch<'_>, found: &mut Found<'_>) {
        let view = touch.access.view;
        let before = if self.0.is_empty() { None } else { self.0.remove(&view.vcpu) };
        // What interrupts a function tells nothing of it.
        let before = before.filter(|before| before.in_handler == view.in_handler());
        let this = read_of_half(touch);
        let key = this.map(|(place, it)| (place.bdf, place.region, it.offset));
        let again = before.filter(|before| {
            let Some(other) = &before.other else { return true };
            let checks = key == Some(before.register) && this.is_some_and(|(place, _)| place.offset == before.offset);
            if !checks {
                let which = if before.offset.is_multiple_of(8) { "lower" } else { "upper" };
                found.by(&ABOUT, other.site, (&other.place, other.seq), || {
                    let (name, first) = (register(&other.place), before.seq);
                    format!("{name} is read in halves, the {which} one first, by record {first}, and not checked after.")
                });
            }
            false
        });
        let (Some((place, _)), Some(key)) = (this.filter(|_| self.0.len() < MOST), key) else { return };
        let function = touch.access.function().map(str::to_owned);
        let first = again.filter(|first| {
            first.register == key
                && first.offset != place.offset
                && function.is_some()
                && first.function == function
        });
        let next = match first {
            Some(first) => {
                let other = Other { site: Site::of(&touch.access), place: place.clone(), seq: view.seq };
                Half { other: Some(other), ..first }
            }
            None => Half {
                register: key,
                offset: place.offset,
                seq: view.seq,
                function,
                in_handler: view.in_handler(),
                other: None,
            },
        };
        self.0.insert(view.vcpu, next);
    }

    fn event(&mut self, view: &View, _: &mut Found<'_>) {
        if let EventKind::IsrEnter { .. } | EventKind::IsrExit { .. } = view.kind {
            self.0.remove(&view.vcpu);
        }
    }

    fn lose(&mut self) {
        self.0.clear();
    }
}

/// Place and register of a read of half of a 64-bit register that changes by itself.
fn read_of_half<'a>(touch: &Touch<'a>) -> Option<(&'a Place, &'a Register)> {
    let is_read = !touch.access.write && !touch.access.coalesced && touch.access.outcome == Outcome::Ok;
    touch.bar_register().filter(|(_, it)| it.size == 8 && it.volatile && touch.access.size == 4 && is_read)
}
