//! Interrupts from device to handler: which message or pin a handler answers, and how certain that is.
//!
//! A trace holds messages, levels of pins, and the beginnings and ends of handlers where the guest announces
//! them; which of them belong together follows from what hardware does:
//!
//! - A message belongs to the vCPU that its address names and to the vector in its data (Intel SDM volume 3,
//!   "Message Address Register Format", "Message Data Register Format"); a vCPU's number is its APIC id. One
//!   that wasn't delivered, and one that carries no vector (SMI, NMI, INIT, ExtINT), has no handler.
//! - A local APIC holds one pending bit a vector: messages that find it set coalesce, and the handler's cause
//!   is the first. When exactly the handler took the bit isn't recorded, so the first of those that came
//!   meanwhile is kept: if the handler is entered again before another message, that one is its cause.
//! - A vector for which no message is pending is a pin's: of the inputs of the IOAPIC that are asserted, the
//!   only one, or the only one that is known to lead to this vector, since it was the only one asserted when
//!   a handler of the vector began. Of functions that share an input, the one that asserted it first and
//!   wasn't answered. Otherwise the cause isn't known.
//! - Handlers nest on a vCPU, and run in ring 0: an access of ring 3 is in none.
//!
//! Handlers that nobody announces are followed by call stacks: see `inferred.rs`.
//!
//! # Certainty
//!
//! Records may be missing. What is said to be certain is the same whatever had stood in a gap:
//!
//! - What is pending for a vCPU and a vector isn't known after a gap. The next handler of the vector there
//!   takes what was pending, and has an uncertain cause; a message after that is certainly the first pending.
//! - Messages that may go to several vCPUs, of which one takes them, are pending apart from those that name
//!   one. Whether they still are isn't known once a handler may have taken them.
//! - Levels of pins, and which input leads to which vector, are never certain after a gap: a function that
//!   nothing was recorded of may have asserted its pin. Nor is it certain then that no interrupt led to a
//!   handler.
//! - Which handlers a vCPU was in before a gap isn't known until it makes an access of ring 3; those that
//!   begin after the gap are certainly the innermost until they end.

mod handlers;
mod inferred;
mod messages;
mod pins;

use std::collections::BTreeMap;

use barscope_trace::Definitions;
use barscope_trace::event::{Event, EventKind, Id};

use self::handlers::Handlers;
use self::inferred::{Answer, Inferred};
use self::messages::{Destination, Pending};
use self::pins::Pins;
use crate::view::Callers;

pub(crate) use self::handlers::{DEEPEST, Handler, Innermost};

/// An interrupt that a device raised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raised {
    pub(crate) function: Id,
    /// By the pin, not as a message.
    pub(crate) pin: bool,
    /// Sequence number of the access that led to it, or 0.
    pub(crate) cause: u64,
    pub(crate) host_ns: u64,
    pub(crate) device_ns: u64,
}

/// Follows interrupts, event by event.
#[derive(Default)]
pub(crate) struct Tracker {
    /// The sequence number of the last event.
    last: u64,
    /// How many gaps there were. What is known since there were so many is certain.
    gaps: u64,
    /// By the vCPU's index plus one; 0 for none.
    vcpus: Vec<Vcpu>,
    /// A vCPU beyond `vcpus`: it has what goes to all of them.
    other: Vcpu,
    /// Messages to one of several vCPUs, by vector.
    anywhere: BTreeMap<u8, Pending>,
    pins: Pins,
    /// Handlers that are not announced.
    inferred: Inferred,
}

/// A vCPU: what is pending by vector, and the handlers that it is in.
#[derive(Clone, Default)]
struct Vcpu {
    pending: BTreeMap<u8, Pending>,
    handlers: Handlers,
}

/// A vCPU's place in a list of them, none of them first.
fn index(vcpu: Option<u8>) -> usize {
    vcpu.map_or(0, |vcpu| usize::from(vcpu) + 1)
}

