//! From an address to a device and back: the one place where accesses are dispatched and recorded.
//!
//! An access finds its route, its function is locked, sequence numbers are taken, the device answers, and
//! what it did besides is recorded and sent on (interrupts to KVM, BAR moves to the routes) before the
//! lock goes. So a device's records have the order in which it saw their accesses.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use device_model::{
    Bdf, ConfigAddress, Cycle, DmaError, Effect, Occurrence, PciFunction, Refused, Region, Space,
};
use kvm_bindings::kvm_msi;
use kvm_ioctls::VmFd;
use trace::definition::{self, Definition};
use trace::event::{AccessEvent, DmaOutcome, Id, Outcome, RouteChange, Target};
use trace::{Clock, Event, EventKind, Lane, WriteError, Writer};
use vmm_sys_util::eventfd::EventFd;

use crate::clock::DeviceClock;
use crate::layout;
use crate::memory::GuestMemory;
use crate::routes::{Destination, Found, Mapped, Routes};

/// An address on the memory bus or among the I/O ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusAddress {
    /// Guest physical address.
    Memory(u64),
    /// I/O port.
    Port(u16),
}

/// An access, with what is known about who made it.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// Where to.
    pub address: BusAddress,
    /// Size in bytes, 1 to 8.
    pub size: u8,
    /// The value, for a write.
    pub written: Option<u64>,
    /// The vCPU.
    pub vcpu: u8,
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
    /// The instruction's definition, 0 if unresolved.
    pub instruction: Id,
    /// Counts executed instructions.
    pub instance: u32,
    /// Offset within the instruction's operand.
    pub fragment: u8,
    /// Half of a read-modify-write instruction.
    pub read_modify_write: bool,
}

struct Slot {
    bdf: Bdf,
    /// The function's definition in the trace.
    id: Id,
    /// The definition of the route by CONFIG_DATA.
    config_data: Id,
    function: Mutex<PciFunction>,
}

/// All functions, and the ways to them.
pub struct Dispatcher {
    functions: Vec<Slot>,
    routes: Mutex<Routes>,
    mapped: Arc<ArcSwap<Mapped>>,
    config_address: Mutex<ConfigAddress>,
    /// The definition of the route to CONFIG_ADDRESS.
    config_address_route: Id,
    clock: DeviceClock,
    memory: GuestMemory,
    vm: Arc<VmFd>,
    writer: Writer,
    /// No function wants to be called before this device time; `u64::MAX` for never.
    deadline_bound: AtomicU64,
    /// Told when a host clock's next deadline may have changed.
    deadline_changed: EventFd,
}

/// What one call of a function led to, still to be recorded.
struct Answer {
    value: u64,
    outcome: Outcome,
}

