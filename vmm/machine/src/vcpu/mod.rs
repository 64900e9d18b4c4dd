//! A vCPU: runs the guest, and turns what KVM stops for into accesses, requests and reasons to stop.

mod core;
mod cpuid;
mod exit;
mod feature;
mod kicked;
mod origin;
mod recent_walks;
mod registers;
mod setup;
mod stacks;

use std::sync::Arc;

use barscope_trace::{BusAddress, EventKind, Lane};
use barscope_x86::{MAX_LENGTH, MemoryExit, MemoryTypes, PageWalk, Registers, read_virtual};
use kvm_bindings::kvm_vcpu_events;
use kvm_ioctls::VcpuFd;

pub use self::core::Core;
pub use self::cpuid::{Processor, reachable_bits};
pub use self::feature::Feature;
pub use self::setup::trap;

use self::exit::{Exit, PortExit};
use self::origin::Tracker;
use crate::chipset::Answer;
use crate::dispatch::{Access, Origin};
use crate::host::HostError;
use crate::interned::alarms;
use crate::observer::Observer;
use crate::perform::Request;
use crate::shared::Shared;
use crate::stop::{Place, Stop};
use crate::threads::Kickable;
use crate::{guest_requests, layout};

/// Vector of the invalid-opcode exception.
const INVALID_OPCODE: u8 = 6;

/// What a vCPU's thread serves, for whoever has to report that it failed.
#[derive(Clone, Copy)]
enum Doing {
    Entering,
    Memory(MemoryExit),
    Port(PortExit),
    Msr(u32),
    Instruction,
}

/// A vCPU, owned by the thread that runs it.
pub struct Vcpu<O> {
    index: u8,
    fd: VcpuFd,
    lane: Lane,
    tracker: Tracker,
    shared: Arc<Shared>,
    doing: Doing,
    observer: O,
    /// It left the guest for something else than a kick since the last one.
    active: bool,
}

impl<O: Observer> Vcpu<O> {
    /// One that records in this lane.
    pub fn new(core: Core, shared: Arc<Shared>, lane: Lane, observer: O) -> Self {
        let Core { index, fd, memory_types } = core;
        let tracker = Tracker::new(index, memory_types);
        Self { index, fd, lane, tracker, shared, doing: Doing::Entering, observer, active: false }
    }

    /// What KVM holds of it.
    pub fn into_core(self) -> Core {
        Core { index: self.index, fd: self.fd, memory_types: self.tracker.into_memory_types() }
    }

    /// Runs the guest until there is a reason to stop, or somebody else has one.
    pub fn run(&mut self) -> Option<Stop> {
        let _kickable = Kickable::new(&mut self.fd);
        let mut stop = None;
        while stop.is_none() && !self.shared.stopping() {
            stop = self.step().unwrap_or_else(|error| Some(error.into()));
        }
        let count = self.tracker.stacks();
        let mut all = self.shared.stacks();
        (all.taken, all.at_hand) = (all.taken + count.taken, all.at_hand + count.at_hand);
        drop(all);
        // What KVM kept to itself happened before this end.
        if !matches!(stop, Some(Stop::Host(_) | Stop::TraceLimit { .. }))
            && let Err(error) = self.drain()
        {
            return Some(error.into());
        }
        stop
    }

    /// Where it is.
    pub fn place(&self) -> Place {
        place(self.index, &self.shared, &self.registers())
    }

    /// What it serves, in words.
    pub fn doing(&self) -> String {
        let what = match self.doing {
            Doing::Entering => "the entry into the guest".to_owned(),
            Doing::Memory(MemoryExit { address, size, written: None }) => {
                format!("a read of {size} bytes at {address:#x}")
            }
            Doing::Memory(MemoryExit { address, size, written: Some(value) }) => {
                format!("a write of {value:#x}, {size} bytes at {address:#x}")
            }
            Doing::Port(PortExit { port: barscope_guest_abi::PORT, .. }) => {
                "a request of the guest's".to_owned()
            }
            Doing::Port(PortExit { port, size, write, .. }) => {
                let what = if write { "a write" } else { "a read" };
                format!("{what} of {size} bytes at port {port:#x}")
            }
            Doing::Msr(index) => format!("a write to model-specific register {index:#x}"),
            Doing::Instruction => "an instruction that KVM doesn't emulate".to_owned(),
        };
        format!("{what} by vCPU {}", self.index)
    }

