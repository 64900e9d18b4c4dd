use barscope_device::DmaMemory;
use barscope_trace::event::Counted;
use barscope_trace::{Clock, Content, End, EventKind, Writer};
use barscope_x86::Registers;
use fastrand::Rng;

use super::record::{Fault, LONGEST};
use super::threads::Event;
use super::*;

const TRACEPOINTS: Tracepoints = Tracepoints { system_call: 300, page_fault: 0x1f5 };
/// Where the ring of CPU 0 is in memory; those of others follow. Memory has no paging.
const RING: u64 = 0x1_0000;
/// Pages of a ring: one, and those with records.
const PAGES: u64 = 3;
const SIZE: u64 = (PAGES - 1) << 12;

/// A guest's kernel as far as it writes to rings.
struct Kernel {
    memory: GuestMemory,
    told: Told,
    heads: Vec<u64>,
    time: u64,
}

impl Kernel {
    fn new(cpus: u8) -> Self {
        let memory = GuestMemory::new(1 << 20).unwrap();
        let ring = |cpu: u8| {
            let at = RING + u64::from(cpu) * (PAGES << 12);
            Ring::new(&memory, &Registers::default(), cpu, at, PAGES << 12).unwrap()
        };
        let told = Told::new((0..cpus).map(ring).collect(), TRACEPOINTS);
        Self { memory, told, heads: vec![0; usize::from(cpus)], time: 0 }
    }

    fn control(cpu: usize) -> u64 {
        RING + cpu as u64 * (PAGES << 12)
    }

    /// Writes bytes to a ring, around its end.
    fn write(&mut self, cpu: usize, bytes: &[u8]) {
        for byte in bytes {
            let at = Self::control(cpu) + 0x1000 + self.heads[cpu] % SIZE;
            self.memory.write(at, &[*byte]).unwrap();
            self.heads[cpu] += 1;
        }
        self.memory.write(Self::control(cpu) + 1024, &self.heads[cpu].to_le_bytes()).unwrap();
    }

    fn tail(&self, cpu: usize) -> u64 {
        let mut bytes = [0; 8];
        self.memory.read(Self::control(cpu) + 1032, &mut bytes).unwrap();
        u64::from_le_bytes(bytes)
    }

    fn record(&mut self, cpu: usize, kind: u32, body: &[u8]) {
        let size = 8 + body.len() as u16;
        let mut bytes = kind.to_le_bytes().to_vec();
        bytes.extend([2, 0]);
        bytes.extend(size.to_le_bytes());
        bytes.extend(body);
        self.write(cpu, &bytes);
    }

    fn sample(&mut self, cpu: usize, thread: (u32, u32), address: u64, raw: &[u8]) {
        self.time += 10;
        let mut body = 0x40_1000_u64.to_le_bytes().to_vec();
        body.extend(thread.0.to_le_bytes());
        body.extend(thread.1.to_le_bytes());
        body.extend(self.time.to_le_bytes());
        body.extend(address.to_le_bytes());
        body.extend((raw.len() as u32).to_le_bytes());
        body.extend(raw);
        self.record(cpu, 9, &body);
    }

    fn call(&mut self, cpu: usize, thread: (u32, u32), number: u64) {
        let mut raw = 300_u16.to_le_bytes().to_vec();
        raw.extend([0; 6]);
        raw.extend(number.to_le_bytes());
        raw.extend([0; 52]);
        self.sample(cpu, thread, 0, &raw);
    }

    fn fault(&mut self, cpu: usize, thread: (u32, u32), address: u64) {
        let mut raw = 0x1f5_u16.to_le_bytes().to_vec();
        raw.extend([0; 6]);
        for word in [address, 0x40_1000, 6] {
            raw.extend(word.to_le_bytes());
        }
        raw.extend([0; 4]);
        self.sample(cpu, thread, 0, &raw);
    }

    fn resolved(&mut self, cpu: usize, thread: (u32, u32), address: u64) {
        self.sample(cpu, thread, address, &[0; 4]);
    }

    /// A record that isn't a sample, with process, thread and time at its end.
    fn aside(&mut self, cpu: usize, kind: u32, thread: (u32, u32), words: &[u32]) {
        self.time += 10;
        let mut body: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        body.extend(thread.0.to_le_bytes());
        body.extend(thread.1.to_le_bytes());
        body.extend(self.time.to_le_bytes());
        self.record(cpu, kind, &body);
    }

    fn named(&mut self, cpu: usize, thread: (u32, u32), name: &[u8; 8]) {
        let [low, high] =
            [0, 4].map(|at| u32::from_le_bytes([name[at], name[at + 1], name[at + 2], name[at + 3]]));
        self.aside(cpu, 3, thread, &[thread.0, thread.1, low, high]);
    }

    fn forked(&mut self, cpu: usize, thread: (u32, u32), parent: (u32, u32)) {
        let time = [self.time as u32, 0];
        self.aside(cpu, 7, parent, &[thread.0, parent.0, thread.1, parent.1, time[0], time[1]]);
    }

