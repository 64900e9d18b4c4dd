//! The dispatcher on a platform of the test's: no KVM, no threads.

mod interrupts;
mod order;
mod puppet;
mod routing;
mod timers;
mod untrapped;

use std::sync::Arc;

use barscope_device::{Backing, Bdf, PciFunction};
use barscope_trace::event::Target;
use barscope_trace::{BusAddress, Clock, Content, End, Event, EventKind, Lane, Writer};
use tempfile::TempDir;

use self::puppet::Puppet;
use super::*;
use crate::perform::Request;
use crate::platform::{Call, TestPlatform};

const ECAM: u64 = 0xe000_0000;
const COMMAND: u64 = 0x04;
/// Where a [`Machine`] has the BARs of its puppet at 00:04.0; those of one at 00:08.0 are a MiB above.
const BAR0: u64 = 0xf000_0000;
const BAR1: u16 = 0xc000;
const BAR2: u64 = 0x8_0000_0000;
const BAR4: u64 = 0xf000_1000;

/// A dispatcher with puppets, and what a vCPU needs to reach them.
struct Machine {
    dispatcher: Dispatcher<TestPlatform>,
    platform: Arc<TestPlatform>,
    writer: Writer,
    lane: Lane,
    folder: TempDir,
    /// The last record that is of no interest.
    before: u64,
}

impl Machine {
    /// A puppet at 00:04.0 after reset, its clock virtual.
    fn new() -> Self {
        Self::with(Clock::Virtual, &[(4, Backing::Trapped)])
    }

    /// Puppets as functions 0 of these devices, each with how its doorbells are served.
    fn with(clock: Clock, puppets: &[(u8, Backing)]) -> Self {
        let puppet =
            |&(device, bells): &(u8, Backing)| (Bdf::new(0, device, 0).unwrap(), Puppet::with_bells(bells));
        Self::of(clock, puppets.iter().map(puppet).collect())
    }

    /// These puppets.
    fn of(clock: Clock, puppets: Vec<(Bdf, Puppet)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let writer = Writer::create(&folder.path().join("trace"), clock).unwrap();
        let platform = Arc::new(TestPlatform::default());
        let function = |(bdf, puppet)| (bdf, PciFunction::new(Box::new(puppet)));
        let functions = puppets.into_iter().map(function).collect();
        let size = TestPlatform::MEMORY_SIZE;
        let dispatcher =
            Dispatcher::new(functions, clock, Arc::clone(&platform), size, writer.clone()).unwrap();
        let lane = writer.lane(Some(0));
        Self { dispatcher, platform, writer, lane, folder, before: 0 }
    }

    /// A puppet at 00:04.0 whose BARs are decoded and which masters the bus.
    fn enabled() -> Self {
        let mut machine = Self::new();
        machine.enable(4);
        machine.start();
        machine
    }

    /// Gives the BARs of a puppet their addresses, and switches everything on in its Command register.
    fn enable(&mut self, device: u64) {
        let above = (device - 4) / 4 * 0x10_0000;
        let ports = u64::from(BAR1) + (device - 4) * 4;
        let bars =
            [(0x10, BAR0 + above), (0x14, ports), (0x18, above), (0x1c, BAR2 >> 32), (0x20, BAR4 + above)];
        for (register, value) in bars {
            self.configure(device, register, value);
        }
        self.configure(device, COMMAND, 7);
    }

    /// Has the puppet send messages, to this address with data 0x31.
    fn enable_msi(&mut self, device: u64, address: u64) {
        let capability = self.read(ecam(device, 0x34), 1);
        self.configure(device, capability + 4, address);
        self.configure(device, capability + 8, 0);
        self.write(ecam(device, capability + 0xc), 2, 0x31);
        self.write(ecam(device, capability + 2), 2, 1);
    }

    fn configure(&mut self, device: u64, register: u64, value: u64) {
        self.write(ecam(device, register), 4, value);
    }

    /// What comes now is what the test is about.
    fn start(&mut self) {
        self.before = self.writer.last_reserved();
        self.platform.take_calls();
    }

    fn access(&mut self, address: BusAddress, request: Request) -> u64 {
        let access = Access { address, request, vcpu: Some(0), origin: Origin::default() };
        self.dispatcher.access(&mut self.lane, &access).unwrap()
    }

