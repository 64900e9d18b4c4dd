//! Two CPUs at once: one by the driver, one by a mapping; or both by a mapping, with interrupts of two causes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{io, thread};

use super::{Outcome, ensure, same};
use crate::bench;
use crate::lab::{self, Lab};
use crate::mapping::Mapping;
use crate::system::{self, Interruptible};

/// Writes of each side.
const TIMES: u32 = 200;
/// How long a cause may wait for its handler.
const PATIENCE: Duration = Duration::from_secs(1);
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

/// Each side sets a cause of its own, so that one comes while the handler is at the other.
pub fn msi_shared() -> Outcome {
    let lab = Lab::open()?;
    same("kind of interrupt", lab.info()?.irq, lab::IRQ_MSI)?;
    let registers = lab.map_registers()?;
    lab.take()?;
    let (one, other) = thread::scope(|scope| {
        let one = scope.spawn(|| trigger(&registers, 0, lab::INT_DOORBELL));
        let other = scope.spawn(|| trigger(&registers, 1, lab::INT_FIFO));
        (one.join(), other.join())
    });
    for side in [one, other] {
        side.map_err(|_| "a thread panicked")??;
    }
    let began = Instant::now();
    loop {
        let left = registers.read(lab::INT_STATUS);
        if left == 0 {
            break;
        }
        ensure(began.elapsed() < PATIENCE, format!("nobody handles the causes {left:#x}"))?;
        thread::sleep(Duration::from_millis(1));
    }
    same("causes", lab.take()?, lab::INT_DOORBELL | lab::INT_FIFO)?;
    Ok(format!("of two causes that were set {TIMES} times each, none was left"))
}

/// One CPU computes, the other sends it signals: a call that ended before the device would leave its end to the next.
pub fn signals() -> Outcome {
    const SQUARES: u32 = 100;
    let lab = Lab::open()?;
    let done = AtomicBool::new(false);
    let caller = Interruptible::this_thread()?;
    system::stay_on(0)?;
    thread::scope(|scope| {
        scope.spawn(|| {
            system::stay_on(1)?;
            while !done.load(Ordering::Relaxed) {
                // SAFETY: the thread waits for this one.
                unsafe { caller.interrupt() };
            }
            Ok::<_, io::Error>(())
        });
        let worked = (0..SQUARES).try_for_each(|operand| {
            same("a square", lab.compute(lab::OPCODE_SQUARE, operand)?, operand * operand)
        });
        done.store(true, Ordering::Relaxed);
        worked
    })?;
    Ok(format!("{SQUARES} calls gave their own results, whatever signals came"))
}

#[inline(never)]
fn trigger(registers: &Mapping, cpu: u32, cause: u32) -> io::Result<()> {
    system::stay_on(cpu)?;
    for _ in 0..TIMES {
        registers.write(lab::TRIGGER, cause);
    }
    Ok(())
}
