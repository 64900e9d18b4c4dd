//! Two CPUs at once: one by the driver, one by a mapping.

use std::{io, thread};

use super::{Outcome, ensure, same};
use crate::lab::{self, Lab};
use crate::mapping::Mapping;
use crate::{bench, system};

/// Writes of each side.
const TIMES: u32 = 200;
/// What the values of each side begin with.
const BY_DRIVER: u32 = 0xd000_0000;
const BY_PROGRAM: u32 = 0xa000_0000;

/// Each side writes its own register, counting up.
pub fn two_cpus() -> Outcome {
    let lab = Lab::open()?;
    let registers = lab.map_registers()?;
    let (driver, program) = thread::scope(|scope| {
        let driver = scope.spawn(|| by_driver(&lab));
        let program = scope.spawn(|| by_program(&registers));
        (driver.join(), program.join())
    });
    for side in [driver, program] {
        side.map_err(|_| "a thread panicked")??;
    }
    bench::mark("both done");
    same("the driver's last value", registers.read(lab::SCRATCH), BY_DRIVER | (TIMES - 1))?;
    same("the program's last value", lab.read(lab::OPERAND)?, BY_PROGRAM | (TIMES - 1))?;
    ensure(thread::available_parallelism()?.get() > 1, "there is one CPU only")?;
    Ok(format!("{TIMES} writes by each of two CPUs arrived in their order"))
}

#[inline(never)]
fn by_driver(lab: &Lab) -> io::Result<()> {
    system::stay_on(0)?;
    for turn in 0..TIMES {
        lab.write(lab::SCRATCH, BY_DRIVER | turn)?;
    }
    Ok(())
}

#[inline(never)]
fn by_program(registers: &Mapping) -> io::Result<()> {
    system::stay_on(1)?;
    for turn in 0..TIMES {
        registers.write(lab::OPERAND, BY_PROGRAM | turn);
    }
    Ok(())
}
