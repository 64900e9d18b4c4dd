//! Random worlds, and what a trace shows of them.

use std::path::Path as FilePath;
use std::sync::LazyLock;

use barscope_device::{Access, BarIndex, Bdf, Field, Region, Register, RegisterMap, Space};
use barscope_trace::definition::{
    Bar, Cut, Definition, Entered, Frame, Function, Image, Instruction, Machine, Mapping, MemoryType, Path,
    Process, Route, Stack, Walk,
};
use barscope_trace::event::{
    AccessEvent, Backing, Counted, Event, EventKind, Id, MemoryOperand, Outcome, Target,
};
use barscope_trace::{Capabilities, Capability, Clock, Definitions, End, Knowledge, TraceInfo};
use fastrand::Rng;

use crate::assert::timestamp::Timestamp;
use crate::view::{View, Viewer};

const BAR0: u64 = 0xfe00_0000;
const BAR2: u64 = 0xfd00_0000;
pub(super) const MARKS: [&str; 2] = ["a", "b"];
pub(super) const SCENARIOS: [&str; 2] = ["s", "t"];

const INT_FIELDS: &[Field] = &[Field::bit("DONE", 0, ""), Field::bit("ERROR", 1, "")];

/// Everything that events of worlds refer to.
struct Known {
    definitions: Definitions,
    lab: Id,
    bar0: Id,
    bar2: Id,
    /// Walks by path: what the guest announced, and what of it can be inferred.
    walks: [(Id, Id); 3],
    mapping: Id,
    marks: [Id; 2],
    scenarios: [Id; 2],
    /// Instructions of the kernel: of an accessor, and of a function that makes accesses by itself.
    codes: [Id; 2],
    processes: [Id; 2],
    /// Call stacks of programs, of tasks in the kernel, and of handlers and what else interrupts.
    stacks: [Vec<KnownStack>; 3],
}

/// A call stack, and what of it is known if it was cut.
struct KnownStack {
    whole: Id,
    cut: Vec<Id>,
}

/// Functions of the kernel, then of a program.
const FUNCTIONS: [&str; 11] = [
    "ioread32",
    "probe",
    "isr",
    "ioctl_of_mine",
    "do_syscall_64",
    "handle_irq_event",
    "common_interrupt",
    "irq_thread_fn",
    "handle_softirqs",
    "idle",
    "main",
];
const CODE: u64 = 0xffff_ffff_8100_0000;
const PROGRAM: u64 = 0x40_0000;
const SPACE: u64 = 0x5000;

/// Call stacks as lists of functions, the innermost first: `|` before one that was interrupted, `$` and a digit before
/// one that made a system call: 0 `read`, 1 `write`.
const PROGRAMS: [&str; 2] = ["main", "main main"];
const TASKS: [&str; 5] = [
    "probe ioctl_of_mine do_syscall_64 $0main",
    "isr ioctl_of_mine do_syscall_64 $1main main",
    "ioread32 probe idle",
    "ioctl_of_mine do_syscall_64 $0main",
    "idle",
];
const HANDLERS: [&str; 6] = [
    "isr handle_irq_event common_interrupt |idle",
    "isr handle_irq_event common_interrupt |probe ioctl_of_mine do_syscall_64 $0main",
    "probe isr handle_irq_event common_interrupt |main",
    "isr irq_thread_fn idle",
    "probe handle_softirqs common_interrupt |idle",
    "probe common_interrupt |main",
];

