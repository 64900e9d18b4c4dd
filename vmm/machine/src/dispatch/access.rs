//! The way of one access: routed, dispatched to a function if one is there, recorded, its effects applied.

use barscope_trace::definition::MemoryType;
use barscope_trace::event::{AccessEvent, Id, Outcome, Target};
use barscope_trace::{BusAddress, Event, EventKind, Lane, WriteError};

use super::Dispatcher;
use super::routing::{Routed, Way};
use super::spin::Read;
use crate::host::HostError;
use crate::lock::lock;
use crate::perform::{Request, perform};
use crate::platform::Platform;
use crate::routes::Destination;

/// An access, with what is known about who made it.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// The address of its first byte.
    pub address: BusAddress,
    /// A read or a write.
    pub request: Request,
    /// The vCPU; `None` if no processor made it.
    pub vcpu: Option<u8>,
    /// Who made it, and how.
    pub origin: Origin,
}

/// Who made an access: what the trace says about the vCPU's side of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Origin {
    /// Privilege level, 0 to 3.
    pub cpl: u8,
    /// The page walk's definition, 0 if unresolved.
    pub walk: Id,
    /// The memory type that the page asks for through PAT, if it is known.
    pub pat: Option<MemoryType>,
    /// The memory type that PAT and MTRRs make of it together, if it is known.
    pub effective: Option<MemoryType>,
    /// The instruction's definition, 0 if unresolved.
    pub instruction: Id,
    /// Counts executed instructions.
    pub instance: u32,
    /// Offset within the instruction's operand.
    pub fragment: u8,
    /// Half of a read-modify-write instruction.
    pub read_modify_write: bool,
    /// KVM gathered it: nobody knows who made it.
    pub coalesced: bool,
    /// The call stack's definition, 0 if none was taken.
    pub stack: Id,
}

/// What an access came to.
struct Answer {
    /// The route's definition, 0 if there is none.
    route: Id,
    outcome: Outcome,
    /// The value read or written.
    value: u64,
    /// When it began, in the trace's time.
    host_ns: u64,
    service_ns: u32,
}

impl<P: Platform> Dispatcher<P> {
    /// Carries out an access and records it; the value read, or all-ones.
    ///
    /// # Errors
    /// [`HostError`] if the trace can't be written, or the platform fails at an effect.
    pub fn access(&self, lane: &mut Lane, access: &Access) -> Result<u64, HostError> {
        let now = self.clock.tick(&*self.platform);
        self.run_timers(lane, now)?;
        let Routed { target, way } = match access.address {
            BusAddress::Memory(address) => self.route_memory(address, access.request),
            BusAddress::Port(port) => self.route_port(port, access.request),
        };
        match way {
            Way::Function(destination, offset) => {
                self.dispatch(lane, access, now, target, &destination, offset)
            }
            Way::Answered(route, outcome, value) => {
                let seq = self.writer.reserve();
                let answer = Answer { route, outcome, value, host_ns: self.writer.now_ns(), service_ns: 0 };
                self.record_access(lane, access, target, seq, now, &answer)?;
                Ok(value)
            }
        }
    }

    /// Hands an access to the function that it leads to.
    pub(super) fn dispatch(
        &self,
        lane: &mut Lane,
        access: &Access,
        now: u64,
        target: Target,
        destination: &Destination,
        offset: u64,
    ) -> Result<u64, HostError> {
        let &Destination { id: route, function: index, region, .. } = destination;
        let mut guarded = lock(&self.functions[index].guarded);
        // Another thread may have let time pass there before this one had the lock.
        let now = self.clock.now_or(&*self.platform, now);
        let seq = self.writer.reserve();
        let host_ns = self.writer.now_ns();
        let completion = self.call(&mut guarded, now, seq, |function, bus| {
            perform(function, bus, region, offset, access.request)
        });
        let ended = self.writer.now_ns();
        let service_ns = u32::try_from(ended - host_ns).unwrap_or(u32::MAX);
        let outcome = completion.refused.map_or(Outcome::Ok, Outcome::from);
        let answer = Answer { route, outcome, value: completion.value, host_ns, service_ns };
        self.record_access(lane, access, target, seq, now, &answer)?;
        let made = (access.vcpu, access.request);
        let read = Read::of(made, (region, offset), completion.value).filter(|_| outcome == Outcome::Ok);
        if let Some(times) = guarded.spin.take(read, self.spin_limit) {
            let due_ns = guarded.function.next_deadline().map(|at| at.saturating_sub(now));
            if let Some(kind) = guarded.spin.record(&self.functions[index], times, seq, due_ns) {
                self.record(lane, access.vcpu, now, kind)?;
            }
        }
        self.finish(lane, index, &mut guarded, ended)?;
        Ok(completion.value)
    }

    fn record_access(
        &self,
        lane: &mut Lane,
        access: &Access,
        target: Target,
        seq: u64,
        device_ns: u64,
        answer: &Answer,
    ) -> Result<(), WriteError> {
        let kind = EventKind::Access(AccessEvent {
            route: answer.route,
            target,
            write: access.request.written.is_some(),
            size: access.request.size,
            value: answer.value,
            cpl: access.origin.cpl,
            read_modify_write: access.origin.read_modify_write,
            coalesced: access.origin.coalesced,
            outcome: answer.outcome,
            walk: access.origin.walk,
            instruction: access.origin.instruction,
            instance: access.origin.instance,
            fragment: access.origin.fragment,
            service_ns: answer.service_ns,
            stack: access.origin.stack,
            pat: access.origin.pat,
            memory_type: access.origin.effective,
        });
        lane.record(&Event { seq, host_ns: answer.host_ns, device_ns, vcpu: access.vcpu, kind })
    }
}
