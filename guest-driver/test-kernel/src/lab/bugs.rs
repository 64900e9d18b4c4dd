//! What a driver can do wrong, done on purpose: for the bench to catch.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::registers::{EVENTS, INT_STATUS, STATUS, STATUS_DONE, STATUS_ERROR};
use super::{Lab, finish, start_factorial};
use crate::check::{Failure, holds};
use crate::irq::{self, VECTOR};

/// How often [`isr_without_acknowledgement`] was called.
static INTERRUPTS: AtomicU32 = AtomicU32::new(0);
/// How often to look whether a computation is over, which takes 20 us.
const PATIENCE: u32 = 1000;

/// Has the device compute twice, with a handler that acknowledges nothing. Gives how many interrupts
/// came of it: the cause of the first stays, so that the second is no news.
#[inline(never)]
pub fn forget_acknowledgement(lab: &Lab<'_>) -> Result<u32, Failure> {
    INTERRUPTS.store(0, Relaxed);
    irq::free(VECTOR);
    irq::request(VECTOR, isr_without_acknowledgement, 0).ok_or(Failure::Reason("no room for a handler"))?;
    start_factorial(lab, 5);
    while INTERRUPTS.load(Relaxed) == 0 {
        irq::wait();
    }
    start_factorial(lab, 6);
    // Waiting for an interrupt would never end.
    holds((0..PATIENCE).any(|_| lab.read(STATUS) == STATUS_DONE), "the second computation does not end")?;
    irq::take_pending();
    finish(lab)?;
    lab.write(INT_STATUS, lab.read(INT_STATUS));
    Ok(INTERRUPTS.load(Relaxed))
}

#[inline(never)]
fn isr_without_acknowledgement(_: u64, _: u8) {
    INTERRUPTS.store(INTERRUPTS.load(Relaxed) + 1, Relaxed);
}

/// Waits for the end of a computation, whose interrupt is held back meanwhile, and looks what happened: reading that
/// clears it.
#[inline(never)]
pub fn take_events(lab: &Lab<'_>) {
    while lab.read(STATUS) != STATUS_DONE {}
    lab.read(EVENTS);
}

/// Waits for an error that doesn't come.
#[inline(never)]
pub fn wait_for_error(lab: &Lab<'_>) {
    while lab.read(STATUS) & STATUS_ERROR == 0 {}
}
