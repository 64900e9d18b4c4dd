//! Driver bugs, each with what it comes to.

use common::mmio;
use common::system_call::{fill, routine};

use super::{process, run_to_exit};
use crate::check::{Failure, equal};
use crate::ioremap::{IoMemory, ioremap};
use crate::lab;
use crate::pci::{Function, command};

/// Where [`bar_moved`] puts the registers for a while: nothing else is there.
const ELSEWHERE: u64 = 0xfe80_0000;
const ALL_ONES: u64 = 0xffff_ffff;

/// Ring 0 goes on to use its mapping of the registers after they have got another address.
pub fn bar_moved(function: &Function) -> Result<&'static str, Failure> {
    let lab = lab::probe(function)?;
    lab::write_scratch(&lab, 0xc0ff_ee13);
    let registers = lab::registers_bar(function)?;
    move_registers(function, ELSEWHERE);
    let by_old_mapping = lab::read_scratch(&lab);
    let by_new_mapping =
        ioremap(ELSEWHERE, registers.size, "bugs::bar_moved").map(|it| read_where_it_is(&it));
    move_registers(function, registers.address);
    equal("SCRATCH by the old mapping", u64::from(by_old_mapping), ALL_ONES)?;
    equal("SCRATCH by a new mapping", by_new_mapping.map_or(0, u64::from), 0xc0ff_ee13)?;
    equal("SCRATCH after moving back", u64::from(lab::read_scratch(&lab)), 0xc0ff_ee13)?;
    Ok("the old mapping read all-ones; the register kept its value elsewhere")
}

fn move_registers(function: &Function, address: u64) {
    function.set_command(command::MEMORY_SPACE, false);
    function.move_bar(lab::REGISTERS_BAR, address);
    function.set_command(command::MEMORY_SPACE, true);
}

/// Reads SCRATCH in `registers`.
#[inline(never)]
fn read_where_it_is(registers: &IoMemory) -> u32 {
    // SAFETY: the registers are mapped there, all of them 32 bits wide.
    unsafe { mmio::read32(registers.address() + lab::SCRATCH) }
}

/// Ring 3 gets a mapping of more than the registers, and reads what lies after them.
pub fn map_past_end_unchecked(function: &Function) -> Result<&'static str, Failure> {
    let mut process = process(function, routine::READ_PAST_END, [fill::UP_FRONT, 0])?;
    equal("what lies after the registers", run_to_exit(&mut process)?, 0)?;
    Ok("the driver gave away the table of interrupt messages")
}

/// The handler does not acknowledge the first of two interrupts.
pub fn forgotten_acknowledgement(function: &Function) -> Result<&'static str, Failure> {
    let lab = lab::probe(function)?;
    equal("interrupts of two computations", u64::from(lab::forget_acknowledgement(&lab)?), 1)?;
    Ok("the second computation ended without an interrupt")
}
