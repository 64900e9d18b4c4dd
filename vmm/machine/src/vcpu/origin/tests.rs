//! Accesses of two vCPUs whose ids are at hand, held against two that look every one up.

use barscope_trace::definition::{self, Path};
use barscope_trace::{Clock, Writer};
use barscope_x86::Segment;
use object::write::{Object as File, StandardSection, Symbol, SymbolSection};
use object::{Architecture, BinaryFormat, Endianness, SymbolFlags, SymbolKind, SymbolScope};
use proptest::prelude::*;
use vm_memory::{Bytes, GuestAddress};

use super::*;
use crate::interned::{Interned, StackDepth};
use crate::kernel_symbols::{KernelSymbols, Spaces};

const MEMORY: u64 = 4 << 20;
/// Tables of two address spaces: each has its own top level, and all lower ones are shared.
const SPACES: [u64; 2] = [0x1000, 0x2000];
const MIDDLE: u64 = 0x3000;
const LOW: u64 = 0x4000;
const LEAVES: u64 = 0x5000;
/// Where Linux has modules: the last GiB but one, which the same tables map.
const HIGH: u64 = 0xffff_ffff_c000_0000;
/// Page numbers of the 2 MiB that the leaves map.
const CODE_PAGE: u64 = 0;
const LIST_PAGE: u64 = 1;
const DEVICE_PAGES: [u64; 3] = [16, 17, 18];
const CODE: u64 = 0x10_0000;
const LIST: u64 = 0x11_0000;
const BAR: u64 = 0xfe00_0000;
/// The list of modules begins here.
const HEAD: u64 = LIST_PAGE << 12;
const MODULES: [u64; 2] = [HEAD + 0x200, HEAD + 0x400];

/// `mov eax, [rdi]`, `mov [rdi], eax`, `add [rdi], eax`, each for 4 bytes; a read and a write by DX.
const READ: [u8; 2] = [0x8b, 0x07];
const WRITE: [u8; 2] = [0x89, 0x07];
const CHANGE: [u8; 2] = [0x01, 0x07];
const IN: [u8; 2] = [0x90, 0xed];
const OUT: [u8; 2] = [0x90, 0xef];
const ENCODINGS: [[u8; 2]; 5] = [READ, WRITE, CHANGE, IN, OUT];
/// Where instructions are, in the page of code.
const SITES: [u64; 3] = [0x100, 0x140, 0x180];

