//! The device's interrupt by its pin, on a line that it may share.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use common::mmio;

use super::registers::{INT_MASK, INT_STATUS};
use crate::bug::{self, Bug};

static CAUSES: AtomicU32 = AtomicU32::new(0);
static NOT_OURS: AtomicU32 = AtomicU32::new(0);

/// The causes that [`isr_on_pin`] has found since the last call.
pub fn pin_causes() -> u32 {
    let causes = CAUSES.load(Relaxed);
    CAUSES.store(0, Relaxed);
    causes
}

/// How often [`isr_on_pin`] was called for another function's interrupt since the last call.
pub fn pins_not_ours() -> u32 {
    let times = NOT_OURS.load(Relaxed);
    NOT_OURS.store(0, Relaxed);
    times
}

/// The interrupt handler: acknowledges what interrupts, if it is this device. `registers` is where they
/// are mapped.
#[inline(never)]
pub fn isr_on_pin(registers: u64, _: u8) {
    // SAFETY: whoever requests the interrupt frees it before the registers are unmapped.
    unsafe {
        let causes = mmio::read32(registers + INT_STATUS) & mmio::read32(registers + INT_MASK);
        if causes == 0 {
            NOT_OURS.store(NOT_OURS.load(Relaxed) + 1, Relaxed);
            return;
        }
        if is_late() {
            return;
        }
        mmio::write32(registers + INT_STATUS, causes);
        CAUSES.store(CAUSES.load(Relaxed) | causes, Relaxed);
    }
}

/// Whether this call is one of those that the mistake leaves out.
fn is_late() -> bool {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let calls = CALLS.load(Relaxed) + 1;
    CALLS.store(calls, Relaxed);
    bug::is(Bug::LateAcknowledgement) && !calls.is_multiple_of(4)
}
