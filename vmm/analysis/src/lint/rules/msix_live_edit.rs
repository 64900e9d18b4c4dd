//! MSI-X messages that are changed while their vector may send them.

use std::collections::BTreeMap;

use barscope_device::{Bdf, Region, is_msix_register};
use barscope_trace::event::Outcome;

use crate::lint::about::{About, Class};
use crate::lint::finding::{Found, Site, register};
use crate::lint::rule::Rule;
use crate::lint::touch::Touch;
use crate::view::Place;

static ABOUT: About = About {
    name: "msix-live-edit",
    class: Class::Certain,
    title: "MSI-X address or data changed while the vector is unmasked",
    looks_for: "a write to the address or the data of an entry of an MSI-X table that gives it another value than it is \
                known to have, while MSI-X is enabled, the function isn't masked, and the entry isn't either: all as the \
                trace itself tells. Silent where one of them isn't known, or records are missing.",
    why: "What the function sends while one half is new and the other is old goes to the wrong processor or has the wrong \
          vector; the specification leaves it undefined (PCI Local Bus 3.0, section 6.8.3.2).",
    bug: "Linux changed the affinity of interrupts so, until its irq-urgent-2021-08-15 fixes.",
    example: "
writel(data, entry + PCI_MSIX_ENTRY_DATA);                      /* wrong */

writel(PCI_MSIX_ENTRY_CTRL_MASKBIT, entry + PCI_MSIX_ENTRY_VECTOR_CTRL);
readl(entry + PCI_MSIX_ENTRY_VECTOR_CTRL);
writel(data, entry + PCI_MSIX_ENTRY_DATA);                      /* right */
writel(0, entry + PCI_MSIX_ENTRY_VECTOR_CTRL);
",
    advice: "mask the vector, read back, change the message, unmask it; or leave that to irq_set_affinity",
    shown_by: "barscope poke lab write CONFIG.MSIX_CONTROL {ENABLE=1} write BAR4.MSIX0_DATA 0x31 write BAR4.MSIX0_CONTROL 0 \
         write BAR4.MSIX0_DATA 0x32 --trace t",
};

/// So many words of tables are followed.
const MOST: usize = 1 << 14;
const CONTROL_FUNCTION_MASK: u64 = 1 << 14;
const CONTROL_ENABLE: u64 = 1 << 15;
const VECTOR_MASK: u64 = 1;

/// A doubleword of a table: its offset in a region of a function.
type Word = (Bdf, Region, u64);

#[derive(Default)]
pub(super) struct MsixLiveEdit {
    /// Message Control of functions.
    control: BTreeMap<Bdf, u64>,
    /// Words of tables as they were last written or read.
    words: BTreeMap<Word, u64>,
}

impl Rule for MsixLiveEdit {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn access(&mut self, touch: &Touch<'_>, found: &mut Found<'_>) {
        let Some(place) = touch.place else { return };
        let Some(bdf) = place.bdf.filter(|_| touch.access.outcome == Outcome::Ok) else { return };
        if place.is_configuration() {
            self.configuration(bdf, touch);
            return;
        }
        let Some((_, it)) = touch.bar_register().filter(|(_, it)| it.name.starts_with("MSIX")) else {
            return;
        };
        if !is_msix_register(&it.name) || it.name.contains("PENDING") {
            return;
        }
        let size = u64::from(touch.access.size);
        if !size.is_multiple_of(4) || !place.offset.is_multiple_of(4) {
            // A part that is written makes another one of the whole.
            if touch.access.write {
                let end = place.offset.saturating_add(size);
                self.words.retain(|(of, region, at), _| {
                    (*of, *region) != (bdf, place.region) || end <= *at || at + 4 <= place.offset
                });
            }
            return;
        }
        let words = (0..size).step_by(4).map(|within| {
            let value = touch.access.value >> (8 * within) & 0xffff_ffff;
            (within, (bdf, place.region, place.offset.saturating_add(within)), value)
        });
        // Of 64 bits from an entry's data on, the rest is its control.
        let to_control = to_control(&it.name).filter(|_| touch.access.write).unwrap_or(0);
        let control = (bdf, place.region, place.offset.saturating_add(to_control));
        let edit =
            words.clone().filter(|(within, ..)| *within < to_control).find_map(|(within, key, value)| {
                let old = self.live(control, key).filter(|old| *old != value)?;
                Some((within, old, value))
            });
        if let Some((within, old, value)) = edit {
            let place = Place { offset: place.offset + within, ..place.clone() };
            found.by(&ABOUT, Site::of(&touch.access), (&place, touch.access.view.seq), || {
                let name = register(&place);
                format!("{name} changes from {old:#x} to {value:#x} while the vector is unmasked.")
            });
        }
        for (_, key, value) in words {
            if self.words.len() < MOST || self.words.contains_key(&key) {
                self.words.insert(key, value);
            }
        }
    }

    fn lose(&mut self) {
        *self = Self::default();
    }
}

/// From a word of an entry to the entry's control, in bytes; `None` of a control.
fn to_control(name: &str) -> Option<u64> {
    let words = [("_ADDRESS_LOW", 12), ("_ADDRESS_HIGH", 8), ("_DATA", 4)];
    words.into_iter().find(|(word, _)| name.ends_with(word)).map(|(_, bytes)| bytes)
}

impl MsixLiveEdit {
    /// What a word is known to hold, if its vector certainly may be sent: by this control of its entry.
    fn live(&self, control: Word, word: Word) -> Option<u64> {
        let of_function = self.control.get(&word.0)?;
        let enabled = of_function & (CONTROL_ENABLE | CONTROL_FUNCTION_MASK) == CONTROL_ENABLE;
        let unmasked = self.words.get(&control)? & VECTOR_MASK == 0;
        self.words.get(&word).copied().filter(|_| enabled && unmasked)
    }

    fn configuration(&mut self, bdf: Bdf, touch: &Touch<'_>) {
        let Some(register) = touch.register else { return };
        let value = match (&*register.name, touch.access.size) {
            ("MSIX_CONTROL", 2) => touch.access.value,
            // Identifier and control are one doubleword.
            ("MSIX", 4) => touch.access.value >> 16,
            ("MSIX", _) => return,
            // Other writes may enable, reset or wake the function: what was known may be so no longer.
            (
                "MSIX_CONTROL" | "PM_CONTROL" | "PCIE_DEVICE_CONTROL" | "AF_CONTROL" | "AF_LENGTH" | "AF",
                _,
            ) if touch.access.write => {
                self.control.remove(&bdf);
                self.words.retain(|(of, _, _), _| *of != bdf);
                return;
            }
            _ => return,
        };
        self.control.insert(bdf, value);
    }
}