/// The frames of a list of functions.
fn frames(list: &str, kernel: Id, program: Id) -> Vec<Frame> {
    let frame = |name: &str| {
        let (how, name) = match name.split_at(1) {
            ("|", name) => (Entered::Interrupt, name),
            ("$", name) => {
                let (number, name) = name.split_at(1);
                (Entered::SystemCall { number: number.parse().unwrap() }, name)
            }
            _ => (Entered::Call, name),
        };
        let at = FUNCTIONS.iter().position(|known| *known == name).unwrap() as u64 * 0x10 + 8;
        match name {
            "main" => Frame { how, address: PROGRAM + at, cr3: SPACE, image: Some(program) },
            _ => Frame { how, address: CODE + at, cr3: 0, image: Some(kernel) },
        }
    };
    list.split(' ').map(frame).collect()
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let mut definitions = Definitions::default();
    let mut count = 0;
    let mut define_blob = |definition, blob| {
        definitions.push(definition, blob);
        count += 1;
        count
    };
    let mut define = |definition| define_blob(definition, Vec::new());
    define(Definition::Machine(Machine { guest: "world".into(), vcpus: 2, memory: 1 << 20 }));
    let registers = vec![
        Register::new32("ID", 0, Access::ReadOnly, ""),
        Register::new32("SCRATCH", 8, Access::ReadWrite, ""),
        Register::new32("INT_STATUS", 0x14, Access::WriteOneToClear, "").with_fields(INT_FIELDS),
    ];
    let memory = vec![Register::memory("MEMORY", 0, 4096, "")];
    let bar = |index| Bar { index, space: Space::Memory, size: 4096, wide: false, prefetchable: false };
    let lab = define(Definition::Function(Function {
        bdf: Bdf::new(0, 4, 0).unwrap(),
        name: "lab".into(),
        vendor: 0x1234,
        device: 0x1ab0,
        bars: vec![bar(BarIndex::BAR0), bar(BarIndex::BAR2)],
        msi_vectors: 2,
        msix_vectors: 0,
        register_maps: vec![
            RegisterMap { region: Region::BAR0, registers: registers.into() },
            RegisterMap { region: Region::BAR2, registers: memory.into() },
        ],
        untrapped: vec![Region::BAR2],
    }));
    let mut route = |index, base| {
        let (function, region) = (Some(lab), Region::Bar(index));
        define(Definition::Route(Route { function, region, space: Space::Memory, base, size: 4096 }))
    };
    let (bar0, bar2) = (route(BarIndex::BAR0, BAR0), route(BarIndex::BAR2, BAR2));
    let mapping = define(Definition::Mapping(Mapping {
        path: Path::Mmap,
        virtual_address: 0x4000,
        physical_address: BAR0,
        length: 4096,
        address_space: Some(0x5000),
        announced: true,
        on_fault: false,
        who: "user 1".into(),
        call: "mmap()".into(),
        of: None,
    }));
    let mut walk = |user, path, announced| {
        define(Definition::Walk(Walk {
            cr3: 0x3000,
            page: 0x4000,
            page_size: 4096,
            entries: vec![0x7000, 0x8000, 0x9000, BAR0],
            levels: 4,
            user,
            writable: true,
            pat: Some(MemoryType::UncacheableMinus),
            mtrr: Some(MemoryType::Uncacheable),
            memory_type: MemoryType::Uncacheable,
            path,
            announced,
            mapping: None,
            process: None,
        }))
    };
    let walks = [
        (walk(false, Path::Ioremap, true), walk(false, Path::Ioremap, false)),
        (walk(true, Path::Mmap, true), walk(true, Path::Mmap, false)),
        (walk(true, Path::Sysfs, true), walk(true, Path::Mmap, false)),
    ];
    let mut image = |base: u64, address_space| {
        let line = |(at, name): (usize, &&str)| format!("{:x} 10 {name}\n", base + 0x10 * at as u64);
        let lines: String = FUNCTIONS.iter().enumerate().map(line).collect();
        define_blob(Definition::Image(Image::new("image", address_space)), lines.into_bytes())
    };
    let (kernel, program) = (image(CODE, None), image(PROGRAM, Some(SPACE)));
    let codes = [0, 1].map(|at| {
        let (bytes, image) = (vec![0x8b, 0x07], Some(kernel));
        let rip = CODE + 0x10 * at + 8;
        let code = Instruction { rip, bytes, cr3: 0, ambiguous: false, code_size: 64, image };
        define_blob(Definition::Instruction(code), Vec::new())
    });
    let processes = ["a", "b"].map(|name| {
        let pid = u64::from(name.as_bytes()[0]);
        let process = Process { address_space: SPACE, pid, thread: None, name: name.into() };
        define_blob(Definition::Process(process), Vec::new())
    });
    let mut stack = |frames: &[Frame], process, cut| {
        let stack = Stack { process: Some(process), frames: frames.to_vec(), cut };
        define_blob(Definition::Stack(stack), Vec::new())
    };
    let mut known = |list: &&str| {
        let frames = frames(list, kernel, program);
        processes.map(|process| KnownStack {
            whole: stack(&frames, process, None),
            cut: (0..frames.len()).map(|at| stack(&frames[..at], process, Some(Cut::Deep))).collect(),
        })
    };
    let stacks = [
        PROGRAMS.iter().flat_map(&mut known).collect(),
        TASKS.iter().flat_map(&mut known).collect(),
        HANDLERS.iter().flat_map(&mut known).collect(),
    ];
    let mut define = |definition| define_blob(definition, Vec::new());
    let mut text = |text: &str| define(Definition::Text { text: text.into() });
    let (marks, scenarios) = (MARKS.map(&mut text), SCENARIOS.map(&mut text));
    Known { definitions, lab, bar0, bar2, walks, mapping, marks, scenarios, codes, processes, stacks }
});

