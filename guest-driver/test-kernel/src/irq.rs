//! Device interrupts: messages, and pins by way of the IOAPIC, both to the first CPU's local APIC.

use core::arch::asm;
use core::ops::Range;

use crate::apic::LocalApic;
use crate::bench;
use crate::lock::Lock;

/// The vectors that devices may use: a multiple of 8 first, as several messages of one function need it.
pub const VECTORS: Range<u8> = 0x30..0x3a;
/// Of the message of a driver that has one.
pub const VECTOR: u8 = 0x31;
/// Of interrupt pins.
pub const PIN_VECTOR: u8 = 0x38;

const HANDLERS: usize = 8;

/// A driver's handler, and what it is called with.
#[derive(Clone, Copy)]
struct Handler {
    vector: u8,
    function: fn(u64, u8),
    context: u64,
}

static CONTROLLER: Lock<Option<LocalApic>> = Lock::new(None);
static HANDLER: Lock<[Option<Handler>; HANDLERS]> = Lock::new([None; HANDLERS]);

/// Takes interrupts from `controller`.
pub fn init(controller: LocalApic) {
    CONTROLLER.with(|place| *place = Some(controller));
}

/// Has `function` called with `context` and the vector at each interrupt `vector`, like others that ask
/// for the same. `None` if there are too many.
pub fn request(vector: u8, function: fn(u64, u8), context: u64) -> Option<()> {
    HANDLER.with(|handlers| {
        *handlers.iter_mut().find(|handler| handler.is_none())? = Some(Handler { vector, function, context });
        Some(())
    })
}

/// Has nobody called for `vector` any more.
pub fn free(vector: u8) {
    HANDLER.with(|handlers| {
        for handler in handlers {
            if matches!(handler, Some(it) if it.vector == vector) {
                *handler = None;
            }
        }
    });
}

/// Calls the drivers that asked for `vector`, then ends the interrupt.
pub fn dispatch(vector: u8) {
    bench::isr_enter(vector);
    let handlers = HANDLER.with(|handlers| *handlers);
    for handler in handlers.iter().flatten().filter(|handler| handler.vector == vector) {
        (handler.function)(handler.context, vector);
    }
    bench::isr_exit(vector);
    if let Some(controller) = CONTROLLER.with(|controller| *controller) {
        controller.end_of_interrupt();
    }
}

/// Has interrupts handled that came already.
pub fn take_pending() {
    // SAFETY: `sti` takes effect after the `nop`; the handlers keep to their own state.
    unsafe { asm!("sti", "nop", "cli", options(nostack)) };
}

/// Waits for an interrupt, and has it handled. It may come back without one: callers look for what they wait for.
///
/// On the bench, nothing halts: its clock jumps to the next deadline, so that the interrupt is pending already,
/// or time passes while this is called again. `hlt` would wait for ever after a handler that ran before it, which
/// the interrupt shadow of `sti` rules out on a processor, but not on QEMU's emulated AMD-V: its `vmrun` forgets the
/// shadow (`int_state` of the VMCB) of a guest that was left between `sti` and `hlt`.
pub fn wait() {
    if bench::is_present() {
        bench::idle();
        take_pending();
    } else {
        // SAFETY: `sti` takes effect after the next instruction, so that no interrupt is missed between
        // the two; the handlers keep to their own state.
        unsafe { asm!("sti", "hlt", "cli", options(nostack)) };
    }
}
