//! Ones that are written to reserved bits, and registers that aren't there.

use barscope_device::{Access, Bdf, Region, Register};
use barscope_trace::event::Outcome;
use rustc_hash::FxHashMap;

use crate::lint::about::{About, Class};
use crate::lint::finding::{Found, register};
use crate::lint::rule::Rule;
use crate::lint::touch::Touch;

static ABOUT: About = About {
    name: "reserved-write",
    class: Class::Certain,
    title: "Reserved bits written as ones, or a reserved register accessed",
    looks_for: "an access to a BAR where the register map has no register, and a write of ones to bits that none of the \
                register's fields has. Ones that a read of the register gave may be written back: that is how reserved \
                bits are preserved. So may all-ones to a register whose ones clear, or that is write-only: everybody \
                does. Of reserved bits of what can be read it says nothing once records are missing: a read may have given them.",
    why: "The next revision of the device gives the bit a meaning, and an old driver switches it on. In this one it may be \
          a test mode.",
    bug: "None with a number of its own: data sheets say it of each register, and a register map holds it.",
    example: "
writel(ENABLE | 0x80000000, bar0 + CONTROL);    /* wrong: bit 31 has no meaning */

control = readl(bar0 + CONTROL);
writel(control | ENABLE, bar0 + CONTROL);       /* right: preserves what is reserved */
",
    advice: "write reserved bits as they were read, or as zero, as the data sheet says; access only what it names",
    shown_by: "barscope poke lab write BAR0.CONTROL 0x80000000 --trace t",
};

/// So many registers are followed.
const MOST: usize = 4096;

#[derive(Default)]
pub(super) struct ReservedWrite {
    /// Reserved bits that reads gave as ones.
    seen: FxHashMap<(Option<Bdf>, Region, u64), u64>,
    lost: bool,
}

impl Rule for ReservedWrite {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn access(&mut self, touch: &Touch<'_>, found: &mut Found<'_>) {
        let Some(place) = touch.bar() else { return };
        if touch.access.outcome == Outcome::Reserved {
            let what = if touch.access.write { "write" } else { "read" };
            found.at(&ABOUT, touch.access, || format!("A {what} of {place}, where no register is."));
            return;
        }
        let Some((_, it)) = touch.bar_register().filter(|_| touch.access.outcome == Outcome::Ok) else {
            return;
        };
        // A read that is missing may have given what is written.
        if it.fields.is_empty() || self.lost && it.access.readable() {
            return;
        }
        let shift = 8 * place.offset.saturating_sub(it.offset).min(7);
        let ones = touch.access.value.checked_shl(shift as u32).unwrap_or(0) & reserved(it);
        let key = (place.bdf, place.region, it.offset);
        if !touch.access.write {
            if ones != 0 {
                if self.seen.len() < MOST {
                    *self.seen.entry(key).or_default() |= ones;
                } else {
                    self.lost = true;
                }
            }
            return;
        }
        if ones == 0 || is_idiom(it, touch) {
            return;
        }
        let made_up = ones & !it.reset & !self.seen.get(&key).copied().unwrap_or(0);
        if made_up != 0 {
            found.at(&ABOUT, touch.access, || {
                format!("{} is written with ones in reserved bits: {made_up:#x}.", register(place))
            });
        }
    }

    fn lose(&mut self) {
        self.lost = true;
    }
}

/// Bits of a register that no field has.
fn reserved(register: &Register) -> u64 {
    let whole = if register.size >= 8 { u64::MAX } else { (1 << (8 * register.size)) - 1 };
    register.fields.iter().fold(whole, |rest, field| rest & !field.mask())
}

/// All-ones, where ones clear or nothing can be preserved.
fn is_idiom(register: &Register, touch: &Touch<'_>) -> bool {
    let ones = u64::MAX >> (64 - 8 * u32::from(touch.access.size.clamp(1, 8)));
    matches!(register.access, Access::WriteOneToClear | Access::WriteOnly) && touch.access.value == ones
}
