//! What a mapping does not give.

use common::system_call::{fill, routine};

use super::{process, run_to_exit, run_to_fault};
use crate::check::{Failure, equal};
use crate::lab;
use crate::pci::{Function, command};
use crate::process::MAPPINGS_BASE;

/// Page-fault error codes: bit 0 the page is present, bit 2 from ring 3.
pub const USER_READ_OF_NOTHING: u64 = 4;
const USER_READ_OF_SUPERVISOR_PAGE: u64 = 5;

/// Ring 3 reads SCRATCH after it gave up the mapping.
pub fn touch_after_munmap(function: &Function) -> Result<&'static str, Failure> {
    let mut process = process(function, routine::TOUCH_AFTER_UNMAP, [fill::UP_FRONT, 0])?;
    run_to_fault(&mut process, MAPPINGS_BASE + lab::SCRATCH, USER_READ_OF_NOTHING)?;
    Ok("the touch ended in a page fault, not at the device")
}

/// Ring 3 asks for more than the BAR has.
pub fn map_past_end(function: &Function) -> Result<&'static str, Failure> {
    let mut process = process(function, routine::MAP_PAST_END, [0, 0])?;
    equal("mappings not refused", run_to_exit(&mut process)?, 0)?;
    Ok("the driver refused all with EINVAL")
}

/// Ring 3 reads SCRATCH through the kernel's mapping.
pub fn supervisor_page_from_user(function: &Function) -> Result<&'static str, Failure> {
    let lab = lab::probe(function)?;
    let address = lab.register_address(lab::SCRATCH);
    let mut process = process(function, routine::READ_ADDRESS, [address, 0])?;
    run_to_fault(&mut process, address, USER_READ_OF_SUPERVISOR_PAGE)?;
    Ok("the kernel's mapping gave ring 3 a page fault")
}

/// Ring 0 reads SCRATCH while the function decodes no memory.
pub fn decode_off(function: &Function) -> Result<&'static str, Failure> {
    let lab = lab::probe(function)?;
    lab::write_scratch(&lab, 0xc0ff_ee0d);
    function.set_command(command::MEMORY_SPACE, false);
    let off = lab::read_scratch(&lab);
    function.set_command(command::MEMORY_SPACE, true);
    equal("SCRATCH with Memory Space off", u64::from(off), 0xffff_ffff)?;
    equal("SCRATCH with Memory Space on", u64::from(lab::read_scratch(&lab)), 0xc0ff_ee0d)?;
    Ok("all-ones while off; the register kept its value")
}