/// What happened. Accesses while their BAR was mapped directly are not seen by anybody else.
#[derive(Debug)]
pub(super) struct World {
    events: Vec<(Event, bool)>,
    /// Handlers show in call stacks, and nobody announces them.
    pub(super) by_stacks: bool,
    /// Each entry into the kernel is recorded, with its process; else the guest counts them.
    pub(super) each_entry: bool,
}

/// A trace of a world.
#[derive(Debug)]
pub(super) struct Observed {
    events: Vec<Event>,
    by_stacks: bool,
    /// Sequence numbers that were handed out.
    handed_out: u64,
    end: Option<End>,
}

impl World {
    pub(super) fn random(random: &mut Rng) -> Self {
        let (mut device_ns, mut host_ns) = (0, 0);
        let (mut direct, by_stacks, each_entry) = (false, random.bool(), random.bool());
        let length = random.u64(0..14);
        let event = |seq: u64| {
            device_ns += random.u64(0..3);
            host_ns += random.u64(0..3);
            let (kind, of_device) = random_kind(random, seq, (by_stacks, each_entry), &mut direct);
            // Threads read their clocks before they take a number.
            let vcpu = (!of_device).then(|| random.u8(0..2));
            let hidden = direct && matches!(kind, EventKind::Access(access) if access.route == KNOWN.bar2);
            (Event { seq, host_ns, device_ns, vcpu, kind }, hidden)
        };
        Self { events: (1..=length).map(event).collect(), by_stacks, each_entry }
    }

    pub(super) fn definitions(&self) -> &'static Definitions {
        &KNOWN.definitions
    }

    pub(super) fn views(&self) -> Vec<View> {
        let mut viewer = Viewer::knowing(&capabilities(self.by_stacks));
        self.events.iter().map(|(event, _)| viewer.view(&KNOWN.definitions, event)).collect()
    }

    /// All of it; where accesses are hidden they are told nevertheless, as if nothing were served directly.
    pub(super) fn whole(&self) -> Observed {
        let trapped = |(event, _): &(Event, bool)| match event.kind {
            EventKind::Backing { route, cause, .. } => {
                Event { kind: EventKind::Backing { route, backing: Backing::Trapped, cause }, ..*event }
            }
            _ => *event,
        };
        let events: Vec<_> = self.events.iter().map(trapped).collect();
        Observed {
            handed_out: events.len() as u64,
            events,
            by_stacks: self.by_stacks,
            end: Some(End::Finished),
        }
    }

    /// Less than all of it.
    pub(super) fn observe(&self, random: &mut Rng) -> Observed {
        let (lossy, vague, cut) = (random.bool(), random.bool(), random.u8(0..3) == 0);
        // Hidden accesses take no numbers.
        let mut numbers = vec![0];
        let mut seen = Vec::new();
        for (event, hidden) in &self.events {
            if !hidden {
                seen.push(*event);
            }
            numbers.push(if *hidden { 0 } else { seen.len() as u64 });
        }
        let mut events: Vec<_> = (1..).zip(seen).map(|(seq, event)| renumber(seq, event, &numbers)).collect();
        if vague {
            events.iter_mut().for_each(|event| blur(random, event));
        }
        let mut handed_out = events.len() as u64;
        if lossy {
            events.retain(|_| random.u8(0..6) > 0);
        }
        let mut end = Some(End::Finished);
        if cut {
            let left = random.usize(0..=events.len());
            events.truncate(left);
            handed_out = events.last().map_or(0, |event| event.seq);
            end = random.bool().then(|| End::Interrupted("Ctrl-C".to_owned()));
        }
        Observed { events, by_stacks: self.by_stacks, handed_out, end }
    }
}

