//! Interrupts that are let through before a driver is done with setting up its device.

use barscope_device::{Access, Bdf, Register};
use barscope_trace::Capability;
use barscope_trace::definition::Function;
use barscope_trace::event::{EventKind, Outcome};
use rustc_hash::FxHashMap;

use crate::lint::about::{About, Class};
use crate::lint::calls::Call;
use crate::lint::finding::{Found, Site, register};
use crate::lint::rule::Rule;
use crate::lint::touch::{Touch, whole};
use crate::view::{Place, View};

static ABOUT: About = About {
    name: "early-interrupt",
    class: Class::Provable,
    title: "Interrupts let through before the device is set up",
    looks_for: "a write that lets the device interrupt, after which the same call writes a register that is set up (one that \
                can be read and written) before a handler ran. What lets it is a write of ones to an interrupt enable \
                register, by its name (INT_ENABLE, IRQ_MASK, IER, ..) or by that of its field; of a device without one, \
                MSI or MSI-X switched on or a vector unmasked in configuration space and table. Whether ones of a mask \
                enable or disable, its name doesn't tell: the campaign does. Silent if the registers come first, and where \
                it isn't known which function makes an access.",
    why: "A cause that is left over, of firmware or of another driver, interrupts at once: the handler meets a device that is \
          half set up, and a driver whose structures may be missing.",
    bug: "RIFFA's driver crashes if an interrupt comes during its probe, whose handler uses what isn't there yet (riffa#17); Linux's \
          Documentation/PCI/pci.rst asks that a device is quiet before its handler is registered.",
    example: "
writel(DONE, bar0 + INT_ENABLE);                /* a site: an interrupt may come here */
writel(ring, bar0 + RING_ADDRESS);

writel(ring, bar0 + RING_ADDRESS);              /* none */
writel(DONE, bar0 + INT_ENABLE);
",
    advice: "let interrupts through last, after what is pending was cleared",
    shown_by: "barscope run --scenario interrupt --trace t",
};

/// So many functions are followed.
const MOST: usize = 256;
/// Words in the names of interrupt registers.
const INTERRUPT: [&str; 5] = ["INT", "INTR", "INTS", "IRQ", "INTERRUPT"];
/// Words in the names of those of them that let causes through.
const ENABLE: [&str; 5] = ["EN", "ENABLE", "ENABLES", "MASK", "MASKS"];
/// The same in one word.
const BOTH: [&str; 7] = ["IER", "IMR", "IMS", "INTEN", "INTMASK", "INTENA", "INTE"];
/// Message Control (PCI Local Bus 3.0, sections 6.8.1.3 and 6.8.2.3).
const MSI_ENABLE: u64 = 1;
const MSIX_ENABLE: u64 = 1 << 15;
const MSIX_FUNCTION_MASK: u64 = 1 << 14;

/// The last write that let each function interrupt.
#[derive(Default)]
pub(super) struct EarlyInterrupt(FxHashMap<Bdf, Enabled>);

struct Enabled {
    place: Place,
    site: Site,
    seq: u64,
    call: Call,
}

impl Rule for EarlyInterrupt {
    fn about(&self) -> &'static About {
        &ABOUT
    }

    fn needs(&self) -> &'static [Capability] {
        &[Capability::Functions]
    }

    fn access(&mut self, touch: &Touch<'_>, found: &mut Found<'_>) {
        let Some(place) = touch.place else { return };
        let Some(bdf) = place.bdf else { return };
        if touch.access.view.in_handler() {
            self.0.remove(&bdf);
            return;
        }
        if !touch.access.write || touch.access.outcome != Outcome::Ok {
            return;
        }
        match enables(touch) {
            Some(true) => {
                let Some(call) = touch.call.filter(|_| self.0.len() < MOST) else { return };
                let (site, seq) = (Site::of(&touch.access), touch.access.view.seq);
                self.0.insert(bdf, Enabled { place: place.clone(), site, seq, call });
            }
            Some(false) => {
                self.0.remove(&bdf);
            }
            None => {
                let Some((_, it)) = touch.bar_register().filter(|(_, it)| it.access == Access::ReadWrite)
                else {
                    return;
                };
                if is_about_interrupts(&it.name) {
                    return;
                }
                let same = |enabled: &Enabled| touch.call.is_some_and(|call| call.id == enabled.call.id);
                if let Some(enabled) = self.0.remove(&bdf).filter(same) {
                    found.by(&ABOUT, enabled.site, (&enabled.place, enabled.seq), || {
                        let (name, next) = (register(&enabled.place), register(place));
                        format!(
                            "{name} lets interrupts through, and {next} is set up after that, by record {}.",
                            touch.access.view.seq
                        )
                    });
                }
            }
        }
    }

    fn event(&mut self, view: &View, _: &mut Found<'_>) {
        if let EventKind::IsrEnter { .. } = view.kind {
            self.0.clear();
        }
    }

    fn lose(&mut self) {
        self.0.clear();
    }
}

/// Whether a write lets its device interrupt, or stops it from doing so; `None` if it does neither.
fn enables(touch: &Touch<'_>) -> Option<bool> {
    let it = touch.register?;
    let value = touch.access.value;
    if touch.bar_register().is_some() && !it.name.starts_with("MSI") {
        let bits = enable_bits(it)?;
        return Some(value & bits != 0 && value != whole(touch.access.size.into()));
    }
    let on = match &*it.name {
        "MSI_CONTROL" if touch.access.size == 2 => value & MSI_ENABLE != 0,
        "MSIX_CONTROL" if touch.access.size == 2 => value & (MSIX_ENABLE | MSIX_FUNCTION_MASK) == MSIX_ENABLE,
        name if touch.bar().is_some() && name.starts_with("MSIX") && name.ends_with("_CONTROL") => {
            value & 1 == 0
        }
        _ => return None,
    };
    // Its own register lets causes through.
    let own = touch.place.and_then(|place| place.function.as_deref()).is_some_and(has_own);
    (!own).then_some(on)
}

fn has_own(function: &Function) -> bool {
    let registers = function.register_maps.iter().flat_map(|map| map.registers.iter());
    let mut own = registers.filter(|it| !it.memory && !it.name.starts_with("MSI"));
    own.any(|it| enable_bits(it).is_some())
}

/// The bits of a register that let causes through.
fn enable_bits(it: &Register) -> Option<u64> {
    if !it.access.writable() {
        return None;
    }
    if names_enable(&it.name) {
        return Some(whole(it.size));
    }
    let fields = it.fields.iter().filter(|field| names_enable(&field.name));
    let bits = fields.fold(0, |bits, field| bits | field.mask());
    (bits != 0).then_some(bits)
}

fn names_enable(name: &str) -> bool {
    // Most names have none of these letters.
    if !name.contains('I') {
        return false;
    }
    let has = |words: &[&str]| name.split('_').any(|word| words.contains(&word));
    has(&BOTH) || has(&INTERRUPT) && has(&ENABLE)
}

/// Whether a register is about interrupts, by its name.
pub(super) fn is_about_interrupts(name: &str) -> bool {
    name.split('_').any(|word| INTERRUPT.contains(&word) || BOTH.contains(&word)) || name.starts_with("MSI")
}
