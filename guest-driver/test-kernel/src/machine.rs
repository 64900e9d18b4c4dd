//! The end of the run.

use core::arch::asm;

use crate::{bench, port};

/// Everything that was played passed.
pub const STATUS_PASSED: u64 = 0;
/// A scenario failed.
pub const STATUS_FAILED: u64 = 1;
/// The machine or the command line is not what the kernel needs.
pub const STATUS_UNUSABLE: u64 = 2;
/// The kernel itself failed.
pub const STATUS_BUG: u64 = 3;

/// QEMU's `isa-debug-exit`.
const DEBUG_EXIT: u16 = 0xf4;

/// Ends the run: through the bench, or QEMU's exit device; else the CPU halts for good.
pub fn exit(status: u64) -> ! {
    if bench::is_present() {
        bench::exit(status);
    } else {
        port::write8(DEBUG_EXIT, status as u8);
    }
    loop {
        // SAFETY: nothing is left to do.
        unsafe { asm!("cli", "hlt", options(nomem, nostack)) };
    }
}
