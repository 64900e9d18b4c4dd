//! Port I/O.

use core::arch::asm;

/// Reads 8 bits from `port`.
pub fn read8(port: u16) -> u8 {
    let value: u8;
    // SAFETY: port reads touch no memory of ours.
    unsafe { asm!("in al, dx", in("dx") port, out("al") value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Writes 8 bits to `port`.
pub fn write8(port: u16, value: u8) {
    // SAFETY: the kernel writes only ports of devices that do no DMA because of it.
    unsafe { asm!("out dx, al", in("dx") port, in("al") value, options(nomem, nostack, preserves_flags)) };
}

/// Reads 32 bits from `port`.
pub fn read32(port: u16) -> u32 {
    let value: u32;
    // SAFETY: port reads touch no memory of ours.
    unsafe { asm!("in eax, dx", in("dx") port, out("eax") value, options(nomem, nostack, preserves_flags)) };
    value
}

/// Writes 32 bits to `port`.
pub fn write32(port: u16, value: u32) {
    // SAFETY: the kernel writes only ports of devices that do no DMA because of it.
    unsafe { asm!("out dx, eax", in("dx") port, in("eax") value, options(nomem, nostack, preserves_flags)) };
}
