//! Traces made by hand, for tests: a machine with one `lab`, and a program whose functions have symbols.

mod each;
mod entries;
mod program;
mod run;
pub(crate) mod stacks;

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;

use barscope_device::{Access, BarIndex, Bdf, Field, Region, Register, RegisterMap, Space};
use barscope_trace::definition::{
    Bar, Definition, Function, Image, Instruction, Machine, Mapping, MemoryType, Path, Route, Walk,
};
use barscope_trace::event::{AccessEvent, Event, EventKind, Id, Outcome, RouteChange, Target};
use barscope_trace::{Capabilities, Capability, Clock, End, Lane, Writer};
use tempfile::TempDir;

pub(crate) use program::{address, program};
pub(crate) use run::{count, run};

use crate::Trace;

/// Guest physical addresses of `lab`'s BARs, and where ECAM begins.
pub(crate) const BAR0: u64 = 0xfe00_0000;
pub(crate) const BAR2: u64 = 0x8_0000_0000;
pub(crate) const ECAM: u64 = 0xe000_0000;
/// Where the sample's mappings are.
pub(crate) const IOREMAP: u64 = 0xffff_c900_0000_1000;
pub(crate) const MMAP: u64 = 0x4000_0000_0000;
/// The address spaces of the kernel and of a program.
pub(crate) const KERNEL: u64 = 0x3000;
pub(crate) const USER: u64 = 0x5000;

const INT_FIELDS: &[Field] = &[Field::bit("DONE", 0, ""), Field::bit("ERROR", 1, "")];
const STATUS_FIELDS: &[Field] =
    &[Field::bit("BUSY", 0, ""), Field::bit("DONE", 1, ""), Field::bit("ERROR", 2, "")];
