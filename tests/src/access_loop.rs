//! A guest that does nothing but access a device, at ring 0 or ring 3, through page tables of its own.

use anyhow::Result;
use barscope_cost::long_mode::{self, CACHED_WINDOW, REGISTER_WINDOW};
use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, dword_ptr, eax, ecx, rdi};

use crate::raw_guest;

/// Where the guest puts BAR0 of the `lab` device, and SCRATCH in it.
pub const SCRATCH: u64 = REGISTER_WINDOW as u64 + 8;

/// Where BAR0 is mapped once more, by a page that asks for write-back.
pub const CACHED: u64 = CACHED_WINDOW as u64;

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
            long_mode::enter_ring_3(a)?;
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
    let start = |a: &mut CodeAssembler| {
        long_mode::write_tables(a)?;
        for (register, value) in [(BAR0, REGISTER_WINDOW), (COMMAND, 2)] {
            raw_guest::configure(a, 4, register, value)?;
        }
        long_mode::switch_on(a)
    };
    Ok(long_mode::file(start, body)?)
}
