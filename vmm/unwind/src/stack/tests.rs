use std::collections::HashMap;

use super::*;
use crate::fixture::{Memory, Types, orc_table, registers};

const CODE: u64 = 0xffff_ffff_8100_0000;
const PLACES: u64 = 0xffff_ffff_8300_0000;
const ENTRIES: u64 = 0xffff_ffff_8310_0000;
const BTF: u64 = 0xffff_ffff_8320_0000;
const MODULES: u64 = 0xffff_ffff_8330_0000;
const STACK: u64 = 0xffff_c900_0001_0000;
const OTHER_STACK: u64 = 0xffff_c900_0002_0000;
const PROGRAM_STACK: u64 = 0x7ffc_0000_0000;

/// Where each function of the kernel is: 256 bytes each.
const ACCESSOR: u64 = CODE;
const DRIVER: u64 = CODE + 0x100;
const CALL: u64 = CODE + 0x200;
const SYSTEM_CALL: u64 = CODE + 0x300;
const INTERRUPT: u64 = CODE + 0x400;
const ON_OTHER_STACK: u64 = CODE + 0x500;
const FAULT: u64 = CODE + 0x600;
const FIRST: u64 = CODE + 0x700;
const BY_FRAME_POINTER: u64 = CODE + 0x800;
const BY_R10: u64 = CODE + 0x900;

/// Entries as of 6.1: offset from the stack pointer, base registers, kind.
const fn entry(offset: u8, bases: u8, kind: u8) -> [u8; 6] {
    [offset, 0, 0xf0, 0xff, bases, kind]
}

struct Guest {
    memory: Memory,
    registers: Registers,
    kernel: Kernel,
}

impl Guest {
    fn new() -> Self {
        let mut memory = Memory::default();
        let table = [
            (ACCESSOR, entry(8, 0x05, 0)),
            (DRIVER, entry(16, 0x15, 0)),
            (CALL, entry(8, 0x05, 0)),
            (SYSTEM_CALL, entry(0, 0x05, 1)),
            (INTERRUPT, entry(0, 0x05, 1)),
            (ON_OTHER_STACK, entry(8, 0x09, 0)),
            (FAULT, entry(0, 0x05, 2)),
            (FIRST, entry(0, 0x00, 4)),
            (BY_FRAME_POINTER, entry(16, 0x14, 0)),
            (BY_R10, entry(0, 0x06, 0)),
            (CODE + 0xa00, entry(0, 0, 0)),
        ];
        orc_table(&mut memory, (PLACES, ENTRIES), &table);
        let mut types = Types::new();
        crate::orc::tests::types_6_1(&mut types);
        let long = types.integer(8);
        let task = ["tasks", "mm", "pid", "tgid", "comm"].map(|name| (name, long, 0));
        types.structure("task_struct", 64, &task);
        types.structure("mm_struct", 64, &[("pgd", long, 0)]);
        let arch = ["num_orcs", "orc_unwind_ip", "orc_unwind"].map(|name| (name, long, 0));
        let arch = types.structure("mod_arch_specific", 24, &arch);
        let layout = types.structure("module_layout", 16, &[("base", long, 0), ("size", long, 8)]);
        let members = [
            ("list", long, 8),
            ("name", long, 24),
            ("arch", arch, 0),
            ("core_layout", layout, 0),
            ("init_layout", layout, 0),
        ];
        types.structure("module", 64, &members);
        let types = types.bytes();
        memory.put(BTF, &types);
        memory.words(MODULES, &[MODULES, MODULES]);
        let symbols: HashMap<&str, u64> = HashMap::from([
            ("__start_BTF", BTF),
            ("__stop_BTF", BTF + types.len() as u64),
            ("__start_orc_unwind", ENTRIES),
            ("__stop_orc_unwind", ENTRIES + 6 * table.len() as u64),
            ("__start_orc_unwind_ip", PLACES),
            ("__stop_orc_unwind_ip", PLACES + 4 * table.len() as u64),
            ("_stext", CODE),
            ("_einittext", CODE + 0xb00),
            ("modules", MODULES),
            ("current_task", 8),
            ("init_task", CODE),
            ("__per_cpu_offset", CODE),
            ("entry_SYSCALL_64_after_hwframe", SYSTEM_CALL),
            ("asm_common_interrupt", INTERRUPT),
            ("asm_exc_page_fault", FAULT),
        ]);
        let mut registers = registers();
        (registers.rip, registers.rsp, registers.cr3) = (ACCESSOR + 8, STACK, 0x5000);
        let kernel = Kernel::read(&Space::new(&memory, &registers), &symbols).unwrap();
        Self { memory, registers, kernel }
    }

