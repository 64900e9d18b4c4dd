//! The way from protected mode to 64-bit code at ring 0 or 3, through page tables of the guest's own.

use iced_x86::IcedError;
use iced_x86::code_asm::{
    CodeAssembler, ax, cr0, cr3, cr4, dword_ptr, eax, ecx, edi, edx, esp, ptr, rax, rdi, word_ptr,
};

use crate::Error;
use crate::raw_guest::{ENTRY, elf_file};

/// Memory below this address is mapped to itself, for all rings.
pub const MAPPED: u32 = 0x40_0000;
/// Pages from here on are mapped to themselves, uncached, for all rings: 2 MiB for a BAR of memory.
pub const MEMORY_WINDOW: u32 = 0xfd00_0000;
/// The same for BARs of registers.
pub const REGISTER_WINDOW: u32 = 0xfe00_0000;
/// Where [`REGISTER_WINDOW`] is mapped once more, by a page that asks for write-back.
pub const CACHED_WINDOW: u32 = 0xfe20_0000;
/// The top of the stack that 32-bit code has, and programs at ring 3.
pub const STACK: i32 = 0x20_8000;

const PML4: i32 = 0x20_0000;
const PDPT: i32 = 0x20_1000;
const PD_LOW: i32 = 0x20_2000;
const PD_HIGH: i32 = 0x20_3000;
const GDT: i32 = 0x20_4000;
const IDT: i32 = 0x20_5000;
const TSS: i32 = 0x20_6000;
/// The top of the stack on which exceptions are handled.
const HANDLER_STACK: i32 = 0x20_a000;

/// Present, writable, user; and a 2 MiB page of it.
const TABLE: i32 = 0x07;
const PAGE: i32 = 0x87;
const UNCACHED: i32 = 0x10;

/// Selectors.
const CODE: u8 = 0x08;
const TASK: u16 = 0x28;
/// Of the invalid-opcode exception.
const INVALID_OPCODE: i32 = 6;

/// An ELF file that runs `start` in protected mode without paging, which ends with [`switch_on`], then `body` in 64-bit mode
/// at ring 0.
///
/// # Errors
/// If it can't be assembled.
pub fn file(
    start: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>,
    body: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>,
) -> Result<Vec<u8>, Error> {
    let mut assembler = CodeAssembler::new(32)?;
    start(&mut assembler)?;
    let mut code = assembler.assemble(ENTRY)?;
    // ljmp CODE:next
    let next = ENTRY as u32 + code.len() as u32 + 7;
    code.push(0xea);
    code.extend_from_slice(&next.to_le_bytes());
    code.extend_from_slice(&[CODE, 0x00]);

    let mut assembler = CodeAssembler::new(64)?;
    body(&mut assembler)?;
    code.extend(assembler.assemble(next.into())?);
    elf_file(&code)
}

/// 32-bit code that writes page tables and descriptors; uses EDI and sets ESP.
///
/// # Errors
/// If it can't be assembled.
pub fn write_tables(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let high = |window: u32| PD_HIGH + ((window - 0xc000_0000) >> 21) as i32 * 8;
    let page = |window: u32| window as i32 | PAGE;
    let entries = [
        (PML4, PDPT | TABLE),
        (PDPT, PD_LOW | TABLE),
        (PDPT + 3 * 8, PD_HIGH | TABLE),
        (PD_LOW, PAGE),
        (PD_LOW + 8, 0x20_0000 | PAGE),
        (high(MEMORY_WINDOW), page(MEMORY_WINDOW) | UNCACHED),
        (high(REGISTER_WINDOW), page(REGISTER_WINDOW) | UNCACHED),
        (high(CACHED_WINDOW), page(REGISTER_WINDOW)),
        // 64-bit code, data, the same two for ring 3, and a task.
        (GDT + 0x08 + 4, 0x0020_9b00),
        (GDT + 0x10 + 4, 0x00cf_9300),
        (GDT + 0x10, 0xffff),
        (GDT + 0x18 + 4, 0x0020_fb00),
        (GDT + 0x20 + 4, 0x00cf_f300),
        (GDT + 0x20, 0xffff),
        (GDT + 0x28, 0x67 | (TSS & 0xffff) << 16),
        (GDT + 0x28 + 4, 0x8900 | (TSS >> 16) & 0xff),
        (TSS + 4, HANDLER_STACK),
        // What LGDT and LIDT read: limit and base.
        (GDT + 0x80, 0x37 | (GDT & 0xffff) << 16),
        (GDT + 0x84, GDT >> 16),
        (GDT + 0x90, 0x6f | (IDT & 0xffff) << 16),
        (GDT + 0x94, IDT >> 16),
        (GDT + 0x98, 0),
    ];
    for (address, value) in entries {
        a.mov(edi, address)?;
        a.mov(dword_ptr(edi), value)?;
    }
    a.mov(esp, STACK)
}

/// 32-bit code that switches paging and long mode on, with [`write_tables`] done; uses EAX, ECX, EDX and EDI.
///
/// # Errors
/// If it can't be assembled.
pub fn switch_on(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.mov(edi, GDT + 0x80)?;
    a.lgdt(ptr(edi))?;
    a.mov(eax, PML4)?;
    a.mov(cr3, eax)?;
    a.mov(eax, 1 << 5)?;
    a.mov(cr4, eax)?;
    a.mov(ecx, 0xc000_0080_u32 as i32)?;
    a.mov(eax, 1 << 8)?;
    a.xor(edx, edx)?;
    a.wrmsr()?;
    a.mov(eax, 0x8000_0001_u32 as i32)?;
    a.mov(cr0, eax)
}

/// 64-bit code that goes on at ring 3, its stack at [`STACK`]; uses RDI. There is no way back but
/// [`call_at_ring_3`]'s.
///
/// # Errors
/// If it can't be assembled.
pub fn enter_ring_3(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut user = a.create_label();
    a.push(0x23)?;
    a.push(STACK)?;
    a.push(2)?;
    a.push(0x1b)?;
    a.lea(rdi, ptr(user))?;
    a.push(rdi)?;
    a.iretq()?;
    a.set_label(&mut user)
}

/// 64-bit code that runs `body` at ring 3 and goes on at ring 0: an invalid opcode is the way back, which works on every
/// KVM. Uses RAX and RDI.
///
/// # Errors
/// If it can't be assembled.
pub fn call_at_ring_3(
    a: &mut CodeAssembler,
    body: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>,
) -> Result<(), IcedError> {
    let mut back = a.create_label();
    let gate = IDT + 16 * INVALID_OPCODE;
    a.lea(rax, ptr(back))?;
    a.mov(edi, gate)?;
    a.mov(word_ptr(rdi), ax)?;
    a.mov(word_ptr(rdi + 2), i32::from(CODE))?;
    a.mov(word_ptr(rdi + 4), 0x8e00)?;
    a.shr(rax, 16)?;
    a.mov(word_ptr(rdi + 6), ax)?;
    a.mov(edi, GDT + 0x90)?;
    a.lidt(ptr(rdi))?;
    a.mov(eax, i32::from(TASK))?;
    a.ltr(ax)?;
    enter_ring_3(a)?;
    body(a)?;
    a.ud2()?;
    a.set_label(&mut back)
}
