//! Two CPUs, each with a process of its own.

use common::system_call::routine;

use super::{exit_code, process};
use crate::check::{Failure, equal};
use crate::pci::Function;
use crate::second_cpu::SecondCpu;

/// How far each program counts.
const COUNT: u64 = 200;

/// A program on each CPU counts up in a word of the device's memory, both at the same time.
pub fn two_cpus(function: &Function, second_cpu: SecondCpu) -> Result<&'static str, Failure> {
    let mut here = process(function, routine::COUNT_UP, [0x00, COUNT])?;
    let mut there = process(function, routine::COUNT_UP, [0x40, COUNT])?;
    let [here, there] = second_cpu.run_both(&mut here, &mut there);
    equal("right values on the first CPU", exit_code(here)?, COUNT)?;
    equal("right values on the second CPU", exit_code(there)?, COUNT)?;
    Ok("each program read back what it wrote, 200 times")
}
