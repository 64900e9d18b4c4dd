//! The mistake that the driver makes on purpose, if the command line asks for one.

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use barscope_guest_abi::bug::ARGUMENT;
pub use barscope_guest_abi::bug::Bug;

use crate::boot_info;

const NONE: u32 = u32::MAX;

static CHOSEN: AtomicU32 = AtomicU32::new(NONE);

/// Has the driver make the mistake that `command_line` names, or none.
///
/// # Errors
/// The name, if no mistake has it.
pub fn choose(command_line: &[u8]) -> Result<(), &[u8]> {
    let Some(name) = boot_info::argument(command_line, ARGUMENT) else { return Ok(()) };
    let bug = Bug::ALL.iter().find(|bug| bug.name().as_bytes() == name).ok_or(name)?;
    CHOSEN.store(*bug as u32, Relaxed);
    Ok(())
}

/// Whether the driver has to make this mistake.
#[inline]
pub fn is(bug: Bug) -> bool {
    CHOSEN.load(Relaxed) == bug as u32
}
