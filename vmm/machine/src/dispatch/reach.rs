//! The way of one access: to a function or into the void, and into the trace.

use barscope_trace::event::{AccessEvent, Id, Outcome, Target};
use barscope_trace::{Event, EventKind, Lane, WriteError};
use device_model::{ConfigAddress, Cycle, PciFunction, Refused, Region};

use super::{Access, Dispatcher, lock};
use crate::host::HostError;
use crate::layout;
use crate::routes::{Destination, Found};

/// What one call of a function led to, still to be recorded.
struct Answer {
    value: u64,
    outcome: Outcome,
}

impl Dispatcher {
    /// CONFIG_ADDRESS and CONFIG_DATA.
    pub(super) fn config_port(
        &self,
        lane: &mut Lane,
        access: &Access,
        now: u64,
        port: u16,
    ) -> Result<u64, HostError> {
        let offset = u64::from(port - layout::CONFIG_PORTS.start());
        let straddles = offset % 4 + u64::from(access.size) > 4;
        let mut latch = lock(&self.config_address);
        let selected = offset.checked_sub(4).filter(|_| !straddles).and_then(|data| latch.target(data));
        if let Some((bdf, register)) = selected {
            drop(latch);
            let target = Target::Port { port, routing_id: bdf.routing_id(), offset: register };
            let function = self.functions.iter().position(|slot| slot.bdf == bdf);
            let found = function.map_or(Found::Nothing, |function| {
                let id = self.functions[function].config_data;
                let destination = Destination { id, function, region: Region::Config, base: 0 };
                // With low bits in CONFIG_ADDRESS, an access may end past what it reaches.
                let end = u64::from(register) + u64::from(access.size);
                if end <= ConfigAddress::REACH {
                    Found::Route(destination)
                } else {
                    Found::Straddles(destination)
                }
            });
            return self.reach(lane, access, now, target, found, |_| register.into());
        }
        let answered = match access.written {
            Some(value) => latch.write(offset, access.size, value).map(|()| value),
            None => latch.read(offset, access.size),
        };
        drop(latch);
        let (route, outcome) = match answered {
            Ok(_) => (self.config_address_route, Outcome::Ok),
            Err(_) => (0, Outcome::Unclaimed),
        };
        let value = answered.unwrap_or(access.written.unwrap_or(ones(access.size)));
        let target = Target::Port { port, routing_id: 0, offset: offset as u16 };
        let seq = self.writer.reserve();
        self.record_access(
            lane,
            access,
            now,
            seq,
            route,
            target,
            &Answer { value, outcome },
            (self.writer.now_ns(), 0),
        )?;
        Ok(value)
    }

    /// Hands an access to the function that it found, if any.
    pub(super) fn reach(
        &self,
        lane: &mut Lane,
        access: &Access,
        now: u64,
        target: Target,
        found: Found,
        offset: impl Fn(&Destination) -> u64,
    ) -> Result<u64, HostError> {
        let (route, outcome) = match found {
            Found::Route(destination) => {
                let offset = offset(&destination);
                return self.reach_function(lane, access, now, target, &destination, offset);
            }
            Found::Straddles(destination) => (destination.id, Outcome::Straddles),
            Found::Nothing => (0, Outcome::Unclaimed),
        };
        let answer = Answer { value: access.written.unwrap_or(ones(access.size)), outcome };
        let seq = self.writer.reserve();
        self.record_access(lane, access, now, seq, route, target, &answer, (self.writer.now_ns(), 0))?;
        Ok(answer.value)
    }

    pub(super) fn reach_function(
        &self,
        lane: &mut Lane,
        access: &Access,
        now: u64,
        target: Target,
        destination: &Destination,
        offset: u64,
    ) -> Result<u64, HostError> {
        let mut occurrences = Vec::new();
        let mut function = lock(&self.functions[destination.function].function);
        // Another thread may have let time pass there before this one had the lock.
        let now = self.clock.now_or(now);
        let seq = self.writer.reserve();
        let began = self.writer.now_ns();
        let mut cycle = Cycle { now, cause: seq, memory: &self.memory, occurrences: &mut occurrences };
        let answer = perform(&mut function, &mut cycle, destination.region, offset, access);
        let service_ns = u32::try_from(self.writer.now_ns() - began).unwrap_or(u32::MAX);
        self.record_access(lane, access, now, seq, destination.id, target, &answer, (began, service_ns))?;
        self.settle(lane, destination.function, &mut function, &occurrences)?;
        self.deadlines.set(destination.function, function.next_deadline());
        Ok(answer.value)
    }

    #[expect(clippy::too_many_arguments, reason = "an access record has that many parts")]
    fn record_access(
        &self,
        lane: &mut Lane,
        access: &Access,
        device_ns: u64,
        seq: u64,
        route: Id,
        target: Target,
        answer: &Answer,
        (host_ns, service_ns): (u64, u32),
    ) -> Result<(), WriteError> {
        let kind = EventKind::Access(AccessEvent {
            route,
            target,
            write: access.written.is_some(),
            size: access.size,
            value: answer.value,
            cpl: access.origin.cpl,
            read_modify_write: access.origin.read_modify_write,
            coalesced: access.origin.coalesced,
            outcome: answer.outcome,
            walk: access.origin.walk,
            instruction: access.origin.instruction,
            instance: access.origin.instance,
            fragment: access.origin.fragment,
            service_ns,
            stack: 0,
            pat: access.origin.pat,
            memory_type: access.origin.effective,
        });
        lane.record(&Event { seq, host_ns, device_ns, vcpu: Some(access.vcpu), kind })
    }
}

/// Reads or writes, in parts of 1, 2, 4 or 8 bytes: what is left of an access that a page boundary cut
/// may have any length.
fn perform(
    function: &mut PciFunction,
    cycle: &mut Cycle<'_>,
    region: Region,
    offset: u64,
    access: &Access,
) -> Answer {
    let mut answer = Answer { value: 0, outcome: Outcome::Ok };
    let mut done = 0;
    while done < access.size {
        let rest = access.size - done;
        let part = 1 << rest.ilog2().min(3);
        let shift = 8 * u32::from(done);
        let at = offset + u64::from(done);
        let result = match access.written {
            Some(value) => function
                .write(cycle, region, at, part, (value >> shift) & ones(part))
                .map(|()| value >> shift),
            None => function.read(cycle, region, at, part),
        };
        let value = result.unwrap_or_else(|refused: Refused| {
            answer.outcome = refused.into();
            match access.written {
                Some(value) => value >> shift,
                None => function.refused_read(region, at, part),
            }
        });
        answer.value |= (value & ones(part)) << shift;
        done += part;
    }
    answer
}

/// All-ones of `size` bytes: what a read gives that nothing answers.
fn ones(size: u8) -> u64 {
    u64::MAX >> (64 - 8 * u32::from(size.clamp(1, 8)))
}