    fn followed(&self) -> Followed {
        self.followed_to(usize::MAX)
    }

    fn followed_to(&self, most: usize) -> Followed {
        let space = Space::new(&self.memory, &self.registers);
        Unwinder::default().follow(Some(&self.kernel), &mut Program::default(), &space, most)
    }

    /// Saves registers at `address`: where to go on, whether in a program, and the number of a system call.
    fn save(&mut self, address: u64, (ip, sp, bp): (u64, u64, u64), is_program: bool, number: i64) {
        self.memory.words(address + 32, &[bp]);
        self.memory
            .words(address + 120, &[number as u64, ip, if is_program { 0x33 } else { 0x10 }, 0x202, sp]);
    }
}

fn shown(followed: &Followed) -> Vec<(Entered, u64)> {
    followed.frames.iter().map(|frame| (frame.how, frame.address)).collect()
}

#[test]
fn calls_lead_over_a_system_call_into_the_program_which_goes_by_frame_pointers() {
    let mut guest = Guest::new();
    // The driver keeps the frame pointer below its return address.
    guest.memory.words(STACK, &[DRIVER + 0x10, 0x1234, CALL + 0x20, SYSTEM_CALL + 0x30]);
    guest.save(STACK + 32, (0x40_1000, PROGRAM_STACK, PROGRAM_STACK + 0x20), true, 16);
    guest.memory.words(PROGRAM_STACK + 0x20, &[PROGRAM_STACK + 0x40, 0x40_2000]);
    guest.memory.words(PROGRAM_STACK + 0x40, &[0, 0x40_3000]);

    let followed = guest.followed();

    let kernel =
        [(Entered::Call, DRIVER + 0x10), (Entered::Call, CALL + 0x20), (Entered::Call, SYSTEM_CALL + 0x30)];
    assert_eq!(shown(&followed)[..3], kernel);
    assert_eq!(shown(&followed)[3], (Entered::SystemCall { number: 16 }, 0x40_1000));
    assert_eq!([0, 3].map(|index| followed.frames[index].cr3), [0, 0x5000]);
    // With paging off no page is a program's.
    assert_eq!((followed.frames.len(), followed.cut), (4, Some(Cut::NoTable)));
    assert_eq!(followed.depends, Depends::Nothing);
}

#[test]
fn an_interrupt_s_own_stack_leads_back_to_the_one_that_it_interrupted() {
    let mut guest = Guest::new();
    guest.registers.rsp = OTHER_STACK;
    guest.memory.words(OTHER_STACK, &[ON_OTHER_STACK + 0x10, STACK]);
    guest.memory.words(STACK, &[INTERRUPT + 0x20]);
    guest.save(STACK + 8, (CALL + 0x80, STACK + 0x200, 0x77), false, -1);
    guest.memory.words(STACK + 0x200, &[FIRST + 4]);

    let followed = guest.followed();

    let expected = [
        (Entered::Call, ON_OTHER_STACK + 0x10),
        (Entered::Call, INTERRUPT + 0x20),
        (Entered::Interrupt, CALL + 0x80),
        (Entered::Call, FIRST + 4),
    ];
    assert_eq!(shown(&followed), expected);
    assert_eq!(followed.cut, None, "a thread's first function");
}

#[test]
fn an_exception_saves_only_what_the_processor_does() {
    let mut guest = Guest::new();
    guest.memory.words(STACK, &[FAULT + 0x10]);
    guest.memory.words(STACK + 8, &[0x40_1000, 0x33, 0x202, PROGRAM_STACK]);

    let followed = guest.followed();

    assert_eq!(shown(&followed), [(Entered::Call, FAULT + 0x10), (Entered::Exception, 0x40_1000)]);
}

