//! A guest that does nothing but access a device, at ring 0 or ring 3, through page tables of its own.

use anyhow::Result;
use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, cr0, cr3, cr4, dword_ptr, eax, ecx, edi, edx, esp, rdi};

use crate::raw_guest::{self, ENTRY, elf_file};

/// Where the guest puts BAR0 of the `lab` device, and SCRATCH in it.
pub const SCRATCH: u64 = 0xfe00_0008;

/// Where BAR0 is mapped once more, by a page that asks for write-back.
pub const CACHED: u64 = 0xfe20_0000;

const PML4: i32 = 0x20_0000;
const PDPT: i32 = 0x20_1000;
const PD_LOW: i32 = 0x20_2000;
const PD_HIGH: i32 = 0x20_3000;
const GDT: i32 = 0x20_4000;
const STACK: i32 = 0x20_6000;

/// Present, writable, user; and a 2 MiB page of it.
const TABLE: i32 = 0x07;
const PAGE: i32 = 0x87;
const UNCACHED: i32 = 0x10;

/// Registers of configuration space.
const COMMAND: u32 = 0x04;
const BAR0: u32 = 0x10;

/// An ELF file that writes and reads SCRATCH `rounds` times at privilege level `ring` (0 or 3) and then
/// ends in a triple fault.
///
/// # Errors
/// If it can't be assembled.
pub fn access_loop(rounds: i32, ring: u8) -> Result<Vec<u8>> {
    in_long_mode(|a| {
        if ring == 3 {
            enter_ring_3(a)?;
        }
        a.mov(rdi, SCRATCH)?;
        a.mov(ecx, rounds)?;
        let mut again = a.create_label();
        a.set_label(&mut again)?;
        a.mov(dword_ptr(rdi), ecx)?;
        a.mov(eax, dword_ptr(rdi))?;
        a.dec(ecx)?;
        a.jne(again)?;
        // There is no interrupt descriptor table: a triple fault.
        a.ud2()
    })
}

/// An ELF file that runs `body` in 64-bit mode at ring 0. The first 4 MiB are mapped to themselves, BAR0 of the
/// `lab` device by an uncached page to itself and by a cached one at [`CACHED`].
///
/// # Errors
/// If it can't be assembled.
pub fn in_long_mode(body: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Result<Vec<u8>> {
    let mut start = CodeAssembler::new(32)?;
    long_mode(&mut start)?;
    let mut code = start.assemble(ENTRY)?;
    // ljmp 0x08:next
    let next = ENTRY as u32 + code.len() as u32 + 7;
    code.push(0xea);
    code.extend_from_slice(&next.to_le_bytes());
    code.extend_from_slice(&[0x08, 0x00]);

    let mut rest = CodeAssembler::new(64)?;
    body(&mut rest)?;
    code.extend(rest.assemble(next.into())?);
    elf_file(&code)
}

fn long_mode(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let entries = [
        (PML4, PDPT | TABLE),
        (PDPT, PD_LOW | TABLE),
        (PDPT + 3 * 8, PD_HIGH | TABLE),
        (PD_LOW, PAGE),
        (PD_LOW + 8, 0x20_0000 | PAGE),
        (PD_HIGH + 0x1f0 * 8, 0xfe00_0000_u32 as i32 | PAGE | UNCACHED),
        (PD_HIGH + 0x1f1 * 8, 0xfe00_0000_u32 as i32 | PAGE),
        // 64-bit code, data, and the same two for ring 3.
        (GDT + 0x08 + 4, 0x0020_9b00),
        (GDT + 0x10 + 4, 0x00cf_9300),
        (GDT + 0x10, 0xffff),
        (GDT + 0x18 + 4, 0x0020_fb00),
        (GDT + 0x20 + 4, 0x00cf_f300),
        (GDT + 0x20, 0xffff),
        // What LGDT reads: limit and base.
        (GDT + 0x80, 0x27 | (GDT & 0xffff) << 16),
        (GDT + 0x84, GDT >> 16),
    ];
    for (address, value) in entries {
        a.mov(edi, address)?;
        a.mov(dword_ptr(edi), value)?;
    }
    for (register, value) in [(BAR0, 0xfe00_0000), (COMMAND, 2)] {
        raw_guest::configure(a, 4, register, value)?;
    }
    a.mov(esp, STACK)?;
    a.mov(edi, GDT + 0x80)?;
    a.lgdt(iced_x86::code_asm::ptr(edi))?;
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

fn enter_ring_3(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut user = a.create_label();
    a.push(0x23)?;
    a.push(STACK)?;
    a.push(2)?;
    a.push(0x1b)?;
    a.lea(rdi, iced_x86::code_asm::ptr(user))?;
    a.push(rdi)?;
    a.iretq()?;
    a.set_label(&mut user)
}
