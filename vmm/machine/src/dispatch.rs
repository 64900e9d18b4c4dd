//! From an address to a device and back: the one place where accesses are dispatched and recorded.
//!
//! An access finds its route, its function is locked, sequence numbers are taken, the device answers, and
//! its effects are recorded and applied (interrupts to the platform, BAR moves to the routes) before the
//! lock goes. So a device's records have the order in which it saw their accesses.
//!
//! Locks are taken in this order: the right to collect doorbells, or gathered writes; a function; then one of routes (and
//! their definitions after them), untrapped regions, IRQ lines, deadlines.

mod access;
mod deadlines;
mod definitions;
mod effects;
mod firmware;
mod regions;
mod routing;
mod spin;
#[cfg(test)]
mod tests;
mod timers;

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use barscope_device::{
    Bdf, BusContext, ConfigAddress, Decode, PciFunction, Region, Space, TimestampedEffect,
};
use barscope_trace::definition::{self, Definition};
use barscope_trace::event::Id;
use barscope_trace::{BusAddress, Capability, Clock, Event, EventKind, Knowledge, Lane, WriteError, Writer};

pub use self::access::{Access, Origin};
use self::deadlines::Deadlines;
use self::definitions::{RouteDefinitions, route_definition};
pub use self::spin::SPIN_LIMIT;
use self::spin::Spin;
use crate::clock::{ACCESS_NS, DeviceClock};
use crate::host::HostError;
use crate::irq_lines::IrqLines;
use crate::layout;
use crate::lock::lock;
use crate::perform::{Request, perform};
use crate::platform::Platform;
use crate::routes::{Destination, Mapped, Reserved, Routes};
use crate::untrapped::UntrappedRegions;

/// All functions, and the ways to them.
///
/// Generic over its platform: a machine has one for its whole life, handles to memslots and ioeventfds are the
/// platform's own types, and what an access asks of it costs no indirect call.
pub struct Dispatcher<P: Platform> {
    platform: Arc<P>,
    functions: Vec<Slot>,
    routes: Mutex<Routes>,
    /// What `routes` has mapped.
    mapped: Arc<ArcSwap<Mapped>>,
    route_definitions: Mutex<RouteDefinitions>,
    config_address: Mutex<ConfigAddress>,
    /// The definition of the route to CONFIG_ADDRESS.
    config_address_route: Id,
    clock: DeviceClock,
    deadlines: Deadlines,
    irq_lines: IrqLines,
    untrapped: UntrappedRegions<P>,
    /// So many equal reads of a register are recorded as a spin; 0 for never.
    spin_limit: u64,
    writer: Writer,
}

/// A function, where configuration space has it. No two share a cache line: vCPUs that access different ones are in
/// nobody's way.
#[repr(align(128))]
struct Slot {
    bdf: Bdf,
    /// The function's definition in the trace.
    id: Id,
    /// The definition of the route by CONFIG_DATA.
    config_data: Id,
    /// The global system interrupt that its interrupt pin is wired to.
    gsi: u8,
    guarded: Mutex<Guarded>,
}

/// A function, and room for the effects of a call of it.
struct Guarded {
    function: PciFunction,
    /// Those of the last call.
    effects: Vec<TimestampedEffect>,
    spin: Spin,
}

