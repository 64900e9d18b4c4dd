//! A guest's request from any bytes, for fuzzing: no KVM is needed to read one.

use barscope_device::DmaMemory;
use barscope_x86::Registers;

use super::{Bulk, Request};
use crate::images::Code;
use crate::kernel_module;
use crate::kernel_symbols::KernelSymbols;
use crate::memory::GuestMemory;

/// Guest memory in bytes.
const MEMORY: u64 = 1 << 20;
/// Control registers of a guest with paging in 64-bit mode.
const CR0_PAGED: u64 = 0x8000_0001;
const EFER_LONG: u64 = 0x500;

/// Makes a request and reads it: the first byte is its number; then whether the guest pages, RBX, RCX and CR3, each
/// of as many bytes as an address in memory has; the rest is memory from 0 on.
pub fn request(bytes: &[u8]) {
    let Some((&[number, paged], rest)) = bytes.split_first_chunk() else { return };
    let Some((words, content)) = rest.split_first_chunk::<9>() else { return };
    let word =
        |at: usize| u64::from(words[at]) | u64::from(words[at + 1]) << 8 | u64::from(words[at + 2]) << 16;
    let (rbx, rcx, cr3) = (word(0), word(3), word(6));
    let mut registers = Registers { rbx, rcx, cr3, ..Registers::default() };
    if paged & 1 != 0 {
        (registers.cr0, registers.efer) = (CR0_PAGED, EFER_LONG);
    }
    let Ok(memory) = GuestMemory::new(MEMORY) else { return };
    let content = &content[..content.len().min(MEMORY as usize)];
    if memory.write(0, content).is_ok() {
        read(u32::from(number), &memory, &registers);
    }
}

/// Reads a request, and the bytes that come with it.
fn read(number: u32, memory: &GuestMemory, registers: &Registers) {
    match Request::parse(number, memory, registers) {
        Ok(Request::Bulk(Bulk::Image { elf, .. } | Bulk::File { elf, .. })) => drop(Code::of(&elf)),
        Ok(Request::Bulk(Bulk::Symbols { lines, linked })) => {
            let mut symbols = KernelSymbols::parse(&lines);
            symbols.add_linked(KernelSymbols::parse(&linked), memory, registers).ok();
            drop(symbols.lines());
        }
        Ok(Request::Bulk(Bulk::Module { mut elf, sections, .. })) => {
            // What it gives is of no interest.
            let _ = kernel_module::place(&mut elf, &String::from_utf8_lossy(&sections));
            let _ = kernel_module::name(&elf);
            drop(Code::of(&elf));
        }
        Ok(Request::Now(_) | Request::Bulk(Bulk::Maps(_))) | Err(_) => {}
    }
}