/// What traces of a world tell.
fn capabilities(by_stacks: bool) -> Capabilities {
    let mut known = Capabilities::COMPLETE;
    if by_stacks {
        known.set(Capability::Handlers, Knowledge::Unknown);
    }
    known
}

/// The same event with another number, and its cause's.
fn renumber(seq: u64, event: Event, numbers: &[u64]) -> Event {
    let new = |old: u64| numbers[old as usize];
    let kind = match event.kind {
        EventKind::Change { function, region, offset, old, new: value, cause } => {
            EventKind::Change { function, region, offset, old, new: value, cause: new(cause) }
        }
        EventKind::Msi { function, index, address, data, delivered, cause } => {
            EventKind::Msi { function, index, address, data, delivered, cause: new(cause) }
        }
        other => other,
    };
    Event { seq, kind, ..event }
}

/// Makes less known of an event.
fn blur(random: &mut Rng, event: &mut Event) {
    let access = match &mut event.kind {
        EventKind::Access(access) => access,
        EventKind::Mark { process, .. } if random.bool() => {
            *process = 0;
            return;
        }
        _ => return,
    };
    match random.u8(0..9) {
        0 => {
            let known = KNOWN.walks.iter().find(|(announced, _)| *announced == access.walk);
            access.walk = known.map_or(0, |(_, inferred)| *inferred);
        }
        1 => access.walk = 0,
        // A program's access says that no handler runs, which one that was gathered doesn't.
        2 if access.cpl == 0 => access.coalesced = true,
        4 | 5 => {
            let known = KNOWN.stacks.iter().flatten().find(|known| known.whole == access.stack);
            let Some(known) = known else { return };
            access.stack = known.cut[random.usize(0..known.cut.len())];
        }
        6 => access.stack = 0,
        7 => access.instruction = 0,
        // Parts of instructions that were counted aren't failures of others.
        3 if access.instance == 0 => {
            let Target::Memory(gpa) = access.target else { return };
            event.kind = EventKind::NotEmulated {
                cpl: access.cpl,
                instruction: 0,
                walk: access.walk,
                route: access.route,
                gpa: Some(gpa),
                operand: MemoryOperand { reads: !access.write, writes: access.write, size: access.size },
                stack: access.stack,
            };
        }
        _ => {}
    }
}