    fn ended(&mut self, cpu: usize, thread: (u32, u32)) {
        self.aside(cpu, 4, thread, &[thread.0, 1, thread.1, 1, 0, 0]);
    }

    fn lost(&mut self, cpu: usize, count: u64) {
        let mut body = 7_u64.to_le_bytes().to_vec();
        body.extend(count.to_le_bytes());
        body.extend([0; 16]);
        self.record(cpu, 2, &body);
    }

    /// What is taken now: CPU, process, thread and what it is.
    fn taken(&mut self) -> (Vec<(u8, u32, u32, What)>, bool) {
        let Taken { records, incomplete } = self.told.take(&self.memory);
        let all = records.into_iter().map(|(cpu, record)| (cpu, record.process, record.thread, record.what));
        (all.collect(), incomplete)
    }
}

/// What becomes of records, as it is recorded.
fn events(kernel: &mut Kernel) -> Vec<(u32, Event)> {
    let Taken { records, .. } = kernel.told.take(&kernel.memory);
    let mut events = Vec::new();
    for (_, record) in records {
        let of_thread = kernel.told.threads.take(&record);
        events.extend(of_thread.into_iter().flatten().map(|event| (record.thread, event)));
    }
    events
}

const TEST: (u32, u32) = (85, 85);
const FAULT: Fault = Fault { address: 0x7f00_0000_1000, rip: 0x40_1000, error_code: 6 };

#[test]
fn what_the_kernel_wrote_is_taken_once_and_its_room_given_back() {
    let mut kernel = Kernel::new(1);
    kernel.call(0, TEST, 39);
    kernel.fault(0, (85, 86), FAULT.address);
    let expected = vec![(0, 85, 85, What::SystemCall { number: 39 }), (0, 85, 86, What::Fault(FAULT))];
    assert_eq!(kernel.taken(), (expected, false));
    assert_eq!(kernel.tail(0), 112 + 80);
    assert_eq!(kernel.taken(), (vec![], false));
    // Some hundred times around.
    for number in 0..10_000 {
        kernel.call(0, TEST, number);
        assert_eq!(kernel.taken(), (vec![(0, 85, 85, What::SystemCall { number: number as u32 })], false));
    }
}

#[test]
fn records_of_several_cpus_come_in_the_order_of_their_times() {
    let mut kernel = Kernel::new(2);
    kernel.forked(0, TEST, (1, 1));
    kernel.named(1, TEST, b"test\0\0\0\0");
    kernel.call(1, TEST, 1);
    kernel.call(0, TEST, 2);
    kernel.ended(1, TEST);
    let (taken, incomplete) = kernel.taken();
    let expected = [
        (0, 85, 85, What::Forked { parent: 1 }),
        (1, 85, 85, What::Named("test".to_owned())),
        (1, 85, 85, What::SystemCall { number: 1 }),
        (0, 85, 85, What::SystemCall { number: 2 }),
        (1, 85, 85, What::Ended),
    ];
    assert_eq!((&taken[..], incomplete), (&expected[..], false));
}

#[test]
fn a_fault_is_an_entry_and_then_resolved_or_fatal() {
    let mut kernel = Kernel::new(1);
    kernel.fault(0, TEST, FAULT.address);
    kernel.resolved(0, TEST, FAULT.address);
    // One of another thread in between, and one that gives a signal, whose handler returns.
    kernel.fault(0, TEST, FAULT.address);
    kernel.call(0, (85, 86), 24);
    kernel.call(0, TEST, 15);
    // One that stops the program.
    kernel.fault(0, TEST, FAULT.address);
    kernel.ended(0, TEST);
    // What resolved nothing that was seen.
    kernel.resolved(0, TEST, FAULT.address);
    let expected = [
        (85, Event::Fault(FAULT)),
        (85, Event::Resolved(FAULT)),
        (85, Event::Fault(FAULT)),
        (86, Event::SystemCall { number: 24 }),
        (85, Event::Fatal(FAULT)),
        (85, Event::SystemCall { number: 15 }),
        (85, Event::Fault(FAULT)),
        (85, Event::Fatal(FAULT)),
    ];
    assert_eq!(events(&mut kernel), expected);
    let kinds = [Event::SystemCall { number: 39 }, Event::Fatal(FAULT)].map(|event| event.kind(7));
    let call = EventKind::Count {
        what: Counted::KernelEntries,
        value: 1,
        address: 0,
        error_code: 0,
        rip: 0,
        process: 7,
        call: Some(39),
    };
    let fatal = EventKind::Count {
        what: Counted::FaultFatal,
        value: 1,
        address: 0x7f00_0000_1000,
        error_code: 6,
        rip: 0x40_1000,
        process: 7,
        call: None,
    };
    assert_eq!(kinds, [call, fatal]);
}

