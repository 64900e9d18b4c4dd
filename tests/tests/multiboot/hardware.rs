//! What test kernels look for: processors and memory by `fw_cfg`, the RSDP between 0xe0000 and 0xfffff, the timer whose port
//! the FADT gives.

use anyhow::Result;
use barscope_bench::command::Session;
use iced_x86::IcedError;
use iced_x86::code_asm::{al, ax, byte_ptr, cl, dword_ptr, dx, eax, ebp, ebx, ecx, edi, edx, esi};

use crate::image::{self, Form};
use crate::machines::Kernel;
use crate::program::Program;
use crate::{outcome, program};

/// Selects an item of `fw_cfg`.
fn select(p: &mut Program, item: i32) -> Result<(), IcedError> {
    p.a.mov(edx, 0x510)?;
    p.a.mov(eax, item)?;
    p.a.out(dx, ax)
}

/// Reads the next bytes of it into EBX, the lowest first.
fn next(p: &mut Program, bytes: i32) -> Result<(), IcedError> {
    let mut again = p.a.create_label();
    p.a.mov(edx, 0x511)?;
    p.a.mov(ebx, 0)?;
    p.a.mov(ecx, 0)?;
    p.a.set_label(&mut again)?;
    p.a.mov(eax, 0)?;
    p.a.in_(al, dx)?;
    p.a.shl(eax, cl)?;
    p.a.or(ebx, eax)?;
    p.a.add(ecx, 8)?;
    p.a.cmp(ecx, 8 * bytes)?;
    p.a.jne(again)
}

fn print(p: &mut Program, what: &str) -> Result<(), IcedError> {
    p.text(what)?;
    p.hex(ebx)?;
    p.text("\n")
}

/// Finds the RSDP, whose first 20 bytes have to sum to 0, and by the RSDT the table with this signature; EBX points at it. The
/// machine ends with 9 where one is missing.
fn table(p: &mut Program, signature: &[u8; 4]) -> Result<(), IcedError> {
    let [mut again, mut next, mut sum, mut found, mut missing] = std::array::from_fn(|_| p.a.create_label());
    let [mut entry, mut this] = std::array::from_fn(|_| p.a.create_label());
    p.a.mov(ebx, 0xe_0000)?;
    p.a.set_label(&mut again)?;
    p.a.cmp(dword_ptr(ebx), i32::from_le_bytes(*b"RSD "))?;
    p.a.jne(next)?;
    p.a.cmp(dword_ptr(ebx) + 4, i32::from_le_bytes(*b"PTR "))?;
    p.a.jne(next)?;
    p.a.mov(ecx, 0)?;
    p.a.mov(eax, 0)?;
    p.a.set_label(&mut sum)?;
    p.a.add(al, byte_ptr(ebx + ecx))?;
    p.a.inc(ecx)?;
    p.a.cmp(ecx, 20)?;
    p.a.jne(sum)?;
    p.a.test(al, al)?;
    p.a.je(found)?;
    p.a.set_label(&mut next)?;
    p.a.add(ebx, 16)?;
    p.a.cmp(ebx, 0x10_0000)?;
    p.a.jb(again)?;
    p.a.set_label(&mut missing)?;
    p.text("missing\n")?;
    p.a.mov(ebp, 9)?;
    p.exit()?;

    p.a.set_label(&mut found)?;
    p.a.mov(ecx, dword_ptr(ebx) + 16)?;
    p.a.cmp(dword_ptr(ecx), i32::from_le_bytes(*b"RSDT"))?;
    p.a.jne(missing)?;
    p.a.mov(edi, dword_ptr(ecx) + 4)?;
    p.a.add(edi, ecx)?;
    p.a.add(ecx, 36)?;
    p.a.set_label(&mut entry)?;
    p.a.cmp(ecx, edi)?;
    p.a.jae(missing)?;
    p.a.mov(ebx, dword_ptr(ecx))?;
    p.a.cmp(dword_ptr(ebx), i32::from_le_bytes(*signature))?;
    p.a.je(this)?;
    p.a.add(ecx, 4)?;
    p.a.jmp(entry)?;
    p.a.set_label(&mut this)?;
    p.a.nop()
}

/// Prints whether the timer at the port in EBX goes on, by less than a second.
fn timer(p: &mut Program) -> Result<(), IcedError> {
    let [mut again, mut end] = std::array::from_fn(|_| p.a.create_label());
    p.a.mov(edx, ebx)?;
    p.a.in_(eax, dx)?;
    p.a.mov(esi, eax)?;
    p.a.mov(ecx, 0)?;
    p.a.set_label(&mut again)?;
    p.a.inc(ecx)?;
    p.a.cmp(ecx, 1_000_000)?;
    p.a.je(end)?;
    p.a.in_(eax, dx)?;
    p.a.sub(eax, esi)?;
    // 24 bits of it are there in any case.
    p.a.and(eax, 0xff_ffff)?;
    p.a.je(again)?;
    p.a.cmp(eax, 3_579_545)?;
    p.a.jae(end)?;
    p.text("the timer goes on\n")?;
    p.a.set_label(&mut end)?;
    p.a.nop()
}

fn kernel() -> Result<Kernel<'static>> {
    let code = program(|p| {
        select(p, 0)?;
        next(p, 4)?;
        print(p, "fw_cfg ")?;
        for (what, item) in [("processors ", 5), ("at most ", 0xf)] {
            select(p, item)?;
            next(p, 2)?;
            print(p, what)?;
        }
        select(p, 3)?;
        next(p, 4)?;
        print(p, "bytes of memory ")?;
        select(p, 0x19)?;
        next(p, 1)?;
        print(p, "files, high byte ")?;
        table(p, b"APIC")?;
        p.text("MADT\n")?;
        table(p, b"FACP")?;
        p.text("FADT\n")?;
        // PM_TMR_BLK and PM_TMR_LEN.
        p.a.movzx(ecx, byte_ptr(ebx) + 91)?;
        p.a.mov(ebx, dword_ptr(ebx) + 76)?;
        p.a.mov(ebp, ecx)?;
        timer(p)
    })?;
    Ok(Kernel { file: image::version_1(Form::Elf32, &code)?, cpus: 3, ..Kernel::default() })
}

const FOUND: &str = "\
magic 2badb002
fw_cfg 554d4551
processors 00000003
at most 00000003
bytes of memory 04000000
files, high byte 00000000
MADT
FADT
the timer goes on
";

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn test_kernels_find_processors_memory_acpi_and_the_timer() -> Result<()> {
    assert_eq!(kernel()?.here(&Session::new()?)?, outcome(FOUND, 9));
    Ok(())
}

#[test]
#[ignore = "needs QEMU"]
fn test_kernels_find_the_same_in_qemu() -> Result<()> {
    assert_eq!(kernel()?.in_qemu(&Session::new()?)?, outcome(FOUND, 9));
    Ok(())
}
