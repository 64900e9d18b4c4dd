//! IRQ lines: inputs of the IOAPIC that the interrupt pins of several functions are wired to.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::lock::lock;
use crate::platform::Platform;

/// The lines. One is asserted as long as any pin on it is.
#[derive(Default)]
pub struct IrqLines {
    /// For each global system interrupt, the functions whose pin is asserted.
    asserted: Mutex<HashMap<u8, Vec<usize>>>,
}

impl IrqLines {
    /// Gives the pin of a function, wired to global system interrupt `gsi`, this level.
    pub fn set(&self, platform: &impl Platform, gsi: u8, function: usize, asserted: bool) {
        let mut lines = lock(&self.asserted);
        let pins = lines.entry(gsi).or_default();
        pins.retain(|other| *other != function);
        if asserted {
            pins.push(function);
        }
        platform.set_irq_line(gsi, !pins.is_empty());
    }

    /// Deasserts all of them.
    pub fn deassert_all(&self, platform: &impl Platform) {
        for (gsi, _) in lock(&self.asserted).drain() {
            platform.set_irq_line(gsi, false);
        }
    }
}
