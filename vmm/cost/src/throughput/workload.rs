//! A trace like those of a driver at work, only longer.
//!
//! Two vCPUs start computations, poll, move memory and acknowledge interrupts; the device changes registers,
//! is busy and sends messages. Of ten records about seven are accesses.

use std::path::Path as FilePath;

use barscope_device::{BarIndex, Bdf, PciDevice, Region, Space};
use barscope_devices::lab::Lab;
use barscope_trace::definition::{
    Bar, Entered, Frame, Function, Image, Instruction, Machine, Mapping, MemoryType, Path, Route, Stack, Walk,
};
use barscope_trace::event::{AccessEvent, Target};
use barscope_trace::{Clock, Definition, End, Event, EventKind, Id, Lane, WriteError, Writer};

use crate::Error;

const BAR0: u64 = 0xfe00_0000;
const BAR2: u64 = 0x8_0000_0000;

/// Places in code that access registers.
const CODES: usize = 60;
/// Bytes of code for each.
const CODE_SIZE: usize = 16;
/// So many are in a function.
const IN_FUNCTION: usize = 4;
const CODE: u64 = 0xffff_ffff_8100_0000;

/// Writes a trace of about `records` records.
pub fn write(path: &FilePath, records: u64) -> Result<(), Error> {
    let writer = Writer::create(path, Clock::Virtual)?;
    let mut guest = Guest::new(&writer)?;
    let mut scenario = 0;
    while writer.last_reserved() < records {
        guest.scenario(scenario)?;
        scenario += 1;
    }
    writer.finish(End::Finished)?;
    Ok(())
}

/// What has happened so far, and the definitions that it refers to.
struct Guest<'a> {
    writer: &'a Writer,
    vcpus: [Lane; 2],
    device: Lane,
    lab: Id,
    bar0: Id,
    bar2: Id,
    config: Id,
    /// The kernel's walk, and a program's.
    walks: [Id; 2],
    codes: Vec<Id>,
    /// One of each function: who calls it.
    stacks: Vec<Id>,
    names: Vec<Id>,
    time: u64,
    instance: u32,
    /// The vCPU that the next events happen on.
    on: u8,
}

impl<'a> Guest<'a> {
    fn new(writer: &'a Writer) -> Result<Self, Error> {
        let define = |definition| writer.define(&definition);
        define(Definition::Machine(Machine { guest: "workload".into(), vcpus: 2, memory: 32 << 20 }))?;
        let model = Lab::default();
        let lab = define(Definition::Function(Function {
            bdf: Bdf::from_routing_id(0x20),
            name: "lab".into(),
            vendor: 0x1234,
            device: 0x1ab0,
            bars: vec![Bar {
                index: BarIndex::BAR0,
                space: Space::Memory,
                size: 4096,
                wide: false,
                prefetchable: false,
            }],
            msi_vectors: 8,
            msix_vectors: 8,
            register_maps: model.register_maps().to_vec(),
            untrapped: Vec::new(),
        }))?;
        let route = |region, space, base, size| {
            define(Definition::Route(Route { function: Some(lab), region, space, base, size }))
        };
        let bar0 = route(Region::BAR0, Space::Memory, BAR0, 4096)?;
        let bar2 = route(Region::BAR2, Space::Memory, BAR2, 1 << 20)?;
        let config = route(Region::Config, Space::Io, 0xcfc, 4)?;
        let walk = |path, page: u64, user: bool| {
            let mapping = define(Definition::Mapping(Mapping {
                path,
                virtual_address: page,
                physical_address: BAR0,
                length: 4096,
                address_space: user.then_some(0x5000),
                announced: true,
                on_fault: false,
                who: "driver".into(),
                call: "call".into(),
                of: None,
            }))?;
            define(Definition::Walk(Walk {
                cr3: 0x5000,
                page,
                page_size: 4096,
                entries: vec![0x7003, 0x8003, 0x9003, BAR0 | 0x1b],
                levels: 4,
                user,
                writable: true,
                pat: Some(MemoryType::UncacheableMinus),
                mtrr: Some(MemoryType::Uncacheable),
                memory_type: MemoryType::Uncacheable,
                path,
                announced: true,
                mapping: Some(mapping),
                process: None,
            }))
        };
        let walks =
            [walk(Path::Ioremap, 0xffff_c900_0000_1000, false)?, walk(Path::Mmap, 0x4000_0000_0000, true)?];
        let image = Definition::Image(Image::new("kernel", None));
        let image = Some(writer.define_with_blob(&image, functions().as_bytes())?);
        let address = |at: usize| CODE + (CODE_SIZE * at) as u64;
        let code = |at: usize| Instruction {
            rip: address(at),
            bytes: vec![0x8b, 0x07],
            cr3: 0,
            ambiguous: false,
            code_size: 64,
            image,
        };
        let stack = |function: usize| {
            let callers = [function + 3, function + 7, 1].map(|caller| IN_FUNCTION * caller % CODES);
            let frame = |at: usize| Frame { how: Entered::Call, address: address(at) + 5, cr3: 0, image };
            Stack { process: None, frames: callers.map(frame).to_vec(), cut: None }
        };
        let stacks: Result<Vec<_>, WriteError> =
            (0..CODES / IN_FUNCTION).map(|function| define(Definition::Stack(stack(function)))).collect();
        let codes: Result<Vec<_>, WriteError> =
            (0..CODES).map(|at| define(Definition::Instruction(code(at)))).collect();
        let name = |text: String| define(Definition::Text { text });
        let names: Result<Vec<_>, WriteError> = (0..20).map(|at| name(format!("scenario {at}"))).collect();
        Ok(Self {
            writer,
            vcpus: [writer.lane(Some(0)), writer.lane(Some(1))],
            device: writer.lane(None),
            lab,
            bar0,
            bar2,
            config,
            walks,
            codes: codes?,
            stacks: stacks?,
            names: names?,
            time: 0,
            instance: 0,
            on: 0,
        })
    }

