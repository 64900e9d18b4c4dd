//! Interrupt pins that are asserted, and the vectors that they lead to.

use std::collections::BTreeMap;

use barscope_trace::event::Id;

use super::Raised;

/// The most functions that are followed: those of a bus.
const MOST: usize = 256;

/// Pins of functions, wired to inputs of the IOAPIC that they share.
#[derive(Default)]
pub(super) struct Pins {
    /// Those that are asserted, in the order in which they were.
    asserted: Vec<Pin>,
    /// The vectors that inputs were seen to lead to.
    vectors: BTreeMap<u8, u8>,
}

struct Pin {
    gsi: u8,
    raised: Raised,
    /// A handler began that answers it.
    answered: bool,
}

impl Pins {
    pub(super) fn assert(&mut self, gsi: u8, raised: Raised) {
        if self.asserted.iter().any(|pin| pin.raised.function == raised.function) {
            return;
        }
        if self.asserted.len() == MOST {
            self.asserted.remove(0);
        }
        self.asserted.push(Pin { gsi, raised, answered: false });
    }

    pub(super) fn deassert(&mut self, function: Id) {
        self.asserted.retain(|pin| pin.raised.function != function);
    }

    pub(super) fn any_asserted(&self) -> bool {
        !self.asserted.is_empty()
    }

    /// The pin that a handler of `vector` answers, and whether one answered it before.
    pub(super) fn enter(&mut self, vector: u8) -> Option<(Raised, bool)> {
        let first = self.asserted.first()?.gsi;
        let gsi = if self.asserted.iter().all(|pin| pin.gsi == first) {
            self.vectors.insert(first, vector);
            first
        } else {
            let leads_here = |pin: &&Pin| self.vectors.get(&pin.gsi) == Some(&vector);
            let mut known = self.asserted.iter().filter(leads_here).map(|pin| pin.gsi);
            let gsi = known.next()?;
            if !known.all(|other| other == gsi) {
                return None;
            }
            gsi
        };
        let wired = self.asserted.iter_mut().filter(|pin| pin.gsi == gsi);
        let pin = wired.min_by_key(|pin| pin.answered)?;
        Some((pin.raised, std::mem::replace(&mut pin.answered, true)))
    }
}
