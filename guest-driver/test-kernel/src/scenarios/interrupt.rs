//! The device's interrupt.

use crate::check::{Failure, equal};
use crate::lab;
use crate::pci::Function;

/// Has the device compute, and its interrupt handled.
pub fn interrupt(function: &Function) -> Result<&'static str, Failure> {
    let lab = lab::probe(function)?;
    equal("RESULT", u64::from(lab::compute_factorial(&lab, 5)?), 120)?;
    Ok("the handler in ring 0 read and cleared INT_STATUS")
}
