//! Both paths to a register, and what each costs.

use common::system_call::{fill, routine};

use super::{process, run_to_exit};
use crate::check::{Failure, equal};
use crate::lab;
use crate::pci::Function;

/// Reads ID and VERSION, which `lab::probe` checks.
pub fn probe(function: &Function) -> Result<&'static str, Failure> {
    lab::probe(function)?;
    Ok("ID and VERSION read through ioremap")
}

/// Ring 0 writes SCRATCH, ring 3 reads it and writes it, ring 0 reads it again.
pub fn same_register(function: &Function) -> Result<&'static str, Failure> {
    let lab = lab::probe(function)?;
    lab::write_scratch(&lab, 0xc0ff_ee01);
    let mut process = process(function, routine::EXCHANGE, [fill::UP_FRONT, 0xc0ff_ee02])?;
    equal("SCRATCH in ring 3", run_to_exit(&mut process)?, 0xc0ff_ee01)?;
    equal("SCRATCH in ring 0", u64::from(lab::read_scratch(&lab)), 0xc0ff_ee02)?;
    Ok("each side read what the other wrote")
}

/// Ring 3 uses a mapping that `mmap` has filled.
pub fn mmap_up_front(function: &Function) -> Result<&'static str, Failure> {
    let mut process = process(function, routine::WRITE_AND_READ, [fill::UP_FRONT, 0xc0ff_ee03])?;
    equal("SCRATCH in ring 3", run_to_exit(&mut process)?, 0xc0ff_ee03)?;
    equal("page faults", process.faults_resolved(), 0)?;
    Ok("no page fault")
}

/// Ring 3 uses a mapping that its first touch fills.
pub fn mmap_by_fault(function: &Function) -> Result<&'static str, Failure> {
    let mut process = process(function, routine::READ_TEN_TIMES, [fill::ON_FAULT, 0])?;
    equal("reads", run_to_exit(&mut process)?, 10)?;
    equal("page faults", process.faults_resolved(), 1)?;
    Ok("one page fault for ten reads")
}

/// Ring 3 maps the second page of the memory by its offset.
pub fn map_offset(function: &Function) -> Result<&'static str, Failure> {
    let mut process = process(function, routine::MAP_SECOND_PAGE, [fill::UP_FRONT, 0xc0ff_ee13])?;
    equal("what the second page gives", run_to_exit(&mut process)?, 0xc0ff_ee13)?;
    Ok("a mapping of the second page leads there")
}

/// Ring 3 accesses SCRATCH a thousand times while the kernel counts its entries.
pub fn no_kernel_entry(function: &Function) -> Result<&'static str, Failure> {
    let mut process = process(function, routine::THOUSAND_ACCESSES, [fill::UP_FRONT, 0xc0ff_ee05])?;
    equal("reads that gave what was written", run_to_exit(&mut process)?, 500)?;
    let entries =
        process.entries_counted().ok_or(Failure::Reason("the program counted no kernel entries"))?;
    equal("kernel entries", entries, 0)?;
    Ok("500 writes and 500 reads, no kernel entry")
}