#[derive(Clone, Debug)]
enum Step {
    /// A vCPU executes what is at a site, in an address space, its code low or high, and its operand in a page.
    Access {
        vcpu: usize,
        space: usize,
        high: bool,
        ring: u8,
        site: usize,
        page: usize,
    },
    /// Other code at a site.
    Patch {
        site: usize,
        encoding: usize,
    },
    /// The leaf of a page has these flags besides, and leads to this page of the BAR.
    Remap {
        page: usize,
        flags: u64,
        to: u64,
    },
    /// A vCPU's memory types.
    Pat {
        vcpu: usize,
        value: u64,
    },
    Map {
        number: u64,
        space: Option<usize>,
        page: usize,
    },
    Unmap {
        number: u64,
    },
    Process {
        space: usize,
        pid: u64,
    },
    /// A program, or the kernel's part, with one function at a site.
    Image {
        space: Option<usize>,
        high: bool,
        site: usize,
    },
    /// The kernel says where its list of modules is, and its spaces.
    Symbols {
        ioremap: u64,
    },
    /// The guest tells of a module, with one function at a site.
    Module {
        name: u8,
        site: usize,
    },
    /// The list holds these modules.
    Link {
        modules: Vec<bool>,
        name: u8,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let access =
        (0_usize..2, 0_usize..2, any::<bool>(), prop_oneof![Just(0_u8), Just(3)], 0_usize..3, 0_usize..3);
    let access = access.prop_map(|(vcpu, space, high, ring, site, page)| Step::Access {
        vcpu,
        space,
        high,
        ring,
        site,
        page,
    });
    let flags = prop::sample::select(vec![0, 0x20, 0x40, 0x60, 1 << 3, 1 << 4]);
    let change = prop_oneof![
        2 => (0_usize..3, 0_usize..5).prop_map(|(site, encoding)| Step::Patch { site, encoding }),
        3 => (0_usize..3, flags, 0_u64..3).prop_map(|(page, flags, to)| Step::Remap { page, flags, to }),
        1 => (0_usize..2, prop::sample::select(vec![0x0007_0406_0007_0406, 0x0407_0506_0007_0106]))
            .prop_map(|(vcpu, value)| Step::Pat { vcpu, value }),
        2 => (0_u64..3, prop::option::of(0_usize..2), 0_usize..3)
            .prop_map(|(number, space, page)| Step::Map { number, space, page }),
        1 => (0_u64..3).prop_map(|number| Step::Unmap { number }),
        1 => (0_usize..2, 0_u64..3).prop_map(|(space, pid)| Step::Process { space, pid }),
        2 => (prop::option::of(0_usize..2), any::<bool>(), 0_usize..3)
            .prop_map(|(space, high, site)| Step::Image { space, high, site }),
        1 => (0_u64..2).prop_map(|ioremap| Step::Symbols { ioremap: ioremap << 47 }),
        3 => (0_u8..2, 0_usize..3).prop_map(|(name, site)| Step::Module { name, site }),
        4 => (prop::collection::vec(any::<bool>(), 2), 0_u8..2).prop_map(|(modules, name)| Step::Link { modules, name }),
    ];
    prop::collection::vec(prop_oneof![3 => access, 1 => change], 1..150)
}

/// Two vCPUs and the definitions that they share.
struct Machine {
    trackers: [Tracker; 2],
    interned: SharedInterned,
    _trace: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let writer = Writer::create(&folder.path().join("trace"), Clock::Virtual).unwrap();
        let types = MemoryTypes::at_boot(48, &[0xe000_0000..=0xffff_ffff]);
        Self {
            trackers: [Tracker::new(0, types.clone()), Tracker::new(1, types)],
            interned: SharedInterned::new(Interned::new(&writer, StackDepth::Off)),
            _trace: folder,
        }
    }

    fn change(&mut self, memory: &GuestMemory, step: &Step) {
        let mut interned = self.interned.lock();
        match step {
            Step::Pat { vcpu, value } => {
                self.trackers[*vcpu].write_msr(barscope_x86::memory_type::MSR_PAT, *value);
            }
            Step::Map { number, space, page } => {
                let mapping = definition::Mapping {
                    path: Path::Sysfs,
                    virtual_address: DEVICE_PAGES[*page] << 12,
                    physical_address: BAR,
                    length: 0x1000,
                    address_space: space.map(|space| SPACES[space]),
                    announced: true,
                    on_fault: false,
                    who: number.to_string(),
                    call: String::new(),
                    of: None,
                };
                interned.address_spaces.map(*number, mapping).unwrap();
            }
            Step::Unmap { number } => drop(interned.address_spaces.unmap(*number)),
            Step::Process { space, pid } => {
                let address_space = SPACES[*space];
                let name = "program".to_owned();
                interned
                    .process(definition::Process { pid: *pid, thread: None, name, address_space })
                    .unwrap();
            }
            Step::Image { space, high, site } => {
                let image = definition::Image::new("image", space.map(|space| SPACES[space]));
                interned.code.image(image, &elf(code(*high, *site))).unwrap();
            }
            Step::Symbols { ioremap } => {
                let lines = format!("{:016x} D modules\n{:016x} T other\n", HIGH + HEAD, HIGH + 0x8_0000);
                let spaces = Spaces { direct_map: 0..*ioremap, ioremap: *ioremap..u64::MAX };
                interned.kernel_symbols(&KernelSymbols::parse(lines.as_bytes()), spaces).unwrap();
            }
            Step::Module { name, site } => {
                let registers = registers(0, 0);
                let read =
                    |address, data: &mut [u8]| read_virtual(memory, &registers, address, data) == data.len();
                let name = char::from(b'a' + name).to_string();
                interned.code.module(&read, &name, &elf(code(true, *site))).unwrap();
            }
            Step::Access { .. } | Step::Patch { .. } | Step::Remap { .. } | Step::Link { .. } => {}
        }
    }
}

