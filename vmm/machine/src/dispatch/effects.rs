//! Effects: what a function did besides answering, recorded, and applied to the rest of the machine.

use barscope_device::{Bdf, Decode, DmaError, Effect, PciFunction, Region, TimestampedEffect};
use barscope_trace::event::{DmaOutcome, Id, RouteChange};
use barscope_trace::{Event, EventKind, Lane};

use super::regions::Cause;
use super::{Dispatcher, set_interrupt_line};
use crate::host::HostError;
use crate::lock::lock;
use crate::platform::Platform;
use crate::routes::Destination;

impl<P: Platform> Dispatcher<P> {
    /// Records the effects of a function's call, which ended at `host_ns`, in their order, and applies each to the rest
    /// of the machine.
    pub(super) fn apply_effects(
        &self,
        lane: &mut Lane,
        index: usize,
        model: &mut PciFunction,
        effects: &[TimestampedEffect],
        host_ns: u64,
    ) -> Result<(), HostError> {
        let function = self.functions[index].id;
        for &TimestampedEffect { at, cause, effect } in effects {
            let event = |seq, kind| Event { seq, host_ns, device_ns: at, vcpu: None, kind };
            let kind = match effect {
                Effect::Change { region, offset, old, new } => {
                    EventKind::Change { function, region, offset, old, new, cause }
                }
                Effect::Busy { until } => EventKind::Busy { function, until_ns: until, cause },
                // A vCPU may be in the handler before the interrupt's call returns: the interrupt's number
                // comes first, so that the trace has the cause before the handler.
                Effect::Msi { index, address, data } => {
                    let seq = self.writer.reserve();
                    let delivered = self.platform.signal_msi(address, data);
                    let kind =
                        EventKind::Msi { function, index: index.get(), address, data, delivered, cause };
                    lane.record(&event(seq, kind))?;
                    continue;
                }
                Effect::InterruptLost { index, why } => {
                    EventKind::InterruptLost { function, index: index.get(), why: Some(why), cause }
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
                Effect::InterruptMasked { index } => {
                    EventKind::InterruptMasked { function, index: index.get(), cause }
                }
                Effect::Intx { asserted } => {
                    let gsi = self.functions[index].gsi;
                    let seq = self.writer.reserve();
                    self.irq_lines.set(&*self.platform, gsi, index, asserted);
                    lane.record(&event(seq, EventKind::Intx { function, asserted, gsi, cause }))?;
                    continue;
                }
                Effect::Decode { region, to, .. } => {
                    self.move_region(lane, index, model, region, to, Cause { at, seq: cause })?;
                    continue;
                }
                Effect::Backing { region, .. } => {
                    let cause = Cause { at, seq: cause };
                    let before = self.unmap_region(lane, index, region, cause)?;
                    let after = self.map_region(lane, index, model, region, cause)?;
                    if before && !after {
                        self.record_trapped(lane, index, region, cause)?;
                    }
                    continue;
                }
            };
            lane.record(&event(self.writer.reserve(), kind))?;
        }
        Ok(())
    }

    /// Resets a function, as a bus resets all that is on it: what it decoded and its pin are told to the rest of the
    /// machine; its registers have their values after reset, which nothing records.
    ///
    /// # Errors
    /// [`HostError`] if the trace can't be written, or the platform fails.
    pub fn reset(&self, lane: &mut Lane, bdf: Bdf) -> Result<(), HostError> {
        let Some(index) = self.functions.iter().position(|slot| slot.bdf == bdf) else { return Ok(()) };
        let slot = &self.functions[index];
        let mut guarded = lock(&slot.guarded);
        let model = &mut guarded.function;
        let (decoded, asserted, at) = (model.decoding(), model.intx(), self.now());
        model.reset();
        for (region, _) in decoded {
            self.move_region(lane, index, model, region, None, Cause { at, seq: 0 })?;
        }
        if asserted {
            self.irq_lines.set(&*self.platform, slot.gsi, index, false);
            let (function, gsi) = (slot.id, slot.gsi);
            self.record(lane, None, at, EventKind::Intx { function, asserted: false, gsi, cause: 0 })?;
        }
        set_interrupt_line(model, &*self.platform, slot.gsi);
        self.set_deadline(index, model.next_deadline());
        Ok(())
    }

    /// A region of a function is decoded elsewhere, or nowhere any more.
    fn move_region(
        &self,
        lane: &mut Lane,
        index: usize,
        model: &mut PciFunction,
        region: Region,
        to: Option<Decode>,
        cause: Cause,
    ) -> Result<(), HostError> {
        self.unmap_region(lane, index, region, cause)?;
        let changes = self.reroute(index, region, to)?;
        let warning = lock(&self.route_definitions).take_warning();
        if let Some(text) = warning {
            self.record(lane, None, cause.at, EventKind::Warning { text })?;
        }
        for (route, change) in changes {
            self.record(lane, None, cause.at, EventKind::Route { route, change, cause: cause.seq })?;
        }
        self.map_region(lane, index, model, region, cause)?;
        Ok(())
    }

    fn reroute(
        &self,
        index: usize,
        region: Region,
        to: Option<Decode>,
    ) -> Result<Vec<(Id, RouteChange)>, HostError> {
        let mut routes = lock(&self.routes);
        let mut changes = routes.release(index, region);
        if let Some(decode) = to {
            let function = self.functions[index].id;
            let id = lock(&self.route_definitions).route(&self.writer, function, region, decode)?;
            let destination = Destination { id, function: index, region, base: decode.base };
            changes.extend(routes.claim(destination, decode));
        }
        Ok(changes)
    }
}