#[test]
fn a_frame_pointer_that_was_followed_is_part_of_what_the_stack_depends_on() {
    let mut guest = Guest::new();
    (guest.registers.rip, guest.registers.rbp) = (BY_FRAME_POINTER + 8, STACK + 0x100);
    guest.memory.words(STACK + 0x100, &[0x99, FIRST + 4]);

    let followed = guest.followed();

    assert_eq!(shown(&followed), [(Entered::Call, FIRST + 4)]);
    assert_eq!((followed.cut, followed.depends), (None, Depends::Rbp));
    // Saved by a function further in, it is a word in memory.
    let mut guest = Guest::new();
    guest.registers.rip = DRIVER + 8;
    guest.memory.words(STACK, &[STACK + 0x100, BY_FRAME_POINTER + 0x10]);
    guest.memory.words(STACK + 0x100, &[0x99, FIRST + 4]);
    let followed = guest.followed();
    assert_eq!(shown(&followed), [(Entered::Call, BY_FRAME_POINTER + 0x10), (Entered::Call, FIRST + 4)]);
    assert!(followed.depends == Depends::Nothing && followed.loads.contains(&(STACK, STACK + 0x100)));
}

#[test]
fn other_registers_are_those_of_the_vcpu_until_a_call_is_left() {
    let mut guest = Guest::new();
    (guest.registers.rip, guest.registers.r10) = (BY_R10 + 8, STACK + 0x40);
    guest.memory.words(STACK + 0x38, &[FIRST + 4]);
    assert_eq!((guest.followed().frames.len(), guest.followed().depends), (1, Depends::More));
    guest.registers.rip = ACCESSOR;
    guest.memory.words(STACK, &[BY_R10 + 8]);
    let followed = guest.followed();
    assert_eq!((followed.frames.len(), followed.cut), (1, Some(Cut::NoTable)));
}

#[test]
fn a_stack_that_leads_nowhere_says_why() {
    let guest = Guest::new();
    assert_eq!(guest.followed().cut, Some(Cut::NotMapped));
    let mut guest = Guest::new();
    guest.memory.words(STACK, &[0x40_0000]);
    assert_eq!(guest.followed().cut, Some(Cut::NoTable), "a call from a program");
    guest.registers.rip = CODE - 1;
    assert_eq!(guest.followed().cut, Some(Cut::NoTable));
}

#[test]
fn no_stack_is_followed_further_than_asked_or_than_64_frames() {
    let mut guest = Guest::new();
    guest.memory.words(STACK, &[ACCESSOR + 4; 100]);
    assert_eq!((guest.followed().frames.len(), guest.followed().cut), (64, Some(Cut::Deep)));
    let caller = guest.followed_to(8);
    assert_eq!((caller.frames.len(), caller.cut), (8, Some(Cut::Asked)));
}

#[test]
fn a_stack_that_interrupts_itself_for_ever_ends() {
    let mut guest = Guest::new();
    guest.registers.rip = INTERRUPT;
    guest.save(STACK, (INTERRUPT, STACK, 0), false, -1);
    assert_eq!((guest.followed().frames.len(), guest.followed().cut), (1, Some(Cut::NoTable)));
}

#[test]
fn without_a_kernel_that_says_how_there_is_no_stack_of_it() {
    let guest = Guest::new();
    let space = Space::new(&guest.memory, &guest.registers);
    let followed = Unwinder::default().follow(None, &mut Program::default(), &space, 64);
    assert_eq!((followed.frames.len(), followed.cut), (0, Some(Cut::NoTable)));
}

#[test]
fn whatever_memory_holds_a_stack_ends() {
    let mut random = 0x1234_5678_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut guest = Guest::new();
    for _ in 0..3_000 {
        // Words that look like places, stacks and offsets, and others.
        let words: Vec<u64> = (0..64)
            .map(|_| match next() % 4 {
                0 => CODE + next() % 0xb00,
                1 => (STACK + next() % 0x200) & !7,
                2 => next() % 0x200,
                _ => next(),
            })
            .collect();
        guest.memory.words(STACK, &words);
        let table = PLACES + next() % 44;
        guest.memory.put(ENTRIES + next() % 66, &[next() as u8]);
        if next() % 8 == 0 {
            guest.memory.put(table, &[next() as u8]);
        }
        guest.registers.rip = CODE + next() % 0xb00;
        guest.registers.rbp = STACK + next() % 0x200;
        let followed = guest.followed();
        assert!(followed.frames.len() <= 64);
        assert!(followed.loads.len() <= 64 * 8 + 8, "{}", followed.loads.len());
    }
}
