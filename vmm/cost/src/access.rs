//! What an access costs: the same loop bare and in our machine, served in every way that there is.

use std::time::Duration;

use crate::image::{self, Loop, Op, Place};
use crate::ours::{self, Device, Record, Setup};
use crate::row::{Aim, Row};
use crate::samples::Samples;
use crate::{Error, Plan, bare};

/// A way in which the loop runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// In a loop that only answers.
    Bare,
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
    const ALL: [Self; 7] =
        [Self::Bare, Self::Bus, Self::Traced, Self::Printed, Self::Ioeventfd, Self::Coalesced, Self::Direct];

    fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
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
            Self::Bare | Self::Bus | Self::Traced | Self::Printed => image::SCRATCH,
            Self::Ioeventfd | Self::Coalesced => image::DOORBELL,
            Self::Direct => image::MEMORY,
        }
    }

    fn device(self) -> Device {
        let options: &[_] = match self {
            Self::Bare | Self::Bus | Self::Traced | Self::Printed => &[],
            Self::Ioeventfd => &[("doorbells", "ioeventfd")],
            Self::Coalesced => &[("doorbells", "coalesced")],
            Self::Direct => &[("memory", "direct")],
        };
        Device { name: "lab", options }
    }

    /// Time between the marks of a guest.
    fn time(self, image: &[u8]) -> Result<Duration, Error> {
        match self {
            Self::Bare => bare::time(image, self.place().function.id),
            _ => ours::time(image, Setup { device: self.device(), record: self.record() }),
        }
    }

    fn record(self) -> Record {
        match self {
            Self::Bare | Self::Bus => Record::Nothing,
            Self::Printed => Record::Printed,
            _ => Record::Traced,
        }
    }
}

/// A loop to be run in one way, long enough to be measured.
struct Block {
    way: Way,
    guest: Loop,
    image: Vec<u8>,
    /// Nanoseconds an access, a figure a block.
    ns: Samples,
}

impl Block {
    /// A first run, which also warms up, tells how many accesses a block has.
    fn prepare(way: Way, ring: u8, op: Op, plan: &Plan) -> Result<Self, Error> {
        let mut guest = Loop { place: way.place(), op, ring, accesses: 1000 };
        let image = guest.image()?;
        let one = way.time(&image)? / guest.made();
        guest.accesses = accesses(plan.block, one);
        Ok(Self { way, guest, image: guest.image()?, ns: Samples::default() })
    }

    fn run(&mut self) -> Result<(), Error> {
        let time = self.way.time(&self.image)?;
        self.ns.push(time.as_nanos() as f64 / f64::from(self.guest.made()));
        Ok(())
    }
}

/// How many accesses of this length make a block, within what a trace takes.
pub(crate) fn accesses(block: Duration, one: Duration) -> u32 {
    let count = block.as_nanos() / one.as_nanos().max(1);
    u32::try_from(count).unwrap_or(u32::MAX).clamp(1000, 4_000_000)
}

/// Names of rows.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    Way::ALL.into_iter().map(Way::name)
}

/// Measures what the plan asks for, next to the bare loop. Blocks of all ways take turns.
pub(crate) fn measure(plan: &Plan, each: &mut dyn FnMut(Row)) -> Result<(), Error> {
    if !names().any(|name| plan.wants(name)) {
        return Ok(());
    }
    for ring in [0, 3] {
        for op in Op::ALL {
            let ways = Way::ALL
                .into_iter()
                .filter(|way| *way == Way::Bare || way.takes(op) && plan.wants(way.name()));
            let mut blocks: Vec<Block> =
                ways.map(|way| Block::prepare(way, ring, op, plan)).collect::<Result<_, _>>()?;
            for _ in 0..plan.blocks {
                blocks.iter_mut().try_for_each(Block::run)?;
            }
            let bare = blocks[0].ns.clone();
            for Block { way, ns, .. } in blocks {
                let ratios = ns.over(&bare);
                let spread = if way == Way::Bare { ns.spread() } else { ratios.spread() };
                let row =
                    Row { value: ns.median(), ratio: ratios.median(), spread, ..Row::new(way.name(), "ns") };
                let row = row.of(ring, op);
                each(way.aim().map_or(row.clone(), |aim| row.aim(aim)));
            }
        }
    }
    Ok(())
}
