//! The functions that the compiler calls for copies, fills and comparisons.
//!
//! By string instructions, since the precompiled ones of `core` may use SSE, which ring 0 can't
//! rely on: a KVM that emulates ring 0 has no SSE arithmetic.

use core::arch::asm;

/// Copies `count` bytes; the areas do not overlap.
///
/// # Safety
/// As C's `memcpy`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    // SAFETY: the caller's promise; the direction flag is clear by the ABI.
    unsafe {
        // Words first: an emulator's cost is by element.
        asm!("rep movsq", "mov rcx, {tail}", "rep movsb", tail = in(reg) count & 7,
            inout("rcx") count >> 3 => _, inout("rdi") to => _, inout("rsi") from => _,
            options(nostack, preserves_flags));
    }
    to
}

/// Copies `count` bytes; the areas may overlap.
///
/// # Safety
/// As C's `memmove`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
    if (to as usize).wrapping_sub(from as usize) >= count {
        // SAFETY: `to` does not start inside the source, so that copying upwards is right.
        return unsafe { memcpy(to, from, count) };
    }
    // SAFETY: the caller's promise; `count` is not 0 here, so that both last bytes exist.
    unsafe {
        asm!("std", "rep movsb", "cld",
            inout("rcx") count => _, inout("rdi") to.add(count - 1) => _, inout("rsi") from.add(count - 1) => _,
            options(nostack));
    }
    to
}

/// Fills `count` bytes.
///
/// # Safety
/// As C's `memset`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memset(to: *mut u8, value: i32, count: usize) -> *mut u8 {
    // Only the low byte counts.
    let pattern = u64::from(value as u8) * 0x0101_0101_0101_0101;
    // SAFETY: the caller's promise; the direction flag is clear by the ABI.
    unsafe {
        asm!("rep stosq", "mov rcx, {tail}", "rep stosb", tail = in(reg) count & 7,
            inout("rcx") count >> 3 => _, inout("rdi") to => _, in("rax") pattern,
            options(nostack, preserves_flags));
    }
    to
}

/// Compares `count` bytes: negative, 0 or positive.
///
/// # Safety
/// As C's `memcmp`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    let mut index = 0;
    while index < count {
        // SAFETY: the caller's promise. Volatile, or else the compiler makes a call of `memcmp` of
        // this loop.
        let (a, b) = unsafe { (left.add(index).read_volatile(), right.add(index).read_volatile()) };
        if a != b {
            return i32::from(a) - i32::from(b);
        }
        index += 1;
    }
    0
}

/// Compares `count` bytes: 0 if they are equal.
///
/// # Safety
/// As C's `bcmp`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, count: usize) -> i32 {
    // SAFETY: the caller's promise.
    unsafe { memcmp(left, right, count) }
}
