//! The IOAPIC, which interrupt pins lead to (Intel 82093AA datasheet, chapter 3).

use common::mmio;

use crate::paging::{Fixed, map_fixed};

const BASE: u64 = 0xfec0_0000;

const INDEX: u64 = 0x00;
const DATA: u64 = 0x10;
/// Index of the first input's entry: two registers an input.
const ENTRIES: u32 = 0x10;
const ACTIVE_LOW: u32 = 1 << 13;
const LEVEL_TRIGGERED: u32 = 1 << 15;
const MASKED: u32 = 1 << 16;

/// An input that leads to a vector of the first CPU; masked when dropped.
pub struct Input {
    base: u64,
    number: u8,
}

impl Input {
    /// Has the input `number` raise `vector` as long as a pin on it is asserted.
    pub fn enable(number: u8, vector: u8) -> Self {
        let input = Self { base: map_fixed(Fixed::IoApic, BASE), number };
        input.set(u32::from(vector) | ACTIVE_LOW | LEVEL_TRIGGERED);
        input
    }

    fn set(&self, low: u32) {
        let entry = ENTRIES + 2 * u32::from(self.number);
        // The upper half has the CPU.
        for (index, value) in [(entry + 1, 0), (entry, low)] {
            // SAFETY: mapped for good; both registers are 32 bits wide.
            unsafe {
                mmio::write32(self.base + INDEX, index);
                mmio::write32(self.base + DATA, value);
            }
        }
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.set(MASKED);
    }
}