/// Virtual address of a site.
fn code(high: bool, site: usize) -> u64 {
    (if high { HIGH } else { 0 }) + (CODE_PAGE << 12) + SITES[site]
}

/// An ELF file with one function there.
fn elf(address: u64) -> Vec<u8> {
    let mut file = File::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let text = file.section_id(StandardSection::Text);
    file.add_symbol(Symbol {
        name: b"function".to_vec(),
        value: address,
        size: 0x20,
        kind: SymbolKind::Text,
        scope: SymbolScope::Linkage,
        weak: false,
        section: SymbolSection::Section(text),
        flags: SymbolFlags::None,
    });
    file.write().unwrap()
}

fn set(memory: &GuestMemory, address: u64, word: u64) {
    memory.regions().write_obj(word, GuestAddress(address)).unwrap();
}

/// Guest memory as both machines begin with it.
fn memory() -> GuestMemory {
    const TABLE: u64 = 7;
    let memory = GuestMemory::new(MEMORY).unwrap();
    for top in SPACES {
        set(&memory, top, MIDDLE | TABLE);
        set(&memory, top + 8 * 511, MIDDLE | TABLE);
    }
    set(&memory, MIDDLE, LOW | TABLE);
    set(&memory, MIDDLE + 8 * 511, LOW | TABLE);
    set(&memory, LOW, LEAVES | TABLE);
    set(&memory, LEAVES + 8 * CODE_PAGE, CODE | TABLE);
    set(&memory, LEAVES + 8 * LIST_PAGE, LIST | TABLE);
    for (page, to) in DEVICE_PAGES.into_iter().zip(0..) {
        set(&memory, LEAVES + 8 * page, (BAR + (to << 12)) | TABLE);
    }
    for (site, encoding) in SITES.into_iter().zip(ENCODINGS) {
        memory.regions().write_slice(&encoding, GuestAddress(CODE + site)).unwrap();
    }
    memory
}

/// What a step changes in guest memory.
fn change_memory(memory: &GuestMemory, step: &Step) {
    match step {
        Step::Patch { site, encoding } => {
            memory.regions().write_slice(&ENCODINGS[*encoding], GuestAddress(CODE + SITES[*site])).unwrap();
        }
        Step::Remap { page, flags, to } => {
            set(memory, LEAVES + 8 * DEVICE_PAGES[*page], (BAR + (to << 12)) | 7 | flags);
        }
        Step::Link { modules, name } => {
            let linked =
                MODULES.iter().zip(modules).filter(|(_, linked)| **linked).map(|(module, _)| module + 8);
            let ring: Vec<u64> = std::iter::once(HEAD).chain(linked).collect();
            let physical = |address: u64| LIST + (address & 0xfff);
            for (at, entry) in ring.iter().enumerate() {
                set(memory, physical(*entry), HIGH + ring[(at + 1) % ring.len()]);
                set(memory, physical(*entry) + 8, HIGH + ring[(at + ring.len() - 1) % ring.len()]);
            }
            for module in MODULES {
                set(memory, physical(module) + 24, u64::from(b'a' + name));
            }
        }
        _ => {}
    }
}

/// Those of 64-bit code in an address space.
fn registers(space: usize, ring: u8) -> Registers {
    let segment = Segment { dpl: ring, l: true, ..Segment::default() };
    Registers {
        cr0: 0x8000_0001,
        cr3: SPACES[space],
        cr4: 0x20,
        efer: 0x500,
        cs: segment,
        ss: segment,
        ..Registers::default()
    }
}

