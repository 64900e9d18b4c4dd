//! Reads after which a driver goes on without a sign that it would have noticed that nothing answered.

use barscope_device::{Access, Register};
use barscope_trace::Capability;
use barscope_trace::event::{EventKind, Outcome};
use rustc_hash::FxHashMap;

use crate::lint::about::{About, Class};
use crate::lint::calls::{Call, Runner};
use crate::lint::finding::{Found, Site, register};
use crate::lint::rule::Rule;
use crate::lint::touch::{Touch, whole};
use crate::view::{Place, View};

static ABOUT: About = About {
    name: "all-ones-trusted",
    class: Class::Provable,
    title: "Register that can't hold all-ones read, and the call goes on whatever it gave",
    looks_for: "a read of a register some of whose bits are reserved, so that it never holds all-ones, after which the same \
                call makes another access to the device. A driver may well have looked at the value: a trace shows it only \
                where it was all-ones once and the call stopped, or where the next read is that of an identification \
                (ID, VERSION, the Vendor ID), by which drivers ask whether anybody is there. Such reads are no sites, \
                nor are those that are just repeated, and those of \
                MSI-X tables, which are the kernel's.",
    why: "A device that was unplugged, or whose link is down, answers all-ones. They look like every cause at once, every \
          flag, the greatest length.",
    bug: "Linux's igc warns of all-ones in igc_rd32 and gives them to its callers, which go on: igc_update_stats adds them to \
          its counters. SPDK's NVMe driver went on with a disk that was pulled out (spdk#231).",
    example: "
status = readl(bar0 + STATUS);                  /* a site */
if (status & DONE)
        result = readl(bar0 + RESULT);

status = readl(bar0 + STATUS);                  /* none, once a trace has shown it */
if (PCI_POSSIBLE_ERROR(status))
        return -ENODEV;
",
    advice: "compare what was read with all-ones (PCI_POSSIBLE_ERROR), and give up if the device is gone",
    shown_by: "barscope run --scenario fifo --trace t",
};

/// So many vCPUs are followed.
const MOST: usize = 512;

/// The last access of each, if it was such a read.
#[derive(Default)]
pub(super) struct AllOnesTrusted(FxHashMap<Runner, Option<Read>>);

struct Read {
    place: Place,
    site: Site,
    seq: u64,
    call: Call,
    all_ones: bool,
}

impl Rule for AllOnesTrusted {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn needs(&self) -> &'static [Capability] {
        &[Capability::Functions]
    }

    fn access(&mut self, touch: &Touch<'_>, found: &mut Found<'_>) {
        let Some(call) = touch.call else { return };
        if let Some(read) = self.0.get_mut(&call.runner).and_then(Option::take) {
            judge(&read, touch, call, found);
        }
        let Some((place, it)) = touch.bar_register() else { return };
        let never =
            reserved(it) != 0 && !it.name.starts_with("MSIX") && it.size == u64::from(touch.access.size);
        let answered = matches!(touch.access.outcome, Outcome::Ok) && it.access.readable();
        if touch.access.write
            || touch.access.read_modify_write
            || !never
            || !answered
            || self.0.len() >= MOST && !self.0.contains_key(&call.runner)
        {
            return;
        }
        let read = Read {
            place: place.clone(),
            site: Site::of(&touch.access),
            seq: touch.access.view.seq,
            call,
            all_ones: touch.access.value == whole(it.size),
        };
        self.0.insert(call.runner, Some(read));
    }

    fn event(&mut self, view: &View, found: &mut Found<'_>) {
        // A handler that is at its end has stopped.
        if let EventKind::IsrExit { .. } = view.kind
            && let Some(read) = self.0.remove(&(view.vcpu, true)).flatten().filter(|read| read.all_ones)
        {
            found.guarded(&ABOUT, read.site, &read.place);
        }
    }

    fn lose(&mut self) {
        self.0.clear();
    }
}

/// What the access that follows tells of a read.
fn judge(read: &Read, touch: &Touch<'_>, call: Call, found: &mut Found<'_>) {
    let of_device = touch.place.is_some_and(|place| place.bdf == read.place.bdf);
    let stopped = call.function != read.call.function;
    let again = !touch.access.write && touch.place == Some(&read.place);
    let goes_on = call.id == read.call.id && of_device && !again;
    if read.all_ones && stopped || goes_on && asks_who_is_there(touch) {
        found.guarded(&ABOUT, read.site, &read.place);
    } else if goes_on {
        found.by(&ABOUT, read.site, (&read.place, read.seq), || {
            let next = touch.place.map(register).unwrap_or_default();
            let how = if touch.access.write { "writes" } else { "reads" };
            format!("{} is read, and then the call {how} {next}.", register(&read.place))
        });
    }
}

/// Whether a driver asks by this access whether the device is there.
fn asks_who_is_there(touch: &Touch<'_>) -> bool {
    let Some(it) = touch.register.filter(|_| !touch.access.write) else { return false };
    let vendor = touch.configuration().is_some_and(|place| place.offset == 0);
    vendor || it.access == Access::ReadOnly && !it.volatile && it.reset != 0 && it.fields.is_empty()
}

/// Bits that no field has, of a register that has fields.
fn reserved(it: &Register) -> u64 {
    if it.fields.is_empty() {
        return 0;
    }
    let fields = it.fields.iter().fold(0, |bits, field| bits | field.mask());
    whole(it.size) & !fields
}
