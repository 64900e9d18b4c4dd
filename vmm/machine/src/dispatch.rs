//! From an address to a device and back: the one place where accesses are dispatched and recorded.
//!
//! An access finds its route, its function is locked, sequence numbers are taken, the device answers, and
//! what it did besides is recorded and sent on (interrupts to KVM, BAR moves to the routes) before the
//! lock goes. So a device's records have the order in which it saw their accesses.

mod deadlines;
mod describe;
mod firmware;
mod reach;
mod serve;
mod settle;
mod timers;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use barscope_trace::definition;
use barscope_trace::definition::{Definition, MemoryType};
use barscope_trace::event::{Id, Target};
use barscope_trace::{Capability, Clock, Event, EventKind, Knowledge, Lane, WriteError, Writer};
use device_model::{Bdf, ConfigAddress, Cycle, PciFunction, Region, Space};
use kvm_ioctls::VmFd;
use vmm_sys_util::eventfd::EventFd;

use self::deadlines::Deadlines;
use self::describe::{Defined, function_definition, route_definition};
use crate::backing::Backings;
use crate::clock::DeviceClock;
use crate::host::HostError;
use crate::layout;
use crate::lines::Lines;
use crate::memory::GuestMemory;
use crate::routes::{Destination, Found, Mapped, Routes, Taken};

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
}

struct Slot {
    bdf: Bdf,
    /// The function's definition in the trace.
    id: Id,
    /// The definition of the route by CONFIG_DATA.
    config_data: Id,
    /// The input of the IOAPIC that its interrupt pin is wired to.
    gsi: u8,
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
    lines: Lines,
    backings: Mutex<Backings>,
    /// Held by the vCPU that reads KVM's ring of coalesced writes.
    coalesced: Mutex<()>,
    /// Held while doorbells that rang are told to devices: who comes later sees what came of them.
    rung: Mutex<()>,
    /// Whether any region isn't trapped: nothing has to be collected without.
    untrapped: AtomicBool,
    writer: Writer,
    deadlines: Deadlines,
    defined: Mutex<Defined>,
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
        backings: Backings,
        writer: Writer,
        deadline_changed: EventFd,
    ) -> Result<Self, WriteError> {
        let mut routes = Routes::new(taken(memory.size()));
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
            tell_interrupt_line(&mut function, &memory, gsi);
            let id = writer.define(&Definition::Function(function_definition(bdf, &function)))?;
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
            slots.push(Slot { bdf, id, config_data, gsi, function: Mutex::new(function) });
        }
        Ok(Self {
            deadlines: Deadlines::new(slots.len(), deadline_changed),
            functions: slots,
            mapped: routes.snapshot(),
            routes: Mutex::new(routes),
            config_address: Mutex::new(ConfigAddress::default()),
            config_address_route,
            clock,
            memory,
            lines: Lines::new(Arc::clone(&vm)),
            vm,
            backings: Mutex::new(backings),
            coalesced: Mutex::new(()),
            rung: Mutex::new(()),
            untrapped: AtomicBool::new(false),
            writer,
            defined: Mutex::default(),
        })
    }

    /// Whether `size` bytes at `port`, where nothing fixed is, are to be recorded: in configuration space, in
    /// the window for I/O BARs, or where a BAR is, be it in vain.
    pub fn claims_port(&self, port: u16, size: u8) -> bool {
        layout::CONFIG_PORTS.contains(&port)
            || layout::PCI_IO.contains(&port.into())
            || self.mapped.load().claims_port(port, size)
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
    pub fn access(&self, lane: &mut Lane, access: &Access) -> Result<u64, HostError> {
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

    /// Notes that the guest tells this itself.
    pub fn announced(&self, capability: Capability) {
        self.writer.know(capability, Knowledge::Announced);
    }

    /// Whether guest physical `address` belongs to a function.
    pub fn is_device_memory(&self, address: u64) -> bool {
        self.mapped.load().memory(address, 1) != Found::Nothing
    }

    /// The definition of the route that guest physical `address` leads to; 0 if none does.
    pub fn route_to(&self, address: u64) -> Id {
        match self.mapped.load().memory(address, 1) {
            Found::Route(destination) | Found::Straddles(destination) => destination.id,
            Found::Nothing => 0,
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

    /// Records something that a device did with a sequence number that was taken before.
    fn record_as(
        &self,
        lane: &mut Lane,
        seq: u64,
        device_ns: u64,
        kind: EventKind,
    ) -> Result<(), WriteError> {
        lane.record(&Event { seq, host_ns: self.writer.now_ns(), device_ns, vcpu: None, kind })
    }
}

/// Where no BAR can be.
fn taken(memory_size: u64) -> Vec<Taken> {
    let memory = |first, last| Taken { space: Space::Memory, first, last };
    let ports = layout::FIXED_PORTS.iter().map(|ports| Taken {
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
fn tell_interrupt_line(function: &mut PciFunction, memory: &GuestMemory, gsi: u8) {
    const INTERRUPT_LINE: u64 = 0x3c;
    if function.header().interrupt_pin.is_some() {
        let mut cycle = Cycle { now: 0, cause: 0, memory, occurrences: &mut Vec::new() };
        // A function with a pin has the register.
        function.write(&mut cycle, Region::Config, INTERRUPT_LINE, 1, gsi.into()).ok();
    }
}

/// A device that panicked is our bug; its lock is still good enough to end in order.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
