//! Two vCPUs that access a function each at the same time: what one waits for the other.

use crate::bare::{self, Registers};
use crate::blocks::{self, Run};
use crate::image::{LAB, Loop, Op};
use crate::ours::{self, Record, Setup};
use crate::row::{Aim, Row};
use crate::{Each, Error, Plan};

const BARE: &str = "two-vcpus-bare";
const TRACED: &str = "two-vcpus-traced";

const CPUS: u8 = 2;
const AIM: Aim = Aim::ratio_at_most(1.10);

/// Names of rows.
pub(crate) const NAMES: [&str; 2] = [BARE, TRACED];

/// Measures what the plan asks for, at ring 0. What counts is the vCPU that takes longer.
pub(crate) fn measure(plan: &Plan, each: &mut Each<'_>) -> Result<(), Error> {
    if !NAMES.into_iter().any(|name| plan.wants(name)) {
        return Ok(());
    }
    for op in Op::ALL {
        let ns = |traced: bool, accesses: u32| {
            let (image, made) = Loop::image_for_two(op, accesses)?;
            let times = if traced {
                ours::times(&image, Setup { device: ours::LAB, cpus: CPUS, record: Record::Traced })?
            } else {
                bare::times(&image, LAB.id, CPUS, Registers::Kept)?
            };
            Ok(blocks::each(times.into_iter().max().unwrap_or_default(), made))
        };
        let runs: [Run<'_>; 2] = [Box::new(|count| ns(false, count)), Box::new(|count| ns(true, count))];
        let figures = blocks::take_turns(plan, &runs)?;
        each(Row::of_blocks(BARE, "ns", &figures[0], None).of(0, op))?;
        each(Row::of_blocks(TRACED, "ns", &figures[1], Some(&figures[0])).of(0, op).aim(AIM))?;
    }
    Ok(())
}