/// The exits of one instruction, each with the registers then.
fn exits(memory: &GuestMemory, step: &Step) -> Vec<(Registers, Option<MemoryExit>, bool)> {
    let Step::Access { space, high, ring, site, page, .. } = *step else { return Vec::new() };
    let mut encoding = [0; 2];
    memory.regions().read_slice(&mut encoding, GuestAddress(CODE + SITES[site])).unwrap();
    let rip = code(high, site);
    let at = Registers { rip, rax: 5, rdi: DEVICE_PAGES[page] << 12, ..registers(space, ring) };
    let past = Registers { rip: rip + 2, ..at };
    let leaf = u64::from_le_bytes({
        let mut leaf = [0; 8];
        memory.regions().read_slice(&mut leaf, GuestAddress(LEAVES + 8 * DEVICE_PAGES[page])).unwrap();
        leaf
    });
    let exit = |written| Some(MemoryExit { address: leaf & !0xfff, size: 4, written });
    match encoding {
        READ => vec![(at, exit(None), false)],
        WRITE => vec![(past, exit(Some(5)), true)],
        CHANGE => vec![(at, exit(None), false), (past, exit(Some(9)), true)],
        IN => vec![(Registers { rip: rip + 1, ..at }, None, false)],
        _ => vec![(past, None, true)],
    }
}

proptest! {
    /// Whatever changes between accesses: who knows ids from before has those that looking them up would give, and both
    /// traces have the same definitions.
    #[test]
    fn ids_at_hand_are_those_that_would_be_looked_up(steps in steps()) {
        let memory = memory();
        let (mut fast, mut slow) = (Machine::new(), Machine::new());
        // Most of what there is to see begins with a list of modules.
        let begin = [Step::Symbols { ioremap: 0 }, Step::Link { modules: vec![true, true], name: 0 }];
        for step in begin.into_iter().chain(steps) {
            change_memory(&memory, &step);
            fast.change(&memory, &step);
            slow.change(&memory, &step);
            for (registers, exit, write) in exits(&memory, &step) {
                let Step::Access { vcpu, .. } = step else { continue };
                let (quick, careful) = (&mut fast.trackers[vcpu], &mut slow.trackers[vcpu]);
                let (found, expected) = match exit {
                    Some(exit) => {
                        let found = quick.memory(&memory, &fast.interned, &registers, &exit).unwrap();
                        let expected = match careful.instances.second_half(&registers, &exit) {
                            Some(origin) => origin,
                            None => careful.looked_up(&memory, &slow.interned, &registers, &exit, 0).unwrap(),
                        };
                        prop_assert!(expected.walk != 0 && expected.instruction != 0);
                        (found, expected)
                    }
                    None => {
                        let found = quick.port(&memory, &fast.interned, &registers, write).unwrap();
                        careful.locator = Locator::default();
                        (found, careful.port(&memory, &slow.interned, &registers, write).unwrap())
                    }
                };
                prop_assert_eq!(format!("{found:?}"), format!("{expected:?}"));
            }
        }
    }
}

/// With nothing else going on, the second access of an instruction to a page takes no lock.
#[test]
fn what_is_known_is_found_while_the_definitions_are_locked() {
    let memory = memory();
    let mut machine = Machine::new();
    let access = Step::Access { vcpu: 0, space: 0, high: true, ring: 0, site: 0, page: 0 };
    let [(registers, Some(exit), _)] = exits(&memory, &access)[..] else { panic!("one exit of `mov`") };
    let tracker = &mut machine.trackers[0];
    let first = tracker.memory(&memory, &machine.interned, &registers, &exit).unwrap();
    let locked = machine.interned.lock();
    let second = tracker.known(&memory, &machine.interned, &registers, &exit, 0).unwrap();
    assert_eq!((second.walk, second.instruction), (first.walk, first.instruction));
    drop(locked);
    machine.change(&memory, &Step::Unmap { number: 1 });
    assert!(machine.trackers[0].known(&memory, &machine.interned, &registers, &exit, 0).is_none());
}
