//! How long an interrupt took until its handler reached a device.

use std::collections::BTreeMap;

use barscope_trace::event::{Event, EventKind, Id};
use serde::Serialize;

use super::{Device, Histogram, Table};
use crate::interrupts::Raised;

/// How an interrupt travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// As a message, MSI or MSI-X.
    Message,
    /// By the pin.
    Pin,
    /// Not at all: it was lost on the way.
    None,
}

impl Mechanism {
    /// The PCI spec's word.
    pub const fn name(self) -> &'static str {
        match self {
            Mechanism::Message => "MSI",
            Mechanism::Pin => "INTx",
            Mechanism::None => "lost",
        }
    }
}

/// A device and how its interrupts travel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Line {
    /// The device.
    #[serde(flatten)]
    pub device: Device,
    /// How.
    pub mechanism: Mechanism,
}

/// Interrupts of a device.
///
/// From the message, or the assertion of the pin, the time runs until the first access, to whatever device,
/// that the vCPU makes in the handler, if that is certain to answer it: one that the guest announces, or one that a call
/// stack shows, hard or threaded. One that answers several messages of one vector answers the first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Interrupts {
    /// Messages that were taken; assertions of the pin.
    pub raised: u64,
    /// Messages that were not taken; causes that were lost before.
    pub lost: u64,
    /// Causes that were held back by a mask.
    pub masked: u64,
    /// Host time until the handler's first access.
    #[serde(rename = "host_latency")]
    pub host: Histogram,
    /// Device time until then.
    #[serde(rename = "device_latency")]
    pub device: Histogram,
}

impl Interrupts {
    /// Adds those of another trace.
    pub fn merge(&mut self, other: &Self) {
        self.raised += other.raised;
        self.lost += other.lost;
        self.masked += other.masked;
        self.host.merge(&other.host);
        self.device.merge(&other.device);
    }
}

/// Counts interrupts by function and mechanism.
#[derive(Default)]
pub(super) struct Lines(BTreeMap<(Id, Mechanism), Interrupts>);

impl Lines {
    /// Takes note of what a device did.
    pub(super) fn add(&mut self, kind: &EventKind) {
        match *kind {
            EventKind::Msi { function, delivered: true, .. } => {
                self.line(function, Mechanism::Message).raised += 1;
            }
            EventKind::Msi { function, .. } => self.line(function, Mechanism::Message).lost += 1,
            EventKind::Intx { function, asserted: true, .. } => {
                self.line(function, Mechanism::Pin).raised += 1;
            }
            EventKind::InterruptLost { function, .. } => self.line(function, Mechanism::None).lost += 1,
            EventKind::InterruptMasked { function, .. } => {
                self.line(function, Mechanism::Message).masked += 1;
            }
            _ => (),
        }
    }

    fn line(&mut self, function: Id, mechanism: Mechanism) -> &mut Interrupts {
        self.0.entry((function, mechanism)).or_default()
    }

    /// The handler that answers `raised` made its first access.
    pub(super) fn answered(&mut self, raised: &Raised, event: &Event) {
        let mechanism = if raised.pin { Mechanism::Pin } else { Mechanism::Message };
        // Only what has a line is of a function that is known.
        if let Some(line) = self.0.get_mut(&(raised.function, mechanism)) {
            line.host.add(event.host_ns.saturating_sub(raised.host_ns));
            line.device.add(event.device_ns.saturating_sub(raised.device_ns));
        }
    }

    /// All that was gathered, by device.
    pub(super) fn finish(self, name: impl Fn(Id) -> Device) -> Table<Line, Interrupts> {
        let mut table = Table::<Line, Interrupts>::default();
        for ((function, mechanism), interrupts) in self.0 {
            table.row(Line { device: name(function), mechanism }).merge(&interrupts);
        }
        table
    }
}
