//! How a guest wakes its second processor.

use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, CodeLabel, ax, ds, dword_ptr, eax, es, ss};

/// Physical address at which the second processor begins, in real mode.
const TRAMPOLINE: u32 = 0x1_0000;
/// Interrupt Command Register of the local APIC (Intel SDM volume 3, section 11.6.1).
const ICR_LOW: u32 = 0xfee0_0300;
const ICR_HIGH: u32 = 0xfee0_0310;
/// Spurious Interrupt Vector Register, which enables it.
const SPURIOUS: u32 = 0xfee0_00f0;

/// From real mode to flat protected mode: `cli; lgdt; mov cr0, PE; jmp 8:ENTRY`, the entry's place, the descriptors.
const CODE: [u8; 48] = [
    0xfa, 0x2e, 0x66, 0x0f, 0x01, 0x16, 0x1a, 0x00, // cli; lgdt cs:[0x1a]
    0x66, 0xb8, 0x11, 0x00, 0x00, 0x00, 0x0f, 0x22, // mov eax, 0x11; mov cr0, eax
    0xc0, 0x66, 0xea, 0x00, 0x00, 0x00, 0x00, 0x08, // jmp 8:ENTRY
    0x00, 0x90, 0x17, 0x00, 0x18, 0x00, 0x01,
    0x00, // limit and base of the table, 8 before its first entry
    0xff, 0xff, 0x00, 0x00, 0x00, 0x9b, 0xcf, 0x00, // code
    0xff, 0xff, 0x00, 0x00, 0x00, 0x93, 0xcf, 0x00, // data
];
const ENTRY: u32 = 0x13;

/// 32-bit code without paging that has the second processor start at `entry`, where [`load_segments`] comes first; uses
/// EAX and the stack.
///
/// # Errors
/// If it can't be assembled.
pub fn wake(a: &mut CodeAssembler, entry: CodeLabel) -> Result<(), IcedError> {
    for (index, bytes) in (0..).zip(CODE.chunks_exact(4)) {
        let word = bytes.iter().rev().fold(0, |word, byte| word << 8 | i32::from(*byte));
        a.mov(dword_ptr(TRAMPOLINE + index * 4), word)?;
    }
    // The entry's address, by a call over a jump to it: labels are no operands in 32-bit code.
    let mut here = a.create_label();
    a.call(here)?;
    a.jmp(entry)?;
    a.set_label(&mut here)?;
    a.pop(eax)?;
    a.mov(dword_ptr(TRAMPOLINE + ENTRY), eax)?;
    a.mov(dword_ptr(SPURIOUS), 0x13f)?;
    for command in [0x4500, 0x4600 | TRAMPOLINE >> 12] {
        a.mov(dword_ptr(ICR_HIGH), 1 << 24)?;
        a.mov(dword_ptr(ICR_LOW), command as i32)?;
    }
    Ok(())
}

/// 32-bit code that gives the second processor its data segments; uses EAX.
///
/// # Errors
/// If it can't be assembled.
pub fn load_segments(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.mov(eax, 0x10)?;
    a.mov(ds, ax)?;
    a.mov(es, ax)?;
    a.mov(ss, ax)
}
