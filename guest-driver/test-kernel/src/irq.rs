//! The interrupt of the one device that has a driver: a message that the local APIC takes.

use core::arch::asm;

use crate::apic::LocalApic;
use crate::bench;
use crate::lock::Lock;

/// Its vector.
pub const VECTOR: u8 = 0x31;

/// A driver's handler, and what it is called with.
#[derive(Clone, Copy)]
struct Handler {
    function: fn(u64),
    context: u64,
}

static CONTROLLER: Lock<Option<LocalApic>> = Lock::new(None);
static HANDLER: Lock<Option<Handler>> = Lock::new(None);

/// Takes interrupts from `controller`.
pub fn init(controller: LocalApic) {
    CONTROLLER.with(|place| *place = Some(controller));
}

/// Has `function` called with `context` at each interrupt.
pub fn request(function: fn(u64), context: u64) {
    HANDLER.with(|handler| *handler = Some(Handler { function, context }));
}

/// Has nobody called any more.
pub fn free() {
    HANDLER.with(|handler| *handler = None);
}

/// Calls the driver, then ends the interrupt.
pub fn dispatch() {
    bench::isr_enter(VECTOR);
    if let Some(handler) = HANDLER.with(|handler| *handler) {
        (handler.function)(handler.context);
    }
    bench::isr_exit(VECTOR);
    if let Some(controller) = CONTROLLER.with(|controller| *controller) {
        controller.end_of_interrupt();
    }
}

/// Has interrupts handled that came already.
pub fn take_pending() {
    // SAFETY: `sti` takes effect after the `nop`; the handlers keep to their own state.
    unsafe { asm!("sti", "nop", "cli", options(nostack)) };
}

/// Waits until an interrupt was handled.
pub fn wait() {
    bench::idle();
    // SAFETY: `sti` takes effect after the next instruction, so that no interrupt is missed between
    // the two; the handlers keep to their own state.
    unsafe { asm!("sti", "hlt", "cli", options(nostack)) };
}