#[test]
fn threads_have_the_name_of_their_maker_until_they_have_their_own() {
    let mut kernel = Kernel::new(1);
    kernel.forked(0, TEST, (1, 1));
    kernel.named(0, TEST, b"test\0\0\0\0");
    kernel.forked(0, (85, 86), TEST);
    kernel.forked(0, (90, 90), (1, 1));
    kernel.named(0, (85, 87), b"worker\0\0");
    assert!(events(&mut kernel).is_empty());
    let names = [85, 86, 90, 87].map(|thread| kernel.told.threads.known(thread).0.to_owned());
    assert_eq!(names, ["test", "test", "init", "worker"]);
}

#[test]
fn what_may_be_missing_is_told() {
    let lost = |kernel: &mut Kernel| kernel.taken().0.iter().any(|(.., what)| matches!(what, What::Lost(_)));
    let mut kernel = Kernel::new(1);
    kernel.lost(0, 12);
    assert!(lost(&mut kernel));
    kernel.record(0, 5, &[0; 24]);
    assert!(lost(&mut kernel), "the kernel kept itself from writing");
    // No room for one more: the kernel has lost some perhaps, and had no room to say so.
    let mut kernel = Kernel::new(1);
    while kernel.heads[0] + 112 <= SIZE {
        kernel.call(0, TEST, 0);
    }
    let (taken, incomplete) = kernel.taken();
    assert_eq!((taken.len(), incomplete), (73, true));
    kernel.call(0, TEST, 0);
    assert!(!kernel.taken().1);
    // More than a ring holds, and less than nothing.
    for head in [u64::MAX, SIZE * 3, 0] {
        kernel.memory.write(RING + 1024, &head.to_le_bytes()).unwrap();
        assert!(kernel.taken().1, "{head:#x}");
    }
}

#[test]
fn only_rings_are_rings() {
    let memory = GuestMemory::new(1 << 20).unwrap();
    let ring = |address, length| Ring::new(&memory, &Registers::default(), 0, address, length).is_some();
    assert!(ring(RING, 0x2000) && ring(RING, 0x3000) && ring(RING, 0x5000));
    for (address, length) in [
        (RING, 0),
        (RING, 0x1000),
        (RING, 0x4000),
        (RING, 0x3001),
        (RING + 8, 0x3000),
        (RING, barscope_guest_abi::MAX_RING + 0x1000),
        (u64::MAX - 0xfff, 0x3000),
        (RING, u64::MAX),
    ] {
        assert!(!ring(address, length), "{address:#x} {length:#x}");
    }
}

/// Whatever a guest writes to its rings, reading them ends, and gives no more than they hold.
#[test]
fn any_bytes_are_read_in_bounds() {
    let seed = 0x5eed_0012;
    let mut random = Rng::with_seed(seed);
    let mut kernel = Kernel::new(2);
    for round in 0..5_000 {
        for cpu in 0..2 {
            let length = random.usize(0..400);
            let mut bytes: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
            // Mostly headers that make some sense.
            for at in (0..length.saturating_sub(LONGEST)).step_by(8) {
                if random.u8(0..4) > 0 {
                    let kind = [2, 3, 4, 5, 7, 9, 9, 9][random.usize(0..8)];
                    bytes[at..at + 4].copy_from_slice(&u32::to_le_bytes(kind));
                    bytes[at + 6..at + 8].copy_from_slice(&u16::to_le_bytes(8 * random.u16(0..40)));
                }
            }
            kernel.write(cpu, &bytes);
            if random.u8(0..50) == 0 {
                kernel.heads[cpu] = random.u64(..) & !7;
                kernel.memory.write(Kernel::control(cpu) + 1024, &kernel.heads[cpu].to_le_bytes()).unwrap();
            }
        }
        let Taken { records, .. } = kernel.told.take(&kernel.memory);
        assert!(records.len() as u64 <= 4 * SIZE / 8, "round {round} of seed {seed:#x}");
        for (_, record) in records {
            kernel.told.threads.take(&record);
        }
    }
}

#[test]
fn our_first_process_is_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t");
    let writer = Writer::create(&path, Clock::Host).unwrap();
    let interned = SharedInterned::new(crate::interned::Interned::new(&writer, crate::StackDepth::Full));
    let mut kernel = Kernel::new(1);
    kernel.call(0, (1, 1), 61);
    kernel.call(0, (1, 3), 7);
    kernel.call(0, TEST, 39);
    let mut recorded = Vec::new();
    let entries = Entries::default();
    entries.begin(kernel.told);
    let outcome = entries.collect_to(&kernel.memory, &interned, |cpu, kind| {
        recorded.push((cpu, kind));
        Ok(())
    });
    assert!(matches!(outcome, Ok(false)));
    let [(0, EventKind::Count { call: Some(39), process, .. })] = recorded[..] else {
        panic!("{recorded:?}")
    };
    writer.finish(End::Finished).unwrap();
    let trace = Content::open(&path).unwrap();
    let process = trace.definitions().process(process).unwrap();
    assert_eq!((process.pid, process.name.as_str(), process.thread), (85, "init", None));
}