fn random_kind(
    random: &mut Rng,
    seq: u64,
    (by_stacks, each_entry): (bool, bool),
    direct: &mut bool,
) -> (EventKind, bool) {
    let known = &*KNOWN;
    let function = known.lab;
    let cause = if seq > 1 && random.u8(0..3) > 0 { random.u64(1..seq) } else { 0 };
    match random.u8(0..20) {
        0..=7 => (EventKind::Access(random_access(random, by_stacks)), false),
        8 | 9 => {
            let (region, offset) = (Region::BAR0, [0, 8, 0x14][random.usize(0..3)]);
            let (old, new) = (random.u64(0..4), random.u64(0..4));
            (EventKind::Change { function, region, offset, old, new, cause }, true)
        }
        10 | 11 => {
            let index = random.u16(0..2);
            let (address, data) = (0xfee0_0000, 0x31 + u32::from(index));
            let delivered = random.u8(0..4) > 0;
            (EventKind::Msi { function, index, address, data, delivered, cause }, true)
        }
        12 | 13 if by_stacks => (EventKind::Access(random_access(random, by_stacks)), false),
        12 => (EventKind::IsrEnter { vector: 0x31 + random.u8(0..2) }, false),
        13 => (EventKind::IsrExit { vector: 0x31 + random.u8(0..2) }, false),
        14 | 15 => {
            let process = if each_entry { known.processes[random.usize(0..2)] } else { 0 };
            (EventKind::Mark { text: known.marks[random.usize(0..2)], process }, false)
        }
        16 => (EventKind::ScenarioBegin { name: known.scenarios[random.usize(0..2)] }, false),
        17 => (EventKind::ScenarioEnd { passed: true, summary: 0 }, false),
        18 if each_entry => {
            let (process, call) =
                (known.processes[random.usize(0..2)], random.bool().then(|| random.u64(0..2)));
            let what =
                if call.is_none() && random.bool() { Counted::FaultResolved } else { Counted::KernelEntries };
            (EventKind::Count { what, value: 1, address: 0, error_code: 0, rip: 0, process, call }, false)
        }
        18 => {
            let (what, value) = (Counted::KernelEntries, random.u64(0..3));
            (
                EventKind::Count { what, value, address: 0, error_code: 0, rip: 0, process: 0, call: None },
                false,
            )
        }
        _ if random.bool() => (EventKind::Map { mapping: known.mapping }, false),
        _ => {
            *direct = !*direct;
            let backing = if *direct { Backing::Direct } else { Backing::Trapped };
            (EventKind::Backing { route: known.bar2, backing, cause: 0 }, true)
        }
    }
}

fn random_access(random: &mut Rng, by_stacks: bool) -> AccessEvent {
    let known = &*KNOWN;
    let (route, base) = if random.u8(0..3) > 0 { (known.bar0, BAR0) } else { (known.bar2, BAR2) };
    let walk = random.usize(0..3);
    let stacks = match walk {
        0 if by_stacks && random.bool() => &known.stacks[2],
        0 => &known.stacks[1],
        _ => &known.stacks[0],
    };
    AccessEvent {
        instruction: known.codes[random.usize(0..2)],
        stack: stacks[random.usize(0..stacks.len())].whole,
        route,
        target: Target::Memory(base + [0, 8, 0x14][random.usize(0..3)]),
        write: random.bool(),
        size: 4,
        value: random.u64(0..4),
        cpl: if walk == 0 { 0 } else { 3 },
        walk: known.walks[walk].0,
        instance: random.u32(0..4),
        outcome: if random.u8(0..8) == 0 { Outcome::Width } else { Outcome::Ok },
        ..AccessEvent::default()
    }
}

impl Observed {
    pub(super) fn definitions(&self) -> &'static Definitions {
        &KNOWN.definitions
    }

    pub(super) fn views(&self) -> Vec<View> {
        let mut viewer = Viewer::knowing(&capabilities(self.by_stacks));
        self.events.iter().map(|event| viewer.view(&KNOWN.definitions, event)).collect()
    }

    pub(super) fn info(&self) -> TraceInfo<'_> {
        TraceInfo {
            path: FilePath::new("world"),
            definitions: &KNOWN.definitions,
            clock: Clock::Virtual,
            end: self.end.as_ref(),
            lost: self.handed_out - self.events.len() as u64,
            damage: &[],
            capabilities: capabilities(self.by_stacks),
            unknown_kinds: 0,
        }
    }
}

/// Each event's time, which never goes back.
pub(super) fn clock(views: &[View]) -> Vec<Timestamp> {
    let (mut device_ns, mut host_ns) = (0, 0);
    views
        .iter()
        .map(|view| {
            device_ns = view.device_ns.max(device_ns);
            host_ns = view.host_ns.max(host_ns);
            Timestamp { seq: view.seq, device_ns, host_ns }
        })
        .collect()
}
