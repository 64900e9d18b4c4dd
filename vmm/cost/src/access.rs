//! What an access costs: the same loop bare and in our machine, served in every way that there is.

use crate::bare::{self, Registers};
use crate::blocks::{self, Run};
use crate::image::{self, Loop, Op, Place};
use crate::ours::{self, Device, LAB, Record, Setup};
use crate::row::{Aim, Row};
use crate::{Each, Error, Plan};

/// A way in which the loop runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// In a loop that only answers.
    Bare,
    /// The same with registers copied out of KVM at each exit: no tracer does less.
    Registers,
    /// In our machine, unrecorded: routed, handed to the device, and its effects applied.
    Bus,
    /// The same recorded.
    Traced,
    /// The same with a live printer.
    Printed,
    /// To a doorbell that KVM counts.
    Ioeventfd,
    /// To a doorbell whose writes KVM gathers.
    Coalesced,
    /// To memory of the device that the guest reaches by itself.
    Direct,
}

impl Way {
    const ALL: [Self; 8] = [
        Self::Bare,
        Self::Registers,
        Self::Bus,
        Self::Traced,
        Self::Printed,
        Self::Ioeventfd,
        Self::Coalesced,
        Self::Direct,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Registers => "registers",
            Self::Bus => "bus",
            Self::Traced => "traced",
            Self::Printed => "printed",
            Self::Ioeventfd => "ioeventfd",
            Self::Coalesced => "coalesced",
            Self::Direct => "direct",
        }
    }

    /// Whether KVM serves such accesses so.
    fn takes(self, op: Op) -> bool {
        !matches!(self, Self::Ioeventfd | Self::Coalesced) || op == Op::Write
    }

    fn aim(self) -> Option<Aim> {
        (self == Self::Traced).then_some(Aim::ratio_at_most(1.05))
    }

    fn place(self) -> Place {
        match self {
            Self::Ioeventfd | Self::Coalesced => image::DOORBELL,
            Self::Direct => image::MEMORY,
            _ => image::SCRATCH,
        }
    }

    fn device(self) -> Device {
        let options: &[_] = match self {
            Self::Ioeventfd => &[("doorbells", "ioeventfd")],
            Self::Coalesced => &[("doorbells", "coalesced")],
            Self::Direct => &[("memory", "direct")],
            _ => return LAB,
        };
        Device { options, ..LAB }
    }

    /// Nanoseconds that one of so many accesses takes.
    fn ns(self, ring: u8, op: Op, accesses: u32) -> Result<f64, Error> {
        let guest = Loop { place: self.place(), op, ring, accesses };
        let image = guest.image()?;
        let times = match self {
            Self::Bare => bare::times(&image, guest.place.function.id, 1, Registers::Kept)?,
            Self::Registers => bare::times(&image, guest.place.function.id, 1, Registers::Shared)?,
            _ => ours::times(&image, Setup { device: self.device(), cpus: 1, record: self.record() })?,
        };
        Ok(blocks::each(times[0], guest.made()))
    }

    fn record(self) -> Record {
        match self {
            Self::Bare | Self::Registers | Self::Bus => Record::Nothing,
            Self::Printed => Record::Printed,
            _ => Record::Traced,
        }
    }
}

/// Names of rows.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    Way::ALL.into_iter().map(Way::name)
}

/// Measures what the plan asks for, next to the bare loop. Blocks of all ways take turns.
pub(crate) fn measure(plan: &Plan, each: &mut Each<'_>) -> Result<(), Error> {
    for ring in [0, 3] {
        for op in Op::ALL {
            let wanted = |way: &Way| way.takes(op) && plan.wants(way.name());
            if !Way::ALL.iter().any(wanted) {
                continue;
            }
            let ways: Vec<Way> =
                Way::ALL.into_iter().filter(|way| *way == Way::Bare || wanted(way)).collect();
            let runs: Vec<Run<'_>> =
                ways.iter().map(|way| -> Run<'_> { Box::new(|count| way.ns(ring, op, count)) }).collect();
            let figures = blocks::take_turns(plan, &runs)?;
            for (way, ns) in ways.iter().zip(&figures) {
                let base = (*way != Way::Bare).then_some(&figures[0]);
                let row = Row::of_blocks(way.name(), "ns", ns, base).of(ring, op);
                each(row.aim(way.aim()))?;
            }
        }
    }
    Ok(())
}
