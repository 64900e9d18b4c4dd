//! Neither mapping needs the other.

use common::system_call::{fill, routine};

use super::{process, run_to_exit};
use crate::check::{Failure, equal, holds};
use crate::lab;
use crate::pci::Function;
use crate::process::Exit;

/// Ring 3 uses SCRATCH while the kernel has no mapping of it.
pub fn mmap_without_ioremap(function: &Function) -> Result<&'static str, Failure> {
    holds(!lab::is_ioremapped(function)?, "the registers are mapped by ioremap")?;
    let mut process = process(function, routine::WRITE_AND_READ, [fill::UP_FRONT, 0xc0ff_ee06])?;
    equal("SCRATCH in ring 3", run_to_exit(&mut process)?, 0xc0ff_ee06)?;
    Ok("ring 3 reached SCRATCH; no kernel mapping existed")
}

/// Ring 0 uses SCRATCH while there is no process.
pub fn ioremap_without_mmap(function: &Function) -> Result<&'static str, Failure> {
    let lab = lab::probe(function)?;
    lab::write_scratch(&lab, 0xc0ff_ee07);
    equal("SCRATCH in ring 0", u64::from(lab::read_scratch(&lab)), 0xc0ff_ee07)?;
    Ok("ring 0 reached SCRATCH; no process existed")
}

/// Ring 3 reads SCRATCH before and after the kernel gives up its mapping.
pub fn iounmap_keeps_mmap(function: &Function) -> Result<&'static str, Failure> {
    let lab = lab::probe(function)?;
    lab::write_scratch(&lab, 0xc0ff_ee08);
    let mut process = process(function, routine::READ_PAUSE_READ, [fill::UP_FRONT, 0xc0ff_ee08])?;
    holds(process.run() == Exit::Pause, "the program did not pause")?;
    drop(lab);
    equal("SCRATCH in ring 3 after iounmap", run_to_exit(&mut process)?, 0xc0ff_ee08)?;
    Ok("ring 3 reached SCRATCH after iounmap")
}

/// Ring 3 gives up its mapping; ring 0 then reads what it wrote.
pub fn munmap_keeps_ioremap(function: &Function) -> Result<&'static str, Failure> {
    let lab = lab::probe(function)?;
    let mut process = process(function, routine::WRITE_AND_UNMAP, [fill::UP_FRONT, 0xc0ff_ee09])?;
    equal("result of munmap", run_to_exit(&mut process)?, 0)?;
    equal("SCRATCH in ring 0 after munmap", u64::from(lab::read_scratch(&lab)), 0xc0ff_ee09)?;
    Ok("ring 0 reached SCRATCH after munmap")
}
