//! Every shape of access that an instruction can make, tried on device memory: the same code for ring
//! 0 and for ring 3.
//!
//! Each function makes the accesses of one shape, one instruction each, and gives how many values were
//! not what they had to be. Never inlined, since traces name them. They use no static and no constant
//! in memory, which could not be reached from both halves of the address space.

use core::arch::asm;

/// What [`play`] makes; numbers, since they go through a system call.
pub mod shape {
    /// [`super::sizes`].
    pub const SIZES: u64 = 0;
    /// [`super::forms`].
    pub const FORMS: u64 = 1;
    /// [`super::unaligned`].
    pub const UNALIGNED: u64 = 2;
    /// [`super::page_crossing`].
    pub const PAGE_CROSSING: u64 = 3;
    /// [`super::strings`].
    pub const STRINGS: u64 = 4;
    /// [`super::read_modify_write`].
    pub const READ_MODIFY_WRITE: u64 = 5;
    /// [`super::sixteen_bytes`].
    pub const SIXTEEN_BYTES: u64 = 6;
}

/// How much device memory a shape needs, in bytes: two pages.
pub const SIZE: u64 = 0x2000;

const VALUE: u64 = 0x8877_6655_4433_2211;

/// Runs instructions with `memory` in RDI and `value` in RAX; gives RAX. RCX and XMM0 may change, the latter since neither the
/// kernel nor the program uses it.
macro_rules! run {
    ($memory:expr, $value:expr, $($instruction:literal),+) => {{
        let rax: u64;
        // SAFETY: the instructions stay within the memory that the caller of the function promises.
        unsafe { asm!($($instruction),+, in("rdi") $memory, inout("rax") $value => rax, out("rcx") _) };
        rax
    }};
}

/// Runs one string instruction with RSI, RDI, RCX and RAX as given; gives RAX.
macro_rules! string {
    ($instruction:literal, $rsi:expr, $rdi:expr, $rcx:expr, $rax:expr) => {{
        let rax: u64;
        // SAFETY: as for `run`.
        unsafe {
            asm!($instruction, inout("rsi") $rsi => _, inout("rdi") $rdi => _, inout("rcx") $rcx => _,
                inout("rax") $rax => rax)
        };
        rax
    }};
}

/// Makes the accesses of `shape`, one of [`shape`].
///
/// # Safety
/// [`SIZE`] bytes of device memory are mapped at `memory`, for reading and writing.
#[inline(always)]
pub unsafe fn play(shape: u64, memory: u64) -> u64 {
    // SAFETY: the caller's promise.
    unsafe {
        match shape {
            shape::SIZES => sizes(memory),
            shape::FORMS => forms(memory),
            shape::UNALIGNED => unaligned(memory),
            shape::PAGE_CROSSING => page_crossing(memory),
            shape::STRINGS => strings(memory),
            shape::READ_MODIFY_WRITE => read_modify_write(memory),
            shape::SIXTEEN_BYTES => sixteen_bytes(memory),
            _ => u64::MAX,
        }
    }
}

/// 1 if `found` is not `expected`.
#[inline(always)]
fn wrong(found: u64, expected: u64) -> u64 {
    u64::from(found != expected)
}

/// 1, 2, 4 and 8 bytes, aligned.
///
/// # Safety
/// As [`play`].
#[inline(never)]
pub unsafe fn sizes(memory: u64) -> u64 {
    run!(memory, VALUE, "mov [rdi], al");
    run!(memory, VALUE, "mov [rdi+2], ax");
    run!(memory, VALUE, "mov [rdi+4], eax");
    run!(memory, VALUE, "mov [rdi+8], rax");
    wrong(run!(memory, 0u64, "mov al, [rdi]"), 0x11)
        + wrong(run!(memory, 0u64, "mov ax, [rdi+2]"), 0x2211)
        + wrong(run!(memory, 0u64, "mov eax, [rdi+4]"), 0x4433_2211)
        + wrong(run!(memory, 0u64, "mov rax, [rdi+8]"), VALUE)
}

/// Instructions beside a plain `mov`; a `cmov` reads even where it then does not move.
///
/// # Safety
/// As [`play`].
#[inline(never)]
pub unsafe fn forms(memory: u64) -> u64 {
    run!(memory, VALUE, "movnti [rdi], eax");
    run!(memory, 0u64, "mov word ptr [rdi+4], -2");
    run!(memory, 0u64, "cmp eax, eax", "sete [rdi+6]");
    run!(memory, VALUE, "push rax", "pop qword ptr [rdi+8]");
    wrong(run!(memory, 0u64, "movzx eax, word ptr [rdi+4]"), 0xfffe)
        + wrong(run!(memory, 0u64, "movsx rax, word ptr [rdi+4]"), 0xffff_ffff_ffff_fffe)
        + wrong(run!(memory, 5u64, "cmp eax, eax", "cmovne rax, [rdi+8]"), 5)
        + wrong(run!(memory, 0u64, "push qword ptr [rdi+8]", "pop rax"), VALUE)
        + wrong(run!(memory, 0x100u64, "cmp byte ptr [rdi+6], 1", "sete al"), 0x101)
        + wrong(run!(memory, 1u64, "add eax, [rdi]"), 0x4433_2212)
}

/// 2, 4 and 8 bytes at odd addresses.
///
/// # Safety
/// As [`play`].
#[inline(never)]
pub unsafe fn unaligned(memory: u64) -> u64 {
    run!(memory, VALUE, "mov [rdi+0x11], ax");
    run!(memory, VALUE, "mov [rdi+0x17], eax");
    run!(memory, VALUE, "mov [rdi+0x23], rax");
    wrong(run!(memory, 0u64, "mov ax, [rdi+0x11]"), 0x2211)
        + wrong(run!(memory, 0u64, "mov eax, [rdi+0x17]"), 0x4433_2211)
        + wrong(run!(memory, 0u64, "mov rax, [rdi+0x23]"), VALUE)
}