    /// Runs the guest to the next exit and serves that.
    fn step(&mut self) -> Result<Option<Stop>, HostError> {
        let exit = match exit::run(&mut self.fd, &mut self.observer) {
            Ok(exit) => exit,
            Err(error) if matches!(error.errno(), libc::EINTR | libc::EAGAIN) => return self.kicked(),
            Err(source) => return Err(HostError::ioctl("KVM_RUN", source)),
        };
        self.active = true;
        self.drain()?;
        match exit {
            Exit::Memory(exit) => {
                self.doing = Doing::Memory(exit);
                self.memory(&exit)?;
            }
            Exit::Port(exit) => {
                self.doing = Doing::Port(exit);
                self.observer.port(exit.port);
                return self.port(&exit);
            }
            Exit::WriteMsr { index, data } => {
                self.doing = Doing::Msr(index);
                let accepted =
                    MemoryTypes::allows(index, data) && setup::write_msr(&self.fd, index, data).is_ok();
                if accepted {
                    self.tracker.write_msr(index, data);
                }
                exit::answer_msr(&mut self.fd, !accepted);
            }
            Exit::NotEmulated { suberror } => {
                self.doing = Doing::Instruction;
                return self.not_emulated(suberror);
            }
            Exit::Shutdown => return Ok(Some(Stop::TripleFault(self.place()))),
            Exit::Reset => return Ok(Some(Stop::Reset)),
            Exit::Other(what) => return Ok(Some(Stop::Unexpected { what, place: self.place() })),
        }
        Ok(None)
    }

    /// Serves what KVM kept to itself until now, which is older than the exit.
    fn drain(&mut self) -> Result<(), HostError> {
        self.shared.collect_entries(&mut self.lane)?;
        let dispatcher = &self.shared.dispatcher;
        dispatcher.collect_doorbells(&mut self.lane)?;
        let Some(_only_reader) = dispatcher.lock_gathered() else { return Ok(()) };
        let next = |fd: &mut VcpuFd| {
            fd.coalesced_mmio_read().map_err(|source| HostError::ioctl("KVM_COALESCED_MMIO", source))
        };
        while let Some(write) = next(&mut self.fd)? {
            let size = write.len.min(8) as u8;
            let access = Access {
                address: BusAddress::Memory(write.phys_addr),
                request: Request::write(size, exit::little_endian(&write.data[..usize::from(size)])),
                vcpu: Some(self.index),
                origin: Origin { coalesced: true, ..Origin::default() },
            };
            dispatcher.gathered(&mut self.lane, &access, write.phys_addr)?;
        }
        dispatcher.all_gathered();
        Ok(())
    }

    fn memory(&mut self, exit: &MemoryExit) -> Result<(), HostError> {
        let origin = self.origin(exit)?;
        let access = Access {
            address: BusAddress::Memory(exit.address),
            request: Request { size: exit.size, written: exit.written },
            vcpu: Some(self.index),
            origin,
        };
        let value = self.shared.dispatcher.access(&mut self.lane, &access)?;
        if exit.written.is_none() {
            exit::answer_memory(&mut self.fd, value);
        }
        Ok(())
    }

    /// Who made a memory access, as far as a record asks for it.
    fn origin(&mut self, exit: &MemoryExit) -> Result<Origin, HostError> {
        if !self.lane.stores() {
            return Ok(Origin::default());
        }
        let registers = self.registers();
        let Shared { memory, interned, .. } = &*self.shared;
        let origin = self.tracker.memory(memory, interned, &registers, exit)?;
        self.warn_if(origin.walk == 0 || origin.instruction == 0)?;
        Ok(origin)
    }

    fn port(&mut self, exit: &PortExit) -> Result<Option<Stop>, HostError> {
        for element in 0..exit.count {
            let written = exit.write.then(|| exit::port_element(&mut self.fd, exit, element));
            let value = match (exit.port, written) {
                (barscope_guest_abi::PORT, Some(number)) => {
                    let registers = self.registers();
                    let stop = guest_requests::serve(
                        &self.shared,
                        &mut self.lane,
                        (self.index, &registers),
                        &self.tracker.memory_types,
                        number,
                    )?;
                    if stop.is_some() {
                        return Ok(stop);
                    }
                    continue;
                }
                (barscope_guest_abi::PORT, None) => barscope_guest_abi::SIGNATURE,
                (port, written) if layout::SERIAL_PORTS.contains(&port) => match written {
                    Some(value) => {
                        let line = self.shared.console().write(port, value as u8);
                        if let Some(line) = line {
                            self.console_line(&line)?;
                        }
                        continue;
                    }
                    None => self.shared.console().read(port).into(),
                },
                (port, written) => match self.chipset(port, exit.size, written) {
                    Some(Answer::Value(value)) => value,
                    Some(Answer::Stop(stop)) => return Ok(Some(stop)),
                    None => self.pci_port(port, exit.size, written)?,
                },
            };
            if written.is_none() {
                exit::answer_port(&mut self.fd, exit, element, value);
            }
        }
        Ok(None)
    }

    fn chipset(&self, port: u16, size: u8, written: Option<u32>) -> Option<Answer> {
        self.shared.chipset.access(port, size, written, || self.shared.dispatcher.tick())
    }

