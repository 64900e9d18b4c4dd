//! Call stacks: one that a guest had, at hand and followed anew: its innermost 12 frames, and all 33 of them, from a read of
//! configuration space in a driver's `probe` into the program. It is followed in a capture of that guest's memory: no VM is
//! needed.

use std::cell::RefCell;
use std::hint::black_box;
use std::time::Instant;

use barscope_unwind::{Capture, Recent, Space, Unwinder};

use crate::blocks::{Run, each, take_turns};
use crate::row::{Aim, Row};
use crate::{Each, Error, Plan};

/// Names of rows.
pub const NAMES: [&str; 4] = ["stack-at-hand", "stack-followed", "deep-stack-at-hand", "deep-stack-followed"];

/// How many frames are followed for the first two.
const DEPTH: usize = 12;

/// Measures both.
pub fn measure(plan: &Plan, each_row: &mut Each<'_>) -> Result<(), Error> {
    if !NAMES.iter().any(|name| plan.wants(name)) {
        return Ok(());
    }
    let capture = Capture::linux_6_1().map_err(Error::system("the captured call stack"))?;
    let (memory, kernel, registers) = (capture.memory(), capture.kernel(), &capture.registers);
    let mut figures = Vec::new();
    for depth in [DEPTH, usize::MAX] {
        let program = RefCell::new(capture.program());
        // As when nothing is known yet: tables are searched and the list of modules is followed each time.
        let follow = || {
            let space = Space::new(&memory, registers);
            let mut followed =
                Unwinder::default().follow(Some(&kernel), &mut program.borrow_mut(), &space, depth);
            if let Some((_, loads)) = kernel.tasks.running(&space, capture.vcpu) {
                followed.loads.extend(loads);
            }
            followed
        };
        let mut recent = Recent::default();
        recent.keep(0, registers, follow(), 1);
        if recent.get(0, &Space::new(&memory, registers)).is_none() {
            return Err(Error::Workload("its call stack isn't found at hand".to_owned()));
        }
        let hit = || {
            black_box(recent.get(0, &Space::new(&memory, black_box(registers))));
        };
        let miss = || {
            black_box(follow());
        };
        let runs: [Run<'_>; 2] =
            [Box::new(|count| timed(count, &hit)), Box::new(|count| timed(count, &miss))];
        figures.extend(take_turns(plan, &runs)?);
    }
    let aims = [Some(Aim::at_most(200.0)), Some(Aim::at_most(20_000.0)), None, None];
    for ((name, aim), figures) in NAMES.into_iter().zip(aims).zip(&figures) {
        if plan.wants(name) {
            each_row(Row { ratio: None, ..Row::of_blocks(name, "ns", figures, None) }.aim(aim))?;
        }
    }
    Ok(())
}

/// Nanoseconds that each of `count` turns takes.
fn timed(count: u32, one: &dyn Fn()) -> Result<f64, Error> {
    let began = Instant::now();
    (0..count).for_each(|_| one());
    Ok(each(began.elapsed(), count))
}
