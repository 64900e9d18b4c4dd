//! Accesses that a device refuses for their width or alignment.

use barscope_trace::event::Outcome;

use crate::lint::about::{About, Class};
use crate::lint::finding::{Found, register};
use crate::lint::rule::Rule;
use crate::lint::touch::Touch;

static ABOUT: About = About {
    name: "wrong-width",
    class: Class::Certain,
    title: "Register access of a width or alignment that the device refuses",
    looks_for: "an access to a BAR that the device refused: narrower or wider than the register, unaligned, or across the \
                end of the BAR. A byte copy over registers is many of them. Silent where the device answers, whatever \
                the register map says: of another tracer's trace nobody knows that it was refused.",
    why: "What a device does with such an access is its own affair: it ignores it, takes neighbours with it, or reports an \
          error.",
    bug: "Linux's tpm drivers copied registers with memcpy_fromio, which isn't bound to any width (170d13ca3a2f, \
          c228d294f204).",
    example: "
memcpy_fromio(&state, bar0, sizeof(state));     /* wrong: by bytes, or as the machine likes */

for (i = 0; i < words; i++)
        state[i] = readl(bar0 + 4 * i);         /* right */
",
    advice: "access a register as its data sheet says: readl and writel for 32 bits, __ioread32_copy for many",
    shown_by: "barscope poke lab read1 BAR0.SCRATCH --trace t",
};

pub(super) struct WrongWidth;

impl Rule for WrongWidth {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn access(&mut self, touch: &Touch<'_>, found: &mut Found<'_>) {
        let why = match touch.access.outcome {
            Outcome::Width => "which the register doesn't take",
            Outcome::Alignment => "which isn't aligned",
            Outcome::Straddles => "which crosses the end of the BAR",
            _ => return,
        };
        let Some(place) = touch.bar() else { return };
        let what = if touch.access.write { "write" } else { "read" };
        let bytes = match touch.access.size {
            1 => "1 byte".to_owned(),
            size => format!("{size} bytes"),
        };
        found.at(&ABOUT, touch.access, || {
            format!("A {what} of {bytes} at {place}, {}, {why}: the device refused it.", register(place))
        });
    }
}
