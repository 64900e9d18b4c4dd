//! What a function did besides answering: recorded, and passed on to the rest of the machine.

use barscope_trace::event::{DmaOutcome, Id, RouteChange};
use barscope_trace::{EventKind, Lane};
use device_model::{Decode, DmaError, Effect, Occurrence, PciFunction, Region};
use kvm_bindings::kvm_msi;

use super::{Dispatcher, lock};
use crate::host::HostError;
use crate::routes::Destination;

impl Dispatcher {
    /// Records what a function did, and does what the rest of the machine owes it.
    pub(super) fn settle(
        &self,
        lane: &mut Lane,
        index: usize,
        model: &mut PciFunction,
        occurrences: &[Occurrence],
    ) -> Result<(), HostError> {
        let function = self.functions[index].id;
        for &Occurrence { at, cause, effect } in occurrences {
            let kind = match effect {
                Effect::Change { region, offset, old, new } => {
                    EventKind::Change { function, region, offset, old, new, cause }
                }
                Effect::Busy { until } => EventKind::Busy { function, until_ns: until, cause },
                // A vCPU may be in the handler before the interrupt's call returns: the interrupt's number
                // comes first, so that the trace has the cause before the handler.
                Effect::Msi { index, address, data } => {
                    let seq = self.writer.reserve();
                    let delivered = self.signal(address, data);
                    let kind = EventKind::Msi { function, index, address, data, delivered, cause };
                    self.record_as(lane, seq, at, kind)?;
                    continue;
                }
                Effect::InterruptLost { index, why } => {
                    EventKind::InterruptLost { function, index, why: Some(why), cause }
                }
                Effect::AddressCut { asked, bits } => EventKind::AddressCut { function, asked, bits, cause },
                Effect::Dma { to_memory, address, length, outcome } => {
                    let outcome = match outcome {
                        Ok(()) => DmaOutcome::Done,
                        Err(DmaError::BusMasterOff) => DmaOutcome::BusMasterOff,
                        Err(DmaError::OutOfBounds) => DmaOutcome::OutOfBounds,
                    };
                    EventKind::Dma { function, to_memory, address, length, outcome, cause }
                }
                Effect::InterruptMasked { index } => EventKind::InterruptMasked { function, index, cause },
                Effect::Intx { asserted } => {
                    let gsi = self.functions[index].gsi;
                    let seq = self.writer.reserve();
                    self.lines.set(gsi, index, asserted);
                    self.record_as(lane, seq, at, EventKind::Intx { function, asserted, gsi, cause })?;
                    continue;
                }
                Effect::Decode { region, to, .. } => {
                    self.stop_serving(lane, index, region, (at, cause))?;
                    let changes = self.reroute(index, region, to)?;
                    let warning = lock(&self.defined).take_warning();
                    if let Some(text) = warning {
                        self.record(lane, None, at, EventKind::Warning { text })?;
                    }
                    for (route, change) in changes {
                        self.record(lane, None, at, EventKind::Route { route, change, cause })?;
                    }
                    self.serve(lane, index, model, region, (at, cause))?;
                    continue;
                }
                Effect::Backing { region, .. } => {
                    let before = self.stop_serving(lane, index, region, (at, cause))?;
                    let after = self.serve(lane, index, model, region, (at, cause))?;
                    if before && !after {
                        self.record_trapped(lane, index, region, (at, cause))?;
                    }
                    continue;
                }
            };
            self.record(lane, None, at, kind)?;
        }
        Ok(())
    }

    /// A region of a function is decoded elsewhere, or nowhere any more.
    fn reroute(
        &self,
        index: usize,
        region: Region,
        to: Option<Decode>,
    ) -> Result<Vec<(Id, RouteChange)>, HostError> {
        let mut routes = lock(&self.routes);
        let mut changes = routes.release(index, region);
        if let Some(decode) = to {
            let id = lock(&self.defined).route(&self.writer, self.functions[index].id, region, decode)?;
            let destination = Destination { id, function: index, region, base: decode.base };
            changes.extend(routes.claim(destination, decode));
        }
        Ok(changes)
    }

    /// Sends a message-signalled interrupt; whether a local APIC took it.
    fn signal(&self, address: u64, data: u32) -> bool {
        let message = kvm_msi {
            address_lo: address as u32,
            address_hi: (address >> 32) as u32,
            data,
            ..Default::default()
        };
        self.vm.signal_msi(message).is_ok_and(|delivered| delivered > 0)
    }
}
