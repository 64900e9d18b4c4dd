//! A vector for each interrupt cause.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use common::mmio;

use super::Lab;
use super::registers::{INT_ALL, INT_MASK, INT_STATUS};
use crate::check::Failure;
use crate::irq::{self, VECTORS};

/// The causes whose vectors came.
static SEEN: AtomicU32 = AtomicU32::new(0);

/// Handlers for the vectors of all causes, which the device lets through; undone when dropped.
pub struct Vectors<'a>(&'a Lab<'a>);

impl<'a> Vectors<'a> {
    /// Sets the handlers up: cause 0 has the first of [`VECTORS`].
    pub fn listen(lab: &'a Lab<'a>) -> Result<Self, Failure> {
        SEEN.store(0, Relaxed);
        let vectors = Self(lab);
        for vector in Self::all() {
            irq::request(vector, isr_of_vector, lab.register_address(0))
                .ok_or(Failure::Reason("no room for a handler"))?;
        }
        set_mask(lab, INT_ALL);
        Ok(vectors)
    }

    /// Waits until the vectors of all `causes` came. Gives all that did.
    pub fn wait(&self, causes: u32) -> u32 {
        while SEEN.load(Relaxed) & causes != causes {
            irq::wait();
        }
        irq::take_pending();
        SEEN.load(Relaxed)
    }

    fn all() -> impl Iterator<Item = u8> {
        VECTORS.take(INT_ALL.trailing_ones() as usize)
    }
}

impl Drop for Vectors<'_> {
    fn drop(&mut self) {
        set_mask(self.0, 0);
        Self::all().for_each(irq::free);
    }
}

#[inline(never)]
fn set_mask(lab: &Lab<'_>, causes: u32) {
    lab.write(INT_MASK, causes);
}

/// Acknowledges the one cause of its vector. `registers` is where they are mapped.
#[inline(never)]
fn isr_of_vector(registers: u64, vector: u8) {
    let cause = 1 << (vector - VECTORS.start);
    // SAFETY: `Vectors` borrows the mapped registers, and frees the vectors first.
    unsafe { mmio::write32(registers + INT_STATUS, cause) };
    SEEN.store(SEEN.load(Relaxed) | cause, Relaxed);
}