    fn record(&mut self, of_device: bool, kind: EventKind) -> Result<u64, Error> {
        let seq = self.writer.reserve();
        self.time += 1000;
        let vcpu = (!of_device).then_some(self.on);
        let event = Event { seq, host_ns: 7 * self.time, device_ns: self.time, vcpu, kind };
        let lane = if of_device { &mut self.device } else { &mut self.vcpus[usize::from(self.on)] };
        lane.record(&event)?;
        Ok(seq)
    }

    fn access(&mut self, line: usize, write: bool, offset: u64, value: u64) -> Result<u64, Error> {
        let access = AccessEvent {
            route: self.bar0,
            target: Target::Memory(BAR0 + offset),
            ..self.by(line, write, value)
        };
        self.record(false, EventKind::Access(access))
    }

    fn by(&mut self, line: usize, write: bool, value: u64) -> AccessEvent {
        self.instance += 1;
        let user = line.is_multiple_of(3);
        AccessEvent {
            write,
            size: 4,
            value,
            cpl: if user { 3 } else { 0 },
            walk: self.walks[usize::from(user)],
            instruction: self.codes[line],
            stack: self.stacks[line / IN_FUNCTION],
            instance: self.instance,
            service_ns: 300 + (self.time >> 10) as u32 % 900,
            ..AccessEvent::default()
        }
    }

    fn change(&mut self, offset: u64, old: u64, new: u64, cause: u64) -> Result<(), Error> {
        let (function, region) = (self.lab, Region::BAR0);
        self.record(true, EventKind::Change { function, region, offset, old, new, cause })?;
        Ok(())
    }

    /// Memory is moved, a computation is started and waited for, and its interrupt is handled.
    fn scenario(&mut self, turn: usize) -> Result<(), Error> {
        self.on = (turn % 2) as u8;
        let line = |at: usize| (turn + at) % CODES;
        let name = self.names[turn % self.names.len()];
        self.record(false, EventKind::ScenarioBegin { name })?;
        let target = Target::Port { port: 0xcfc, routing_id: 0x20, offset: 4 };
        let port = AccessEvent { route: self.config, target, walk: 0, ..self.by(line(0), false, 6) };
        self.record(false, EventKind::Access(port))?;
        for at in 0..12 {
            let target = Target::Memory(BAR2 + 4 * (turn as u64 * 12 + at) % (1 << 20));
            let move_ = AccessEvent { route: self.bar2, target, ..self.by(line(1), true, at) };
            self.record(false, EventKind::Access(move_))?;
        }
        self.access(line(2), true, 0x0c, 1)?;
        self.access(line(3), true, 0x20, turn as u64)?;
        let cause = self.access(line(4), true, 0x24, 1 + turn as u64 % 3)?;
        self.change(0x24, 0, 1, cause)?;
        self.change(0x10, 2, 1, cause)?;
        self.record(true, EventKind::Busy { function: self.lab, until_ns: self.time + 20_000, cause })?;
        for _ in 0..turn % 8 {
            self.access(line(5), false, 0x10, 1)?;
        }
        self.record(false, EventKind::ClockJump { to_ns: self.time + 20_000 })?;
        self.change(0x28, 0, 0x78, cause)?;
        self.change(0x10, 1, 2, cause)?;
        let (function, address, data) = (self.lab, 0xfee0_0000, 0x31);
        self.record(true, EventKind::Msi { function, index: 0, address, data, delivered: true, cause })?;
        self.record(false, EventKind::IsrEnter { vector: 0x31 })?;
        self.access(line(6), false, 0x14, 1)?;
        self.access(line(7), true, 0x14, 1)?;
        self.record(false, EventKind::IsrExit { vector: 0x31 })?;
        self.access(line(8), false, 0x28, 0x78)?;
        for _ in 0..6 {
            self.access(line(9), true, 0x08, turn as u64)?;
            self.access(line(10), false, 0x08, turn as u64)?;
        }
        self.record(false, EventKind::ScenarioEnd { passed: true, summary: name })?;
        Ok(())
    }
}

/// The functions of the guest: a driver's, in a module, and what calls them.
fn functions() -> String {
    let size = CODE_SIZE * IN_FUNCTION;
    let line = |at: usize| {
        let address = CODE + (size * at) as u64;
        let module = if at.is_multiple_of(5) { "" } else { " [lab]" };
        format!("{address:x} {size:x} function_{at}{module}\n")
    };
    (0..CODES / IN_FUNCTION).map(line).collect()
}