    /// Records a line that the guest printed.
    fn console_line(&mut self, line: &str) -> Result<(), HostError> {
        if !self.lane.stores() {
            return Ok(());
        }
        let text = {
            let mut interned = self.shared.interned.lock();
            if alarms(line) {
                let registers = self.registers();
                interned.code.look_for_modules(&self.shared.memory, &registers)?;
            }
            interned.console.id(line)?
        };
        self.warn_if(text == 0)?;
        Ok(self.shared.record(&mut self.lane, self.index, EventKind::Console { text })?)
    }

    /// An access to a port that is a function's, or that nobody answers at: all-ones, dropped.
    fn pci_port(&mut self, port: u16, size: u8, written: Option<u32>) -> Result<u32, HostError> {
        if !self.shared.dispatcher.claims_port(port, size) {
            return Ok(u32::MAX);
        }
        let registers = self.registers();
        let Shared { memory, interned, .. } = &*self.shared;
        let origin = self.tracker.port(memory, interned, &registers, written.is_some())?;
        self.warn_if(origin.instruction == 0)?;
        let access = Access {
            address: BusAddress::Port(port),
            request: Request { size, written: written.map(u64::from) },
            vcpu: Some(self.index),
            origin,
        };
        Ok(self.shared.dispatcher.access(&mut self.lane, &access)? as u32)
    }

    /// KVM can't emulate the instruction. If that touches a device, the guest gets `#UD`, as KVM would
    /// have given it by itself; everything else is the end. One that may have touched a device is recorded
    /// all the same.
    fn not_emulated(&mut self, suberror: u32) -> Result<Option<Stop>, HostError> {
        let registers = self.registers();
        let stop = Stop::NotEmulated { place: self.place(), suberror };
        let memory = &self.shared.memory;
        let Some(located) = self.tracker.locator.at_rip(memory, &registers) else { return Ok(Some(stop)) };
        let operands = self.tracker.locator.operands(memory, &registers, &located.decoded);
        let on_device = operands.iter().find_map(|reached| {
            let is_device = |(_, gpa): &&(PageWalk, u64)| self.shared.dispatcher.is_device_memory(*gpa);
            reached.pages.iter().find(is_device).map(|found| (reached.operand, found))
        });
        let (operand, found) = match (on_device, operands.iter().find(|reached| reached.pages.is_empty())) {
            (Some((operand, found)), _) => (operand, Some(found)),
            (None, Some(unknown)) => (unknown.operand, None),
            (None, None) => return Ok(Some(stop)),
        };
        let interned = &self.shared.interned;
        let origin = self.tracker.not_emulated(memory, interned, &registers, &located, found)?;
        self.warn_if(origin.walk == 0 || origin.instruction == 0)?;
        let kind = EventKind::NotEmulated {
            cpl: origin.cpl,
            instruction: origin.instruction,
            walk: origin.walk,
            route: found.map_or(0, |(_, gpa)| self.shared.dispatcher.route_to(*gpa)),
            gpa: found.map(|(_, gpa)| *gpa),
            operand,
            stack: origin.stack,
        };
        self.shared.record(&mut self.lane, self.index, kind)?;
        if found.is_none() {
            return Ok(Some(stop));
        }
        self.inject_invalid_opcode()?;
        Ok(None)
    }

    /// If a part of who made an access is missing, and that is for want of room, says so once.
    fn warn_if(&mut self, is_missing: bool) -> Result<(), HostError> {
        if is_missing {
            self.shared.record_warnings(&mut self.lane, self.index)?;
        }
        Ok(())
    }

    fn inject_invalid_opcode(&self) -> Result<(), HostError> {
        let events =
            self.fd.get_vcpu_events().map_err(|source| HostError::ioctl("KVM_GET_VCPU_EVENTS", source))?;
        let mut events = kvm_vcpu_events { flags: 0, ..events };
        events.exception.injected = 1;
        events.exception.nr = INVALID_OPCODE;
        events.exception.has_error_code = 0;
        self.fd.set_vcpu_events(&events).map_err(|source| HostError::ioctl("KVM_SET_VCPU_EVENTS", source))
    }

    fn registers(&self) -> Registers {
        let shared = self.fd.sync_regs();
        self.shared.isolation.by_kernel(registers::plain(&shared.regs, &shared.sregs))
    }
}

fn place(vcpu: u8, shared: &Shared, registers: &Registers) -> Place {
    let mut bytes = [0; MAX_LENGTH];
    let rip = registers.linear_rip();
    let got = read_virtual(&shared.memory, registers, rip, &mut bytes);
    Place {
        vcpu,
        rip,
        cr3: registers.address_space(),
        bytes: bytes[..got].to_vec(),
        bitness: registers.bitness(),
    }
}