const OPCODES: &[(u64, Cow<'static, str>)] = &[(1, Cow::Borrowed("FACTORIAL"))];
const OPCODE_FIELDS: &[Field] = &[Field::new("OPCODE", 0, 32, "").with_values(OPCODES)];

fn registers() -> Vec<RegisterMap> {
    let register = Register::new32;
    vec![
        RegisterMap {
            region: Region::BAR0,
            registers: vec![
                register("ID", 0, Access::ReadOnly, ""),
                register("SCRATCH", 8, Access::ReadWrite, ""),
                register("STATUS", 0x10, Access::ReadOnly, "").with_fields(STATUS_FIELDS),
                register("INT_STATUS", 0x14, Access::WriteOneToClear, "").with_fields(INT_FIELDS),
                register("OPCODE", 0x24, Access::ReadWrite, "").with_fields(OPCODE_FIELDS),
                register("RESULT", 0x28, Access::ReadOnly, ""),
            ]
            .into(),
        },
        RegisterMap {
            region: Region::BAR2,
            registers: vec![Register::memory("MEMORY", 0, 1 << 20, "")].into(),
        },
    ]
}

fn bar(index: BarIndex, size: u64, wide: bool) -> Bar {
    Bar { index, space: Space::Memory, size, wide, prefetchable: wide }
}

/// A walk to the page at `page`, announced to belong to `mapping`.
fn walk_to(cr3: u64, page: u64, user: bool, path: Path, mapping: Id) -> Walk {
    let rights = if user { 7 } else { 3 };
    Walk {
        cr3,
        page,
        page_size: 4096,
        entries: vec![0x7000 | rights, 0x8000 | rights, 0x9000 | rights, BAR0 | 0x18 | rights],
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
    }
}

/// A trace that is being made.
pub(crate) struct Sample {
    directory: TempDir,
    pub(crate) writer: Writer,
    lane: Lane,
    /// Definitions of `lab`, its routes and of CONFIG_ADDRESS.
    pub(crate) lab: Id,
    pub(crate) bar0: Id,
    pub(crate) bar2: Id,
    pub(crate) config_address: Id,
    pub(crate) config_data: Id,
    pub(crate) ecam: Id,
    /// Walks through the mappings.
    pub(crate) ioremap: Id,
    pub(crate) mmap: Id,
    /// The mappings.
    pub(crate) kernel_mapping: Id,
    pub(crate) user_mapping: Id,
    /// The image that all code is of.
    program: Id,
    instance: u32,
    device_ns: u64,
    /// Host time from one record to the next.
    step_ns: u64,
    codes: RefCell<BTreeMap<u64, Id>>,
    /// Images of a Linux kernel and of its program.
    linux: OnceCell<(Id, Id)>,
}

impl Sample {
    /// A machine with `lab` at 00:04.0, BAR0 mapped by `ioremap` and by `mmap`, of which everything is announced.
    /// Nothing happened so far.
    pub(crate) fn new() -> Self {
        Self::with_configuration_registers(Vec::new())
    }

    /// The same of a `lab` whose configuration space has these registers, if any.
    pub(crate) fn with_configuration_registers(configuration: Vec<Register>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let writer = Writer::create(&directory.path().join("t"), Clock::Virtual).unwrap();
        let define = |definition: Definition| writer.define(&definition).unwrap();
        define(Definition::Machine(Machine { guest: "test kernel".into(), vcpus: 1, memory: 32 << 20 }));
        let bdf = Bdf::new(0, 4, 0).unwrap();
        let route = |function, region, space, base, size| {
            define(Definition::Route(Route { function, region, space, base, size }))
        };
        let config_address = route(None, Region::Config, Space::Io, 0xcf8, 4);
        let mut register_maps = registers();
        if !configuration.is_empty() {
            register_maps.push(RegisterMap { region: Region::Config, registers: configuration.into() });
        }
        let lab = define(Definition::Function(Function {
            bdf,
            name: "lab".into(),
            vendor: 0x1234,
            device: 0x1ab0,
            bars: vec![bar(BarIndex::BAR0, 4096, false), bar(BarIndex::BAR2, 1 << 20, true)],
            msi_vectors: 1,
            msix_vectors: 0,
            register_maps,
            untrapped: vec![Region::BAR2],
        }));
        let config_data = route(Some(lab), Region::Config, Space::Io, 0xcfc, 4);
        let ecam = route(Some(lab), Region::Config, Space::Memory, ECAM + 0x2_0000, 4096);
        let bar0 = route(Some(lab), Region::BAR0, Space::Memory, BAR0, 4096);
        let bar2 = route(Some(lab), Region::BAR2, Space::Memory, BAR2, 1 << 20);
        let image = |address_space| Definition::Image(Image::new("program", address_space));
        let program = writer.define_with_blob(&image(None), program()).unwrap();
        let mapping = |path, virtual_address, address_space, on_fault, who: &str, call: &str| {
            define(Definition::Mapping(Mapping {
                path,
                virtual_address,
                physical_address: BAR0,
                length: 4096,
                address_space,
                announced: true,
                on_fault,
                who: who.into(),
                call: call.into(),
                of: None,
            }))
        };
        let kernel_mapping =
            mapping(Path::Ioremap, IOREMAP, None, false, "lab::probe", "ioremap(0xfe000000, 0x1000)");
        let user_mapping = mapping(Path::Mmap, MMAP, Some(USER), true, "user 1", "mmap(lab, 4096, offset 0)");
        let walk = |walk| define(Definition::Walk(walk));
        let ioremap = walk(walk_to(KERNEL, IOREMAP, false, Path::Ioremap, kernel_mapping));
        let mmap = walk(walk_to(USER, MMAP, true, Path::Mmap, user_mapping));
        let lane = writer.lane(Some(0));
        let sample = Self {
            directory,
            lane,
            lab,
            bar0,
            bar2,
            config_address,
            config_data,
            ecam,
            ioremap,
            mmap,
            kernel_mapping,
            user_mapping,
            program,
            writer,
            instance: 0,
            device_ns: 0,
            step_ns: 10_000_000,
            codes: RefCell::default(),
            linux: OnceCell::new(),
        };
        sample.knowing(Capabilities::COMPLETE)
    }

    /// The same of a guest of which the trace tells this.
    pub(crate) fn knowing(self, capabilities: Capabilities) -> Self {
        for capability in Capability::ALL {
            self.writer.know(capability, capabilities.of(capability));
        }
        self
    }

    /// The same on a host that takes 0.1 ms from one record to the next.
    pub(crate) fn fast(mut self) -> Self {
        self.step_ns = 100_000;
        self
    }

    /// Loses a record: a sequence number that was handed out and never written, which is returned.
    pub(crate) fn lose(&self) -> u64 {
        self.writer.reserve()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("t")
    }

    /// The definition of the kernel's walk.
    pub(crate) fn ioremap_walk(&self) -> Walk {
        walk_to(KERNEL, IOREMAP, false, Path::Ioremap, self.kernel_mapping)
    }

    /// The same walk of a guest that announces nothing.
    pub(crate) fn inferred_walk(&self) -> Id {
        let walk = Walk { announced: false, mapping: None, ..self.ioremap_walk() };
        self.writer.define(&Definition::Walk(walk)).unwrap()
    }

    /// The walk to BAR0 that the program's accesses take.
    pub(crate) fn user_walk(&self) -> Walk {
        walk_to(USER, MMAP, true, Path::Mmap, self.user_mapping)
    }

    /// The walk of a program's page of a guest that announces nothing.
    pub(crate) fn inferred_user_walk(&self) -> Id {
        let walk = Walk { announced: false, mapping: None, ..self.user_walk() };
        self.writer.define(&Definition::Walk(walk)).unwrap()
    }

    pub(crate) fn text(&self, text: &str) -> Id {
        self.writer.define(&Definition::Text { text: text.into() }).unwrap()
    }

    /// An instruction of the program: `mov [rdi],eax` or `mov eax,[rdi]`.
    pub(crate) fn code(&self, function: &str, line: u32, write: bool) -> Id {
        let bytes = if write { vec![0x89, 0x07] } else { vec![0x8b, 0x07] };
        let rip = address(function, line);
        let define = || {
            let image = Some(self.program);
            let code = Instruction { rip, bytes, cr3: 0, ambiguous: false, code_size: 64, image };
            self.writer.define(&Definition::Instruction(code)).unwrap()
        };
        *self.codes.borrow_mut().entry(rip).or_insert_with(define)
    }

    /// Records an event, on vCPU 0 unless a device does it by itself, and returns its sequence number.
    pub(crate) fn event(&mut self, kind: EventKind) -> u64 {
        let of_device = kind.kind().of_device;
        let seq = self.writer.reserve();
        let (host_ns, device_ns) = (seq * self.step_ns, self.device_ns);
        let event = Event { seq, host_ns, device_ns, vcpu: (!of_device).then_some(0), kind };
        self.lane.record(&event).unwrap();
        seq
    }

    /// Lets device time pass.
    pub(crate) fn wait(&mut self, ns: u64) {
        self.device_ns += ns;
    }

    /// Records an access by an instruction of its own.
    pub(crate) fn access(&mut self, access: AccessEvent) -> u64 {
        self.instance += 1;
        self.device_ns += 1000;
        self.event(EventKind::Access(AccessEvent { instance: self.instance, ..access }))
    }

    /// The kernel reads a register of BAR0 through ioremap, in `lab::probe`.
    pub(crate) fn kernel_read(&self, offset: u64, value: u64) -> AccessEvent {
        AccessEvent {
            route: self.bar0,
            target: Target::Memory(BAR0 + offset),
            size: 4,
            value,
            walk: self.ioremap,
            instruction: self.code("lab::probe", 13, false),
            ..AccessEvent::default()
        }
    }

    /// The kernel writes one, in `lab::start`.
    pub(crate) fn kernel_write(&self, offset: u64, value: u64) -> AccessEvent {
        let instruction = self.code("lab::start", 17, true);
        AccessEvent { write: true, instruction, ..self.kernel_read(offset, value) }
    }

    /// The program reads one through its mapping.
    pub(crate) fn user_read(&self, offset: u64, value: u64) -> AccessEvent {
        let instruction = self.code("user::touch", 29, false);
        AccessEvent { cpl: 3, walk: self.mmap, instruction, ..self.kernel_read(offset, value) }
    }

    /// The program writes one.
    pub(crate) fn user_write(&self, offset: u64, value: u64) -> AccessEvent {
        let instruction = self.code("user::touch", 28, true);
        AccessEvent { write: true, instruction, ..self.user_read(offset, value) }
    }

    /// An access to configuration space by CF8/CFC: the address, then the data.
    pub(crate) fn configuration(&mut self, offset: u16, value: u64) -> u64 {
        let target = Target::Port { port: 0xcf8, routing_id: 0, offset: 0 };
        let base = AccessEvent { size: 4, write: true, ..AccessEvent::default() };
        let address = 0x8000_2000 | u64::from(offset);
        self.access(AccessEvent { route: self.config_address, target, value: address, ..base });
        let target = Target::Port { port: 0xcfc, routing_id: 0x20, offset };
        self.access(AccessEvent { route: self.config_data, target, value, ..base })
    }

    /// Both BARs become reachable.
    pub(crate) fn add_routes(&mut self, cause: u64) {
        for route in [self.bar0, self.bar2] {
            self.event(EventKind::Route { route, change: RouteChange::Added, cause });
        }
    }

    pub(crate) fn scenario_begin(&mut self, name: &str) -> u64 {
        let name = self.text(name);
        self.event(EventKind::ScenarioBegin { name })
    }

    pub(crate) fn scenario_end(&mut self, passed: bool, summary: &str) -> u64 {
        let summary = self.text(summary);
        self.event(EventKind::ScenarioEnd { passed, summary })
    }

    pub(crate) fn mark(&mut self, text: &str) -> u64 {
        let text = self.text(text);
        self.event(EventKind::Mark { text, process: 0 })
    }

    /// A computation: it is started, ends 20 us later with an interrupt, whose handler acknowledges it.
    /// The sequence number of the access that started it.
    pub(crate) fn computation(&mut self) -> u64 {
        let function = self.lab;
        let region = Region::BAR0;
        let change =
            |offset, old, new, cause| EventKind::Change { function, region, offset, old, new, cause };
        let start = self.kernel_write(0x24, 1);
        let cause = self.access(start);
        self.event(change(0x24, 0, 1, cause));
        self.event(change(0x10, 0, 1, cause));
        self.event(EventKind::Busy { function, until_ns: self.device_ns + 20_000, cause });
        self.event(EventKind::ClockJump { to_ns: self.device_ns + 20_000 });
        self.wait(20_000);
        self.event(change(0x28, 0, 0x78, cause));
        self.event(change(0x10, 1, 2, cause));
        self.event(change(0x14, 0, 1, cause));
        let (address, data) = (0xfee0_0000, 0x31);
        self.event(EventKind::Msi { function, index: 0, address, data, delivered: true, cause });
        self.event(EventKind::IsrEnter { vector: 0x31 });
        let read = AccessEvent { instruction: self.code("lab::isr", 21, false), ..self.kernel_read(0x14, 1) };
        self.access(read);
        let write =
            AccessEvent { instruction: self.code("lab::isr", 22, true), ..self.kernel_write(0x14, 1) };
        let acknowledge = self.access(write);
        self.event(change(0x14, 1, 0, acknowledge));
        self.event(EventKind::IsrExit { vector: 0x31 });
        cause
    }

    /// A read of an address that nothing decodes.
    pub(crate) fn unclaimed_read(&mut self) -> u64 {
        let read = self.kernel_read(8, 0xffff_ffff);
        self.access(AccessEvent { route: 0, outcome: Outcome::Unclaimed, ..read })
    }

    /// The trace so far, as after a SIGKILL.
    pub(crate) fn killed(self) -> Trace {
        Trace::open(&self.path()).unwrap()
    }

    pub(crate) fn ended(self, end: End) -> Trace {
        self.writer.finish(end).unwrap();
        Trace::open(&self.path()).unwrap()
    }

    pub(crate) fn finished(self) -> Trace {
        self.ended(End::Finished)
    }
}