impl Tracker {
    /// Takes note of the event that comes after those given before, with the callers of its code; whether some are
    /// missing between.
    pub(crate) fn add(
        &mut self,
        definitions: &Definitions,
        event: &Event,
        callers: Option<&Callers>,
    ) -> bool {
        let gap = event.seq != self.last.wrapping_add(1);
        self.gaps += u64::from(gap);
        if gap {
            self.inferred.lose();
        }
        if let EventKind::Access(access) = &event.kind {
            let function = || definitions.route(access.route)?.function;
            let alone = definitions.machine().is_some_and(|machine| machine.vcpus == 1);
            self.inferred.access(event, access, callers, function(), alone);
        }
        self.last = event.seq;
        let raised = |function, pin, cause| Raised {
            function,
            pin,
            cause,
            host_ns: event.host_ns,
            device_ns: event.device_ns,
        };
        match event.kind {
            EventKind::Access(ref access) if access.cpl == 3 && !access.coalesced => {
                let gaps = self.gaps;
                self.vcpu(event.vcpu).handlers.none(gaps);
            }
            EventKind::Msi { function, address, data, delivered: true, cause, .. } => {
                if let Some(destination) = Destination::new(address, data) {
                    let raised = raised(function, false, cause);
                    self.inferred.message(event.seq, destination, data as u8, raised);
                    self.message(destination, data as u8, raised);
                }
            }
            EventKind::Intx { function, asserted: true, gsi, cause } => {
                self.pins.assert(gsi, raised(function, true, cause));
            }
            EventKind::Intx { function, .. } => self.pins.deassert(function),
            EventKind::IsrEnter { vector } => {
                let handler = self.enter(vector, event.vcpu);
                let gaps = self.gaps;
                self.vcpu(event.vcpu).handlers.enter(handler, gaps);
            }
            EventKind::IsrExit { vector } => {
                let gaps = self.gaps;
                self.vcpu(event.vcpu).handlers.exit(vector, gaps);
            }
            _ => (),
        }
        gap
    }

    /// The innermost handler that `vcpu` is in.
    pub(crate) fn handler(&self, vcpu: Option<u8>) -> Innermost<'_> {
        self.vcpus.get(index(vcpu)).unwrap_or(&self.other).handlers.innermost(self.gaps)
    }

    /// What the access that was just taken note of answers, if it is in a handler that was not announced.
    pub(crate) fn answer(&self) -> Answer {
        self.inferred.answer()
    }

    /// How many handlers `vcpu` is in.
    pub(crate) fn depth(&self, vcpu: Option<u8>) -> usize {
        self.vcpus.get(index(vcpu)).map_or(0, |vcpu| vcpu.handlers.depth())
    }

    fn vcpu(&mut self, vcpu: Option<u8>) -> &mut Vcpu {
        let at = index(vcpu);
        if at >= self.vcpus.len() {
            self.vcpus.resize(at + 1, self.other.clone());
        }
        &mut self.vcpus[at]
    }

    fn message(&mut self, destination: Destination, vector: u8, raised: Raised) {
        let gaps = self.gaps;
        match destination {
            Destination::One(vcpu) => {
                self.vcpu(Some(vcpu)).pending.entry(vector).or_default().deliver(raised, gaps);
            }
            Destination::All => {
                for vcpu in self.vcpus.iter_mut().chain([&mut self.other]) {
                    vcpu.pending.entry(vector).or_default().deliver(raised, gaps);
                }
            }
            Destination::Any => self.anywhere.entry(vector).or_default().deliver(raised, gaps),
        }
    }

    /// The handler of `vector` that begins on `vcpu`.
    fn enter(&mut self, vector: u8, vcpu: Option<u8>) -> Handler {
        let gaps = self.gaps;
        let handler = |answers, again, certain| Handler { vector, answers, again, certain };
        let (own, own_certain) = self.vcpu(vcpu).pending.entry(vector).or_default().take(gaps);
        if own.is_some() {
            if !own_certain && let Some(pending) = self.anywhere.get_mut(&vector) {
                pending.doubt(gaps);
            }
            return handler(own, false, own_certain);
        }
        let pending = self.anywhere.entry(vector).or_default();
        let (any, any_certain) = pending.take(gaps);
        if !own_certain {
            pending.doubt(gaps);
        }
        let certain = own_certain && any_certain;
        if any.is_some() {
            return handler(any, false, certain);
        }
        let (pin, again) = self.pins.enter(vector).unzip();
        // One of several pins that are asserted, and nobody knows which.
        let ambiguous = pin.is_none() && self.pins.any_asserted();
        handler(pin, again.unwrap_or(false), certain && gaps == 0 && !ambiguous)
    }
}

#[cfg(test)]
mod tests;