impl<P: Platform> Dispatcher<P> {
    /// Registers the functions, defines them in the trace and makes their configuration space reachable. Guest memory
    /// has `memory_size` bytes from address 0 up.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn new(
        functions: Vec<(Bdf, PciFunction)>,
        clock: Clock,
        platform: Arc<P>,
        memory_size: u64,
        writer: Writer,
    ) -> Result<Self, WriteError> {
        let mut routes = Routes::new(reserved(memory_size));
        let config_address_route = writer.define(&Definition::Route(definition::Route {
            function: None,
            region: Region::Config,
            space: Space::Io,
            base: (*layout::CONFIG_PORTS.start()).into(),
            size: 4,
        }))?;
        let mut slots = Vec::new();
        for (bdf, mut function) in functions {
            let pin = function.header().interrupt_pin.map_or(0, |pin| pin as u8 - 1);
            let gsi = layout::gsi(bdf.device(), pin);
            set_interrupt_line(&mut function, &*platform, gsi);
            let id = writer.define(&Definition::Function(definition::Function::new(bdf, &function)))?;
            let config_data = writer.define(&Definition::Route(definition::Route {
                function: Some(id),
                region: Region::Config,
                space: Space::Io,
                base: u64::from(*layout::CONFIG_PORTS.start()) + 4,
                size: 4,
            }))?;
            let base = ecam(bdf);
            let decode = Decode { space: Space::Memory, base, size: 4096 };
            let ecam = writer.define(&route_definition(id, Region::Config, decode))?;
            let destination = Destination { id: ecam, function: slots.len(), region: Region::Config, base };
            routes.claim(destination, decode);
            slots.push(Slot {
                bdf,
                id,
                config_data,
                gsi,
                guarded: Mutex::new(Guarded { function, effects: Vec::new(), spin: Spin::default() }),
            });
        }
        Ok(Self {
            untrapped: UntrappedRegions::new(Arc::clone(&platform)),
            platform,
            deadlines: Deadlines::new(slots.len()),
            functions: slots,
            mapped: routes.snapshot(),
            routes: Mutex::new(routes),
            route_definitions: Mutex::default(),
            config_address: Mutex::new(ConfigAddress::default()),
            config_address_route,
            clock: DeviceClock::new(clock, &writer, ACCESS_NS),
            irq_lines: IrqLines::default(),
            spin_limit: SPIN_LIMIT,
            writer,
        })
    }

    /// The same, whose virtual clock each access advances by `access_ns`.
    #[must_use]
    pub fn with_access_time(mut self, access_ns: u64) -> Self {
        self.clock = DeviceClock::new(self.clock.kind(), &self.writer, access_ns);
        self
    }

    /// The same, that records a spin after so many equal reads of a register; never for 0.
    #[must_use]
    pub fn with_spin_limit(mut self, limit: u64) -> Self {
        self.spin_limit = limit;
        self
    }

    /// Device time in nanoseconds.
    pub fn now(&self) -> u64 {
        self.clock.now(&*self.platform)
    }

    /// Device time in nanoseconds for what is no function's, but takes the time of an access.
    pub fn tick(&self) -> u64 {
        self.clock.tick(&*self.platform)
    }

    /// The clock that devices see.
    pub fn clock(&self) -> Clock {
        self.clock.kind()
    }

    /// Notes how the trace comes to tell this.
    pub fn know(&self, capability: Capability, knowledge: Knowledge) {
        self.writer.know(capability, knowledge);
    }

    /// Ends the trace here, though the guest goes on.
    pub fn stop_recording(&self) {
        self.writer.stop_recording();
    }

    /// Takes away what the platform has of the functions, so that others can take their places.
    ///
    /// # Errors
    /// [`HostError`] if the platform fails.
    pub fn retire(&self) -> Result<(), HostError> {
        self.irq_lines.deassert_all(&*self.platform);
        self.untrapped.unmap_all()
    }

    /// The functions' addresses.
    pub fn addresses(&self) -> impl Iterator<Item = Bdf> + '_ {
        self.functions.iter().map(|slot| slot.bdf)
    }

    /// Where a region of a function begins, if it is decoded; configuration space is, always.
    pub fn address(&self, bdf: Bdf, region: Region) -> Option<BusAddress> {
        let slot = self.functions.iter().find(|slot| slot.bdf == bdf)?;
        if region == Region::Config {
            return Some(BusAddress::Memory(ecam(bdf)));
        }
        let decoding = lock(&slot.guarded).function.decoding();
        let (_, decode) = decoding.into_iter().find(|(decoded, _)| *decoded == region)?;
        match decode.space {
            Space::Memory => Some(BusAddress::Memory(decode.base)),
            Space::Io => u16::try_from(decode.base).ok().map(BusAddress::Port),
        }
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

    /// Lends a function its surroundings at device time `now`, because of record `cause`; what the call gives. Its
    /// effects are kept with it for [`Dispatcher::finish`].
    fn call<R>(
        &self,
        guarded: &mut Guarded,
        now: u64,
        cause: u64,
        body: impl FnOnce(&mut PciFunction, &mut BusContext<'_>) -> R,
    ) -> R {
        let Guarded { function, effects, .. } = guarded;
        effects.clear();
        let mut bus = BusContext { now, cause, memory: &*self.platform, effects };
        body(function, &mut bus)
    }

    /// Records the effects of a function's call, which ended at `host_ns`, applies them, and notes its next deadline.
    fn finish(
        &self,
        lane: &mut Lane,
        index: usize,
        guarded: &mut Guarded,
        host_ns: u64,
    ) -> Result<(), HostError> {
        let Guarded { function, effects, .. } = guarded;
        if !effects.is_empty() {
            self.apply_effects(lane, index, function, effects, host_ns)?;
        }
        self.set_deadline(index, function.next_deadline());
        Ok(())
    }
}

/// Where a function's configuration space is in memory.
fn ecam(bdf: Bdf) -> u64 {
    layout::ECAM_BASE + (u64::from(bdf.routing_id()) << 12)
}

/// Where no BAR can be: in guest memory, at interrupt controllers, at fixed ports.
fn reserved(memory_size: u64) -> Vec<Reserved> {
    let memory = |first, last| Reserved { space: Space::Memory, first, last };
    let ports = layout::FIXED_PORTS.iter().map(|ports| Reserved {
        space: Space::Io,
        first: (*ports.start()).into(),
        last: (*ports.end()).into(),
    });
    [
        memory(0, memory_size - 1),
        memory(layout::IOAPIC_BASE, layout::IOAPIC_BASE + 0xfff),
        memory(layout::LOCAL_APIC_BASE, layout::LOCAL_APIC_BASE + 0xf_ffff),
    ]
    .into_iter()
    .chain(ports)
    .collect()
}

/// Does what firmware does: writes the interrupt's number into Interrupt Line, for drivers to read (PCI
/// Local Bus 3.0, section 6.2.4).
fn set_interrupt_line(function: &mut PciFunction, platform: &impl Platform, gsi: u8) {
    const INTERRUPT_LINE: u64 = 0x3c;
    if function.header().interrupt_pin.is_some() {
        let mut bus = BusContext { now: 0, cause: 0, memory: platform, effects: &mut Vec::new() };
        // A function with a pin has the register.
        perform(function, &mut bus, Region::Config, INTERRUPT_LINE, Request::write(1, gsi.into()));
    }
}
