//! What a traced access takes in user space: from KVM_RUN's return to the next KVM_RUN.

use std::sync::mpsc::channel;

use crate::blocks;
use crate::image::{Loop, Op, SCRATCH};
use crate::observers::UserTime;
use crate::ours::{self, LAB, Record, Setup};
use crate::row::{Aim, Row};
use crate::samples::Samples;
use crate::{Each, Error, Plan};

/// The median; over blocks, the median of medians.
const MEDIAN: &str = "user-space-p50";
/// The 99th percentile; over blocks, the lowest: a busy machine only ever makes it worse.
const HIGH: &str = "user-space-p99";

/// How many blocks.
const BLOCKS: usize = 5;

/// Names of rows.
pub(crate) const NAMES: [&str; 2] = [MEDIAN, HIGH];

/// Measures what the plan asks for.
pub(crate) fn measure(plan: &Plan, each: &mut Each<'_>) -> Result<(), Error> {
    if !NAMES.into_iter().any(|name| plan.wants(name)) {
        return Ok(());
    }
    let setup = Setup { device: LAB, cpus: 1, record: Record::Traced };
    for ring in [0, 3] {
        for op in Op::ALL {
            let mut guest = Loop { place: SCRATCH, op, ring, accesses: 1000 };
            let first = ours::times(&guest.image()?, setup)?[0];
            guest.accesses = blocks::accesses(plan, blocks::each(first, guest.made()));
            let image = guest.image()?;
            let (mut medians, mut highs) = (Samples::default(), Samples::default());
            for _ in 0..BLOCKS {
                let (sender, times) = channel();
                ours::run(&image, setup, |_| UserTime::new(guest.made(), sender.clone()))?;
                let times: Samples = ours::sent(&times)?.iter().map(|time| time.as_nanos() as f64).collect();
                medians.extend(times.median());
                highs.extend(times.quantile(0.99));
            }
            let median = Row { value: medians.median(), spread: medians.spread(), ..Row::new(MEDIAN, "ns") };
            let high = Row { value: highs.lowest(), spread: highs.spread(), ..Row::new(HIGH, "ns") };
            for row in [median.aim(Aim::at_most(350.0)), high.aim(Aim::at_most(1500.0))] {
                each(row.of(ring, op))?;
            }
        }
    }
    Ok(())
}
