//! How long an interrupt took until its handler reached a device.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Device, Histogram, Table};
use crate::event::{Event, EventKind, Id};

/// How an interrupt travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// As a message, MSI or MSI-X.
    Message,
    /// By the pin.
    Pin,
    /// Not at all: nothing was enabled that could carry it.
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
/// that the vCPU makes in the handler. Nothing is known of a handler that the guest doesn't announce. One
/// that answers several messages of one vector answers the first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Interrupts {
    /// Messages that were taken; assertions of the pin.
    pub raised: u64,
    /// Messages that were not taken; causes that nothing carried.
    pub lost: u64,
    /// Causes that were held back by a mask.
    pub masked: u64,
    /// Host time until the handler's first access.
    pub host: Histogram,
    /// Device time until then.
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

/// The most messages that are waited for; a guest that never announces a handler makes them add up.
const MOST_WAITING: usize = 1024;

/// An interrupt on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raised {
    function: Id,
    mechanism: Mechanism,
    host_ns: u64,
    device_ns: u64,
    vector: u8,
    /// The vCPU that the message names.
    destination: u8,
}

/// Follows interrupts from device to handler.
#[derive(Default)]
pub(super) struct Tracker {
    lines: BTreeMap<(Id, Mechanism), Interrupts>,
    messages: Vec<Raised>,
    pins: Vec<Raised>,
}

impl Tracker {
    /// Takes note of what a device did.
    pub(super) fn add(&mut self, event: &Event) {
        let raised = |function, mechanism| Raised {
            function,
            mechanism,
            host_ns: event.host_ns,
            device_ns: event.device_ns,
            vector: 0,
            destination: 0,
        };
        match event.kind {
            EventKind::Msi { function, address, data, delivered, .. } => {
                let line = self.line(function, Mechanism::Message);
                if !delivered {
                    line.lost += 1;
                    return;
                }
                line.raised += 1;
                // Intel SDM volume 3, "Message Address Register Format": bits 19:12 name the local APIC.
                let (vector, destination) = (data as u8, (address >> 12) as u8);
                let new = Raised { vector, destination, ..raised(function, Mechanism::Message) };
                let same = |known: &Raised| {
                    (known.vector, known.destination, known.function) == (vector, destination, function)
                };
                if !self.messages.iter().any(same) {
                    if self.messages.len() == MOST_WAITING {
                        self.messages.remove(0);
                    }
                    self.messages.push(new);
                }
            }
            EventKind::Intx { function, asserted: true, .. } => {
                self.line(function, Mechanism::Pin).raised += 1;
                if !self.pins.iter().any(|known| known.function == function) {
                    self.pins.push(raised(function, Mechanism::Pin));
                    self.pins.truncate(MOST_WAITING);
                }
            }
            EventKind::Intx { function, .. } => self.pins.retain(|known| known.function != function),
            EventKind::InterruptLost { function, .. } => self.line(function, Mechanism::None).lost += 1,
            EventKind::InterruptMasked { function, .. } => {
                self.line(function, Mechanism::Message).masked += 1;
            }
            _ => (),
        }
    }

    fn line(&mut self, function: Id, mechanism: Mechanism) -> &mut Interrupts {
        self.lines.entry((function, mechanism)).or_default()
    }

    /// What the handler of `vector` answers that begins on `vcpu`. A vector that no message has is a pin's.
    pub(super) fn enter(&mut self, vector: u8, vcpu: Option<u8>) -> Option<Raised> {
        let here = |known: &Raised| known.vector == vector && Some(known.destination) == vcpu;
        let found = self.messages.iter().position(here);
        let found = found.or_else(|| self.messages.iter().position(|known| known.vector == vector));
        match found {
            Some(at) => Some(self.messages.remove(at)),
            None if self.pins.is_empty() => None,
            None => Some(self.pins.remove(0)),
        }
    }

    /// The handler that answers `raised` made its first access.
    pub(super) fn answered(&mut self, raised: &Raised, event: &Event) {
        let line = self.line(raised.function, raised.mechanism);
        line.host.add(event.host_ns.saturating_sub(raised.host_ns));
        line.device.add(event.device_ns.saturating_sub(raised.device_ns));
    }

    /// All that was gathered, by device.
    pub(super) fn finish(self, name: impl Fn(Id) -> Device) -> Table<Line, Interrupts> {
        let mut table = Table::<Line, Interrupts>::default();
        for ((function, mechanism), interrupts) in self.lines {
            table.row(Line { device: name(function), mechanism }).merge(&interrupts);
        }
        table
    }
}
