//! Polls that were never seen to be given up.

use barscope_trace::Capability;
use barscope_trace::event::Outcome;
use rustc_hash::FxHashMap;

use crate::lint::about::{About, Class};
use crate::lint::calls::Runner;
use crate::lint::finding::{Found, Site, register};
use crate::lint::rule::Rule;
use crate::lint::touch::Touch;
use crate::view::Place;

static ABOUT: About = About {
    name: "unbounded-poll",
    class: Class::Provable,
    title: "Poll that was never seen to be given up",
    looks_for: "four or more reads in a row by one line of code (or instruction, if lines aren't known), called from the same \
                place, that give the same value of one register, until it gives another one. A poll that ends, anywhere in the trace, though the value stayed as \
                it was, has a way out, by a count or a clock, and is no site; neither is one with other accesses between \
                the reads, which may be of a clock. A way out that was never taken, no trace shows.",
    why: "If the value never comes, the processor hangs there.",
    bug: "Linux's rtc-snvs waited for a counter that doesn't tick once its clock is off, and hung (cd7f3a249dbe bounds it).",
    example: "
while (readl(bar0 + STATUS) & BUSY)             /* a site */
        cpu_relax();

error = readl_poll_timeout(bar0 + STATUS, status, !(status & BUSY), 10, 1000);  /* none, once it ran out */
",
    advice: "give up after a time that the data sheet allows: readl_poll_timeout",
    shown_by: "barscope run --scenario forgotten-acknowledgement --trace t",
};

/// So many reads are a poll.
const POLL: u64 = 4;
/// So many vCPUs are followed.
const MOST: usize = 512;

/// What each reads again and again.
#[derive(Default)]
pub(super) struct UnboundedPoll(FxHashMap<Runner, Poll>);

struct Poll {
    line: u64,
    site: Site,
    place: Place,
    value: u64,
    first: u64,
    reads: u64,
}

impl Rule for UnboundedPoll {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn needs(&self) -> &'static [Capability] {
        &[Capability::Functions]
    }

    fn access(&mut self, touch: &Touch<'_>, found: &mut Found<'_>) {
        let Some(call) = touch.call else { return };
        let (polled, value) = (polled(touch), touch.access.value);
        let again = |poll: &Poll| poll.line == call.line && polled.is_some_and(|place| poll.place == *place);
        if let Some(poll) = self.0.get_mut(&call.runner) {
            let again = again(poll);
            if again && poll.value == value {
                poll.reads += 1;
                return;
            }
            if poll.reads >= POLL && again {
                found.by(&ABOUT, poll.site, (&poll.place, poll.first), || {
                    let (name, reads) = (register(&poll.place), poll.reads);
                    format!("{name} is read {reads} times as {:#x}, until it is {value:#x}.", poll.value)
                });
            } else if poll.reads >= POLL {
                found.guarded(&ABOUT, poll.site, &poll.place);
            }
        }
        let Some(place) = polled.filter(|_| self.0.len() < MOST || self.0.contains_key(&call.runner)) else {
            self.0.remove(&call.runner);
            return;
        };
        let (line, site, first) = (call.line, Site::of(&touch.access), touch.access.view.seq);
        let begin = || Poll { line, site, place: place.clone(), value, first, reads: 1 };
        let poll = self.0.entry(call.runner).or_insert_with(begin);
        if poll.place == *place {
            (poll.line, poll.site, poll.value, poll.first, poll.reads) = (line, site, value, first, 1);
        } else {
            *poll = begin();
        }
    }

    fn lose(&mut self) {
        self.0.clear();
    }
}

/// The place of a read of a register.
fn polled<'a>(touch: &Touch<'a>) -> Option<&'a Place> {
    let is_read = !touch.access.write && !touch.access.read_modify_write;
    let answered = touch.access.outcome == Outcome::Ok;
    touch.bar_register().filter(|_| is_read && answered).map(|(place, _)| place)
}