/// 2, 4 and 8 bytes, each across the end of the first page.
///
/// # Safety
/// As [`play`].
#[inline(never)]
pub unsafe fn page_crossing(memory: u64) -> u64 {
    run!(memory, VALUE, "mov [rdi+0xfff], ax");
    let two = run!(memory, 0u64, "mov ax, [rdi+0xfff]");
    run!(memory, VALUE, "mov [rdi+0xffe], eax");
    let four = run!(memory, 0u64, "mov eax, [rdi+0xffe]");
    run!(memory, VALUE, "mov [rdi+0xffd], rax");
    let eight = run!(memory, 0u64, "mov rax, [rdi+0xffd]");
    run!(memory, 0x0101_0101u64, "add [rdi+0xffe], eax");
    wrong(two, 0x2211)
        + wrong(four, 0x4433_2211)
        + wrong(eight, VALUE)
        + wrong(run!(memory, 0u64, "mov rax, [rdi+0xffd]"), 0x8877_6656_4534_2311)
}

/// String instructions: from memory to the device, within it, and back; downwards, too.
///
/// # Safety
/// As [`play`].
#[inline(never)]
pub unsafe fn strings(memory: u64) -> u64 {
    let source = [VALUE, !VALUE];
    let mut copy = [0u64; 2];
    let (from, to) = (source.as_ptr() as u64, copy.as_mut_ptr() as u64);
    string!("rep stosd", 0u64, memory, 3u64, VALUE);
    string!("std; rep stosb; cld", 0u64, memory + 0x0f, 2u64, 0xaau64);
    string!("rep movsq", from, memory + 0x20, 2u64, 0u64);
    string!("rep movsd", memory + 0x20, memory + 0x40, 2u64, 0u64);
    string!("movsw", memory + 0x20, memory + 0x50, 0u64, 0u64);
    string!("rep movsb", memory + 0x40, to, 3u64, 0u64);
    string!("stosw", 0u64, memory + 0x60, 0u64, VALUE);
    // SAFETY: `copy` is our own; volatile, since the compiler does not know that it was written.
    let copied = unsafe { copy.as_ptr().read_volatile() };
    wrong(copied, VALUE & 0xff_ffff)
        + wrong(string!("lodsd", memory + 8, 0u64, 0u64, 0u64), 0x4433_2211)
        + wrong(string!("lodsd", memory + 0x2c, 0u64, 0u64, 0u64), 0x7788_99aa)
        + wrong(string!("lodsw", memory + 0x50, 0u64, 0u64, 0u64), 0x2211)
        + wrong(string!("repe scasb; sete al", 0u64, memory + 0x0e, 2u64, 0xaau64), 1)
}

/// Instructions that read device memory and write it back, with `lock` and without.
///
/// # Safety
/// As [`play`].
#[inline(never)]
pub unsafe fn read_modify_write(memory: u64) -> u64 {
    run!(memory, 0x10u64, "mov [rdi], rax");
    run!(memory, 2u64, "add [rdi], eax");
    run!(memory, 0u64, "inc byte ptr [rdi]");
    run!(memory, 0x100u64, "lock or [rdi], ax");
    run!(memory, 0u64, "lock bts dword ptr [rdi], 12");
    let exchanged = run!(memory, 0x20u64, "xchg [rdi], rax");
    let added = run!(memory, 3u64, "lock xadd [rdi], eax");
    // RAX is what to find there; refused, what was found.
    let swapped = run!(memory, 0x23u64, "mov ecx, 0x77", "lock cmpxchg [rdi], ecx");
    let refused = run!(memory, 0x23u64, "mov ecx, 0x99", "lock cmpxchg [rdi], ecx");
    wrong(exchanged, 0x1113)
        + wrong(added, 0x20)
        + wrong(swapped, 0x23)
        + wrong(refused, 0x77)
        + wrong(run!(memory, 0u64, "mov eax, [rdi]"), 0x77)
}

/// 16 bytes at once: aligned, at an odd address, across the end of the first page.
///
/// # Safety
/// As [`play`].
#[inline(never)]
pub unsafe fn sixteen_bytes(memory: u64) -> u64 {
    run!(memory, VALUE, "mov [rdi], rax");
    run!(memory, !VALUE, "mov [rdi+8], rax");
    run!(memory, 0u64, "movaps xmm0, [rdi]", "movups [rdi+0x21], xmm0");
    run!(memory, 0u64, "movdqu xmm0, [rdi+0x21]", "movdqa [rdi+0x40], xmm0");
    run!(memory, 0u64, "movdqa xmm0, [rdi+0x40]", "movdqu [rdi+0xff4], xmm0");
    run!(memory, 0u64, "movups xmm0, [rdi+0xff4]", "movaps [rdi+0x50], xmm0");
    wrong(run!(memory, 0u64, "mov rax, [rdi+0x50]"), VALUE)
        + wrong(run!(memory, 0u64, "mov rax, [rdi+0x58]"), !VALUE)
}

/// Reads 8 bytes at once, wherever they lie.
///
/// # Safety
/// They are mapped for reading.
#[inline(always)]
pub unsafe fn read_unaligned(address: u64) -> u64 {
    run!(address, 0u64, "mov rax, [rdi]")
}

/// Writes 8 bytes at once, wherever they lie.
///
/// # Safety
/// They are mapped for writing, and nobody relies on what they hold.
#[inline(always)]
pub unsafe fn write_unaligned(address: u64, value: u64) {
    run!(address, value, "mov [rdi], rax");
}