    fn read(&mut self, address: u64, size: u8) -> u64 {
        self.access(BusAddress::Memory(address), Request::read(size))
    }

    fn write(&mut self, address: u64, size: u8, value: u64) {
        self.access(BusAddress::Memory(address), Request::write(size, value));
    }

    fn read_port(&mut self, port: u16, size: u8) -> u64 {
        self.access(BusAddress::Port(port), Request::read(size))
    }

    fn write_port(&mut self, port: u16, size: u8, value: u64) {
        self.access(BusAddress::Port(port), Request::write(size, value));
    }

    /// The platform's calls since the last time.
    fn calls(&self) -> Vec<Call> {
        self.platform.take_calls()
    }

    /// The records since the start, a line each; they count from 1.
    fn records(self) -> Vec<String> {
        let path = self.folder.path().join("trace");
        drop(self.lane);
        self.writer.finish(End::Finished).unwrap();
        let trace = Content::open(&path).unwrap();
        let counted = trace.events().iter().filter(|event| event.seq > self.before);
        counted.map(|event| line(&trace, event, self.before)).collect()
    }
}

/// Where a register of a function's configuration space is in memory.
fn ecam(device: u64, register: u64) -> u64 {
    ECAM + (device << 15) + register
}

/// A record in words. Functions are called by their device number.
fn line(trace: &Content, event: &Event, before: u64) -> String {
    let number = event.seq - before;
    let definitions = trace.definitions();
    let function = |id| definitions.function(id).map_or(0, |function| function.bdf.device());
    let place = |id| match definitions.route(id) {
        Some(route) => format!("{}.{}", route.function.map_or(0, function), route.region),
        None => "nothing".to_owned(),
    };
    let by = |cause: u64| if cause > before { format!(" by {}", cause - before) } else { String::new() };
    match event.kind {
        EventKind::Access(access) => {
            let what = if access.write { "write" } else { "read" };
            let at = match access.target {
                Target::Memory(address) => {
                    let base = definitions.route(access.route).map_or(0, |route| route.base);
                    format!("{}+{:#x}", place(access.route), address - base)
                }
                Target::Port { port, offset, .. } => {
                    format!("{}+{offset:#x} by port {port:#x}", place(access.route))
                }
            };
            let outcome = access.outcome.name();
            format!("{number} {what} {at}, {} bytes, {:#x}: {outcome}", access.size, access.value)
        }
        EventKind::Change { function: id, region, offset, old, new, cause } => {
            format!("{number} {}.{region}+{offset:#x} {old:#x} -> {new:#x}{}", function(id), by(cause))
        }
        EventKind::Busy { until_ns, cause, .. } => format!("{number} busy until {until_ns}{}", by(cause)),
        EventKind::Msi { function: id, data, delivered, cause, .. } => {
            let delivered = if delivered { "delivered" } else { "not delivered" };
            format!("{number} {} sends {data:#x}, {delivered}{}", function(id), by(cause))
        }
        EventKind::InterruptLost { why, cause, .. } => {
            format!("{number} interrupt lost: {}{}", why.map_or("", |why| why.name()), by(cause))
        }
        EventKind::Intx { function: id, asserted, gsi, cause } => {
            let level = if asserted { "asserts" } else { "deasserts" };
            format!("{number} {} {level} {gsi}{}", function(id), by(cause))
        }
        EventKind::Dma { address, length, outcome, cause, .. } => {
            format!("{number} {length} bytes to {address:#x}: {}{}", outcome.name(), by(cause))
        }
        EventKind::Route { route, change, cause } => {
            let base = definitions.route(route).map_or(0, |route| route.base);
            format!("{number} {} {change:?} at {base:#x}{}", place(route), by(cause))
        }
        EventKind::Backing { route, backing, cause } => {
            format!("{number} {} is {backing:?}{}", place(route), by(cause))
        }
        EventKind::PagesWritten { route, offset, pages, since } => {
            let since = since.saturating_sub(before);
            format!("{number} {}+{offset:#x} {pages} pages written since {since}", place(route))
        }
        EventKind::Doorbell { route, offset, count } => {
            format!("{number} {}+{offset:#x} rang {count} times", place(route))
        }
        EventKind::ClockJump { to_ns } => format!("{number} clock jumps to {to_ns}"),
        other => format!("{number} {other:?}"),
    }
}
