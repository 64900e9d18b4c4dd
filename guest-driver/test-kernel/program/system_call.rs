//! The system calls, as the program makes them.

use core::arch::asm;

use common::system_call::{Errno, number};

/// Ends the program.
pub fn exit(code: u64) -> ! {
    call(number::EXIT, [code, 0, 0]);
    loop {
        core::hint::spin_loop();
    }
}

/// Maps `length` bytes of the device's registers from `offset` on, filled as `when` says.
///
/// # Errors
/// What the driver or the kernel refused it with.
pub fn mmap(offset: u64, length: u64, when: u64) -> Result<u64, Errno> {
    result(call(number::MMAP, [offset, length, when]))
}

/// Undoes the mapping at `address`.
///
/// # Errors
/// [`Errno::INVALID`] if none starts there.
pub fn munmap(address: u64) -> Result<(), Errno> {
    result(call(number::MUNMAP, [address, 0, 0])).map(|_| ())
}

/// Begins to count kernel entries.
pub fn count_begin() {
    call(number::COUNT_BEGIN, [0; 3]);
}

/// Ends to count kernel entries: the kernel reports them.
pub fn count_end() {
    call(number::COUNT_END, [0; 3]);
}

/// Gives control to the scenario for a while.
pub fn pause() {
    call(number::PAUSE, [0; 3]);
}

/// Numbers from -4095 to -1 are errors.
fn result(value: u64) -> Result<u64, Errno> {
    let negated = value.wrapping_neg();
    if (1..4096).contains(&negated) { Err(Errno(negated)) } else { Ok(value) }
}

fn call(number: u64, arguments: [u64; 3]) -> u64 {
    let result;
    // SAFETY: the kernel keeps all registers but `rax`, and changes no memory of the program.
    unsafe {
        asm!("int3", inout("rax") number => result, in("rdi") arguments[0], in("rsi") arguments[1],
            in("rdx") arguments[2], options(nostack, preserves_flags));
    }
    result
}