impl Dispatcher {
    /// Registers the functions, defines them in the trace and makes their configuration space reachable.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn new(
        functions: Vec<(Bdf, PciFunction)>,
        clock: DeviceClock,
        memory: GuestMemory,
        vm: Arc<VmFd>,
        writer: Writer,
        deadline_changed: EventFd,
    ) -> Result<Self, WriteError> {
        let mut routes = Routes::new(vec![
            (0, memory.size() - 1),
            (layout::IOAPIC_BASE, layout::IOAPIC_BASE + 0xfff),
            (layout::LOCAL_APIC_BASE, layout::LOCAL_APIC_BASE + 0xf_ffff),
        ]);
        let config_address_route = writer.define(&Definition::Route(definition::Route {
            function: None,
            region: Region::Config,
            space: Space::Io,
            base: (*layout::CONFIG_PORTS.start()).into(),
            size: 4,
        }))?;
        let mut slots = Vec::new();
        for (bdf, function) in functions {
            let id = writer.define(&Definition::Function(describe(bdf, &function)))?;
            let config_data = writer.define(&Definition::Route(definition::Route {
                function: Some(id),
                region: Region::Config,
                space: Space::Io,
                base: u64::from(*layout::CONFIG_PORTS.start()) + 4,
                size: 4,
            }))?;
            let base = layout::ECAM_BASE + (u64::from(bdf.routing_id()) << 12);
            let decode = device_model::Decode { space: Space::Memory, base, size: 4096 };
            let ecam = writer.define(&route_definition(id, Region::Config, decode))?;
            let destination = Destination { id: ecam, function: slots.len(), region: Region::Config, base };
            routes.claim(destination, decode);
            slots.push(Slot { bdf, id, config_data, function: Mutex::new(function) });
        }
        Ok(Self {
            functions: slots,
            mapped: routes.snapshot(),
            routes: Mutex::new(routes),
            config_address: Mutex::new(ConfigAddress::default()),
            config_address_route,
            clock,
            memory,
            vm,
            writer,
            deadline_bound: AtomicU64::new(u64::MAX),
            deadline_changed,
        })
    }

    /// Whether a port belongs to PCI: configuration space or the window for I/O BARs.
    pub fn claims_port(&self, port: u16) -> bool {
        layout::CONFIG_PORTS.contains(&port) || layout::PCI_IO.contains(&port.into())
    }

    /// Device time in nanoseconds.
    pub fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Which clock devices see.
    pub fn clock(&self) -> Clock {
        self.clock.kind()
    }

    /// Carries out an access and records it; the value read, or all-ones.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn access(&self, lane: &mut Lane, access: &Access) -> Result<u64, WriteError> {
        let now = self.clock.tick();
        self.run_timers(lane, now)?;
        match access.address {
            BusAddress::Memory(address) => {
                let found = self.mapped.load().memory(address, access.size);
                self.reach(lane, access, now, Target::Memory(address), found, |route| address - route.base)
            }
            BusAddress::Port(port) if layout::CONFIG_PORTS.contains(&port) => {
                self.config_port(lane, access, now, port)
            }
            BusAddress::Port(port) => {
                let found = self.mapped.load().port(port, access.size);
                let base = match found {
                    Found::Route(route) | Found::Straddles(route) => route.base,
                    Found::Nothing => port.into(),
                };
                let offset = port - base as u16;
                let target = Target::Port { port, routing_id: 0, offset };
                self.reach(lane, access, now, target, found, |_| offset.into())
            }
        }
    }

    /// Whether guest physical `address` belongs to a function.
    pub fn is_device_memory(&self, address: u64) -> bool {
        self.mapped.load().memory(address, 1) != Found::Nothing
    }

    /// The guest has nothing to do: a virtual clock jumps to the next deadline, and what is due happens.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn idle(&self, lane: &mut Lane, vcpu: u8) -> Result<(), WriteError> {
        let Some(deadline) = self.next_deadline() else { return Ok(()) };
        if self.clock.jump(deadline) {
            self.record(lane, Some(vcpu), deadline, EventKind::ClockJump { to: deadline })?;
            self.run_timers(lane, deadline)?;
        }
        Ok(())
    }

    /// The earliest device time at which a function wants to be called.
    pub fn next_deadline(&self) -> Option<u64> {
        // What functions set meanwhile only lowers it again.
        self.deadline_bound.store(u64::MAX, Ordering::SeqCst);
        for slot in &self.functions {
            self.lower_deadline(&lock(&slot.function));
        }
        Some(self.deadline_bound.load(Ordering::SeqCst)).filter(|deadline| *deadline != u64::MAX)
    }

    fn lower_deadline(&self, function: &PciFunction) {
        let deadline = function.next_deadline().unwrap_or(u64::MAX);
        self.deadline_bound.fetch_min(deadline, Ordering::SeqCst);
    }

    /// Lets every timer fire that is due at device time `now`, in the order of their deadlines.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn run_timers(&self, lane: &mut Lane, now: u64) -> Result<(), WriteError> {
        while self.deadline_bound.load(Ordering::SeqCst) <= now {
            let due = self.functions.iter().enumerate().filter_map(|(index, slot)| {
                let deadline = lock(&slot.function).next_deadline()?;
                (deadline <= now).then_some((deadline, index))
            });
            if let Some((deadline, index)) = due.min() {
                let mut occurrences = Vec::new();
                let mut function = lock(&self.functions[index].function);
                function.advance(&mut Cycle {
                    now: deadline,
                    cause: 0,
                    memory: &self.memory,
                    occurrences: &mut occurrences,
                });
                self.settle(lane, index, &occurrences)?;
            }
            self.next_deadline();
        }
        Ok(())
    }

    /// Records something that is not an access, with the next sequence number.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn record(
        &self,
        lane: &mut Lane,
        vcpu: Option<u8>,
        device_ns: u64,
        kind: EventKind,
    ) -> Result<(), WriteError> {
        let seq = self.writer.reserve();
        lane.record(&Event { seq, host_ns: self.writer.now_ns(), device_ns, vcpu, kind })
    }

    /// CONFIG_ADDRESS and CONFIG_DATA.
    fn config_port(&self, lane: &mut Lane, access: &Access, now: u64, port: u16) -> Result<u64, WriteError> {
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
                Found::Route(Destination { id, function, region: Region::Config, base: 0 })
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
    fn reach(
        &self,
        lane: &mut Lane,
        access: &Access,
        now: u64,
        target: Target,
        found: Found,
        offset: impl Fn(&Destination) -> u64,
    ) -> Result<u64, WriteError> {
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

    fn reach_function(
        &self,
        lane: &mut Lane,
        access: &Access,
        now: u64,
        target: Target,
        destination: &Destination,
        offset: u64,
    ) -> Result<u64, WriteError> {
        let mut occurrences = Vec::new();
        let mut function = lock(&self.functions[destination.function].function);
        let seq = self.writer.reserve();
        let began = self.writer.now_ns();
        let deadline_before = function.next_deadline();
        let mut cycle = Cycle { now, cause: seq, memory: &self.memory, occurrences: &mut occurrences };
        let answer = perform(&mut function, &mut cycle, destination.region, offset, access);
        let service_ns = u32::try_from(self.writer.now_ns() - began).unwrap_or(u32::MAX);
        self.record_access(lane, access, now, seq, destination.id, target, &answer, (began, service_ns))?;
        self.settle(lane, destination.function, &occurrences)?;
        if function.next_deadline() != deadline_before {
            self.lower_deadline(&function);
            if self.clock.kind() == Clock::Host {
                // The counter can't overflow before the event loop reads it.
                self.deadline_changed.write(1).ok();
            }
        }
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
            outcome: answer.outcome,
            walk: access.origin.walk,
            instruction: access.origin.instruction,
            instance: access.origin.instance,
            fragment: access.origin.fragment,
            service_ns,
        });
        lane.record(&Event { seq, host_ns, device_ns, vcpu: Some(access.vcpu), kind })
    }

    /// Records what a function did, and does what the rest of the machine owes it.
    fn settle(&self, lane: &mut Lane, index: usize, occurrences: &[Occurrence]) -> Result<(), WriteError> {
        let function = self.functions[index].id;
        for &Occurrence { at, cause, effect } in occurrences {
            let kind = match effect {
                Effect::Change { region, offset, old, new } => {
                    EventKind::Change { function, region, offset, old, new, cause }
                }
                Effect::Busy { until } => EventKind::Busy { function, until, cause },
                Effect::Msi { index, address, data } => {
                    let delivered = self.signal(address, data);
                    EventKind::Msi { function, index, address, data, delivered, cause }
                }
                // The trace has no record of these yet, and the machine no line for the pin.
                Effect::Intx { .. } | Effect::InterruptMasked { .. } | Effect::Backing { .. } => continue,
                Effect::InterruptLost { index } => EventKind::InterruptLost { function, index, cause },
                Effect::Dma { to_memory, address, length, outcome } => {
                    let outcome = match outcome {
                        Ok(()) => DmaOutcome::Done,
                        Err(DmaError::BusMasterOff) => DmaOutcome::BusMasterOff,
                        Err(DmaError::OutOfBounds) => DmaOutcome::OutOfBounds,
                    };
                    EventKind::Dma { function, to_memory, address, length, outcome, cause }
                }
                Effect::Decode { region, to, .. } => {
                    for (route, change) in self.reroute(index, region, to)? {
                        self.record(lane, None, at, EventKind::Route { route, change, cause })?;
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
        to: Option<device_model::Decode>,
    ) -> Result<Vec<(Id, RouteChange)>, WriteError> {
        let mut routes = lock(&self.routes);
        let mut changes = routes.release(index, region);
        if let Some(decode) = to {
            let id = self.writer.define(&route_definition(self.functions[index].id, region, decode))?;
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
            access.written.map_or(u64::MAX, |value| value >> shift)
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

/// A device that panicked is our bug; its lock is still good enough to end in order.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn route_definition(function: Id, region: Region, decode: device_model::Decode) -> Definition {
    Definition::Route(definition::Route {
        function: Some(function),
        region,
        space: decode.space,
        base: decode.base,
        size: decode.size,
    })
}

fn describe(bdf: Bdf, function: &PciFunction) -> definition::Function {
    let header = function.header();
    definition::Function {
        bdf,
        name: function.name().to_owned(),
        vendor: header.vendor,
        device: header.device,
        bars: header
            .bars
            .iter()
            .map(|bar| definition::Bar {
                index: bar.index,
                space: bar.space,
                size: bar.size,
                wide: bar.wide,
                prefetchable: bar.prefetchable,
            })
            .collect(),
        msi_vectors: header.msi.map_or(0, |msi| msi.vectors),
        register_maps: function.register_maps().to_vec(),
    }
}
