//! A traced access next to one in QEMU, which records nothing, or what its own trace has.

use std::time::Duration;

use crate::bare::{self, Registers};
use crate::blocks::{self, Run};
use crate::image::{LIVENESS, Loop, Op};
use crate::ours::{self, Device, Record, Setup};
use crate::row::{Aim, Row};
use crate::{Each, Error, Plan, qemu};

const BARE: &str = "edu-bare";
const QEMU: &str = "qemu";
const QEMU_TRACED: &str = "qemu-traced";
const TRACED: &str = "edu-traced";
/// What is compared with QEMU, not with the bare loop.
const VS_QEMU: &str = "traced-vs-qemu";

const AIM: Aim = Aim::ratio_at_most(1.02);
const MISSING: &str = "no qemu-system-x86_64; `cargo xtask setup` provides it";

/// Names of rows.
pub(crate) const NAMES: [&str; 5] = [BARE, QEMU, QEMU_TRACED, TRACED, VS_QEMU];

/// Measures what the plan asks for.
pub(crate) fn measure(plan: &Plan, each: &mut Each<'_>) -> Result<(), Error> {
    if !plan.vs_qemu && !NAMES.iter().any(|name| plan.names_row(name)) {
        return Ok(());
    }
    for ring in [0, 3] {
        for op in Op::ALL {
            if qemu::is_there() {
                rows(plan, ring, op)?.into_iter().try_for_each(&mut *each)?;
                continue;
            }
            for name in NAMES {
                each(Row { not_run: Some(MISSING.to_owned()), ..Row::new(name, "ns") }.of(ring, op))?;
            }
        }
    }
    Ok(())
}

fn rows(plan: &Plan, ring: u8, op: Op) -> Result<Vec<Row>, Error> {
    let guest = |accesses| Loop { place: LIVENESS, op, ring, accesses };
    let ns = |time: fn(&[u8]) -> Result<Duration, Error>| -> Run<'_> {
        Box::new(move |accesses| {
            let guest = guest(accesses);
            Ok(blocks::each(time(&guest.image()?)?, guest.made()))
        })
    };
    let runs = [
        ns(|image| Ok(bare::times(image, LIVENESS.function.id, 1, Registers::Kept)?[0])),
        ns(|image| qemu::time(image, false)),
        ns(|image| qemu::time(image, true)),
        ns(|image| {
            let device = Device { name: "edu", options: &[] };
            Ok(ours::times(image, Setup { device, cpus: 1, record: Record::Traced })?[0])
        }),
    ];
    let figures = blocks::take_turns(plan, &runs)?;
    let [bare, qemu, qemu_traced, traced] = figures.as_slice() else { return Ok(Vec::new()) };
    let rows = [
        Row::of_blocks(BARE, "ns", bare, None),
        Row::of_blocks(QEMU, "ns", qemu, Some(bare)),
        Row::of_blocks(QEMU_TRACED, "ns", qemu_traced, Some(bare)),
        Row::of_blocks(TRACED, "ns", traced, Some(bare)),
        Row::of_blocks(VS_QEMU, "ns", traced, Some(qemu)).aim(AIM),
    ];
    Ok(rows.map(|row| row.of(ring, op)).to_vec())
}
