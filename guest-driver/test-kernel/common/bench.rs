//! Requests to the bench, through the guest ABI's port: from ring 0, and from ring 3 where the TSS
//! permits it.

use core::arch::asm;

use barscope_guest_abi::{Bytes, Mark, PORT, SIGNATURE, request};

/// Whether this machine is the bench. Asked once, by the kernel: another machine's port may be
/// anything.
pub fn is_present() -> bool {
    let signature: u32;
    // SAFETY: no machine has a device at this port whose reads have a side effect.
    unsafe {
        asm!("in eax, dx", in("dx") PORT, out("eax") signature, options(nomem, nostack, preserves_flags));
    }
    signature == SIGNATURE
}

/// Makes request `number` with `structure`.
#[inline(always)]
pub fn request<T>(number: u32, structure: &T) {
    call(number, core::ptr::from_ref(structure) as u64, size_of::<T>() as u64);
}

/// Makes request `number`, which has no structure.
#[inline(always)]
pub fn request_bare(number: u32) {
    call(number, 0, 0);
}

/// Sets a mark named `text` in the trace.
pub fn mark(text: &str) {
    request(request::MARK, &Mark { text: Bytes::of(text.as_bytes()) });
}

/// `rbx` can't be an operand, so that it is swapped in and out.
fn call(number: u32, structure: u64, size: u64) {
    // SAFETY: the host reads the structure and changes nothing.
    unsafe {
        asm!("xchg rbx, {structure}", "out dx, eax", "xchg rbx, {structure}",
            structure = inout(reg) structure => _, in("rcx") size, in("eax") number, in("dx") PORT,
            options(readonly, nostack, preserves_flags));
    }
}
