//! What each shape of access arrives as: first from ring 0, then from ring 3, by the same code.

use common::shapes::{self, shape};
use common::system_call::{fill, routine};

use super::{process, run_to_exit};
use crate::check::{Failure, equal};
use crate::lab;
use crate::paging::Caching;
use crate::pci::Function;

/// Accesses of 1, 2, 4 and 8 bytes.
pub fn sizes(function: &Function) -> Result<&'static str, Failure> {
    play(function, shape::SIZES)?;
    Ok("one access each, in full width")
}

/// Instructions beside a plain `mov`.
pub fn forms(function: &Function) -> Result<&'static str, Failure> {
    play(function, shape::FORMS)?;
    Ok("one access each, whatever else the instruction does")
}

/// Accesses at odd addresses.
pub fn unaligned(function: &Function) -> Result<&'static str, Failure> {
    play(function, shape::UNALIGNED)?;
    Ok("one access each, not split")
}

/// Accesses across the end of a page.
pub fn page_crossing(function: &Function) -> Result<&'static str, Failure> {
    play(function, shape::PAGE_CROSSING)?;
    Ok("two accesses each, split where the page ends")
}

/// String instructions.
pub fn strings(function: &Function) -> Result<&'static str, Failure> {
    play(function, shape::STRINGS)?;
    Ok("one access for each element")
}

/// Instructions that read and write.
pub fn read_modify_write(function: &Function) -> Result<&'static str, Failure> {
    play(function, shape::READ_MODIFY_WRITE)?;
    Ok("a read and a write each, with lock and without")
}

/// Accesses of 16 bytes.
pub fn sixteen_bytes(function: &Function) -> Result<&'static str, Failure> {
    play(function, shape::SIXTEEN_BYTES)?;
    Ok("two accesses of 8 bytes each, low half first")
}

fn play(function: &Function, shape: u64) -> Result<(), Failure> {
    let memory = lab::map_memory(function, shapes::SIZE, Caching::Uncached)?;
    // SAFETY: just mapped, as much as a shape needs.
    equal("wrong values in ring 0", unsafe { shapes::play(shape, memory.address()) }, 0)?;
    let mut process = process(function, routine::SHAPE, [fill::UP_FRONT, shape])?;
    equal("wrong values in ring 3", run_to_exit(&mut process)?, 0)
}
