//! Accesses of which the device gets only a part, or nothing.

use common::shapes::{read_unaligned, write_unaligned};
use common::system_call::{fill, routine};

use super::limits::USER_READ_OF_NOTHING;
use super::{Shown, process, run_to_fault};
use crate::check::{Failure, equal, holds};
use crate::ioremap::{IoMemory, ioremap};
use crate::lab::registers::MEMORY_BAR;
use crate::paging::PAGE;
use crate::pci::{Function, command};
use crate::process::{Exit, MAPPINGS_BASE};
use crate::trap_frame::vector;

/// How much of an access lies in memory, in bytes; the other half is the device's.
const HALF: u64 = 4;
/// The half in memory, of what an access reads or writes.
const FIRST: u64 = 0xffff_ffff;

/// Ring 0 reads and writes 8 bytes, half of them at the end of memory, half in the BAR right after it.
pub fn half_in_memory(function: &Function, end: u64) -> Shown {
    let bar = function.bar(MEMORY_BAR).ok_or(Failure::Reason("BAR 2 has no address"))?;
    holds(end.is_multiple_of(bar.size), "the BAR can't lie right after memory")?;
    function.set_command(command::MEMORY_SPACE, false);
    function.move_bar(MEMORY_BAR, end);
    function.enable();
    let both = ioremap(end - PAGE, 2 * PAGE, "edges::half_in_memory");
    let exchanged = both.as_ref().map(|both| exchange(both, 0xc0ff_ee1d));
    drop(both);
    function.set_command(command::MEMORY_SPACE, false);
    function.move_bar(MEMORY_BAR, bar.address);
    function.enable();
    let (before, after) = exchanged.ok_or(Failure::Reason("no room for ioremap"))?;
    equal("the half in memory", after & FIRST, before & FIRST)?;
    equal("the device's half", after >> 32, 0xc0ff_ee1d)?;
    Ok("the device saw its half only")
}

/// Reads what lies across the end of the first page, and writes it back with another second half. Gives
/// what it read before and after that.
#[inline(never)]
fn exchange(both: &IoMemory, second: u32) -> (u64, u64) {
    let address = both.address() + PAGE - HALF;
    // SAFETY: both pages are mapped; memory keeps what it holds.
    unsafe {
        let before = read_unaligned(address);
        write_unaligned(address, before & FIRST | u64::from(second) << 32);
        (before, read_unaligned(address))
    }
}

/// Ring 3 reads 8 bytes, half of them at the end of the registers, half in no page.
pub fn half_unmapped(function: &Function) -> Shown {
    let mut process = process(function, routine::READ_ACROSS_END, [fill::UP_FRONT, 0])?;
    run_to_fault(&mut process, MAPPINGS_BASE + PAGE, USER_READ_OF_NOTHING)?;
    Ok("the page fault came first; the device saw nothing")
}

/// Ring 3 reads a register by an instruction of the x87 unit.
pub fn not_emulated(function: &Function) -> Shown {
    let mut process = process(function, routine::FLOAT_LOAD, [fill::UP_FRONT, 0])?;
    let stopped = process.run() == Exit::Exception(vector::INVALID_OPCODE);
    holds(stopped, "the instruction was not refused")?;
    Ok("the program got an invalid-opcode exception, and the trace names the instruction")
}
