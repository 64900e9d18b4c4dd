//! Plain accesses to device memory, the same from ring 0 and from ring 3.
//!
//! Always inlined: a trace then shows one `mov` in the function that means the access, not in a
//! helper.

/// Reads 32 bits.
///
/// # Safety
/// `address` is mapped for reading, aligned to 4 bytes, and device memory.
#[inline(always)]
pub unsafe fn read32(address: u64) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { core::ptr::read_volatile(address as *const u32) }
}

/// Reads 64 bits.
///
/// # Safety
/// As [`read32`], aligned to 8 bytes.
#[inline(always)]
pub unsafe fn read64(address: u64) -> u64 {
    // SAFETY: the caller's promise.
    unsafe { core::ptr::read_volatile(address as *const u64) }
}

/// Writes 8 bits.
///
/// # Safety
/// As [`write32`], at any address.
#[inline(always)]
pub unsafe fn write8(address: u64, value: u8) {
    // SAFETY: the caller's promise.
    unsafe { core::ptr::write_volatile(address as *mut u8, value) }
}

/// Writes 32 bits.
///
/// # Safety
/// `address` is mapped for writing, aligned to 4 bytes, and device memory.
#[inline(always)]
pub unsafe fn write32(address: u64, value: u32) {
    // SAFETY: the caller's promise.
    unsafe { core::ptr::write_volatile(address as *mut u32, value) }
}
