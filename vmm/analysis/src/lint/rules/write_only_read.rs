//! Reads of registers that can't be read.

use barscope_device::Access;
use barscope_trace::event::Outcome;

use crate::lint::about::{About, Class};
use crate::lint::finding::{Found, register};
use crate::lint::rule::Rule;
use crate::lint::touch::Touch;

static ABOUT: About = About {
    name: "write-only-read",
    class: Class::Certain,
    title: "Write-only register read",
    looks_for: "a read of a BAR's register that the register map calls write-only. A read-modify-write instruction reads, too.",
    why: "The value that comes back isn't the register's: all-ones, the last word on the bus, or another register. Who \
          changes a bit of it and writes it back writes garbage.",
    bug: "None with a number of its own: data sheets mark such registers (doorbells, set and clear registers of masks), \
          and a register map holds it.",
    example: "
writel(readl(bar0 + DOORBELL) | 1, bar0 + DOORBELL);    /* wrong */

writel(1, bar0 + DOORBELL);                             /* right */
",
    advice: "write the whole value, or keep what was written in the driver's own memory; leave the register out of dumps",
    shown_by: "barscope poke lab read BAR0.TRIGGER --trace t",
};

pub(super) struct WriteOnlyRead;

impl Rule for WriteOnlyRead {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn access(&mut self, touch: &Touch<'_>, found: &mut Found<'_>) {
        let answered = matches!(touch.access.outcome, Outcome::Ok | Outcome::WriteOnly);
        if touch.access.write || !answered {
            return;
        }
        let Some((place, it)) = touch.bar_register() else { return };
        if it.access == Access::WriteOnly {
            found.at(&ABOUT, touch.access, || {
                format!("{} is read, which can only be written.", register(place))
            });
        }
    }
}
