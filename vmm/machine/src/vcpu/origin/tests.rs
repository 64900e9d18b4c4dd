use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, dword_ptr, eax, rdi, xmm0, xmmword_ptr};

use super::*;
use crate::vcpu::fixture::{CODE, CODE_PHYSICAL, Guest, KERNEL};
use crate::vcpu::instruction::FunctionStarts;

const DEVICE: u64 = 0x7000_0000;
const BAR: u64 = 0xfe00_0000;

struct NoFunctions;

impl FunctionStarts for NoFunctions {
    fn function_start(&self, _: u64, _: u64) -> Option<u64> {
        None
    }
}

/// A guest with RIP on `code` and RDI on the device, and who its accesses are by.
struct Scene {
    guest: Guest,
    length: u64,
    tracker: Tracker,
}

impl Scene {
    fn new(code: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Self {
        let mut guest = Guest::new(4);
        guest.map(CODE, CODE_PHYSICAL, KERNEL);
        guest.map(DEVICE, BAR, KERNEL);
        guest.registers.general.rdi = DEVICE;
        let length = guest.code(code);
        Self { guest, length, tracker: Tracker::new(MemoryTypes::at_boot(48)) }
    }

    /// The instruction is over: RIP is past it.
    fn step(&mut self) {
        self.guest.registers.general.rip += self.length;
    }

    /// What [`Tracker::memory`] does, without a trace to intern in.
    fn exit(&mut self, exit: MemoryExit) -> Origin {
        let registers = &self.guest.registers;
        if let Some(origin) = self.tracker.second_half(registers, &exit) {
            return origin;
        }
        let found = self.tracker.locator.locate(&self.guest.memory, registers, &NoFunctions, &exit);
        let (located, operand) = found.unwrap();
        self.tracker.resolved(registers, &exit, &located, &operand, 1, 2)
    }

    fn read(&mut self, offset: u64, size: u8) -> Origin {
        self.exit(MemoryExit { address: BAR + offset, size, written: None })
    }

    fn write(&mut self, offset: u64, size: u8) -> Origin {
        self.exit(MemoryExit { address: BAR + offset, size, written: Some(0) })
    }
}

fn instance_and_fragment(origin: Origin) -> (u32, u8) {
    (origin.instance, origin.fragment)
}

#[test]
fn parts_of_one_operand_are_fragments_of_one_instruction() {
    let mut scene = Scene::new(|a| a.movups(xmm0, xmmword_ptr(rdi)));

    assert_eq!(instance_and_fragment(scene.read(0, 8)), (1, 0));
    assert_eq!(instance_and_fragment(scene.read(8, 8)), (1, 8));
}

#[test]
fn the_same_instruction_run_again_counts_again() {
    let mut scene = Scene::new(|a| a.movups(xmm0, xmmword_ptr(rdi)));
    scene.read(0, 8);
    scene.read(8, 8);

    assert_eq!(instance_and_fragment(scene.read(0, 8)), (2, 0));
    assert_eq!(instance_and_fragment(scene.read(8, 8)), (2, 8));
}

#[test]
fn elements_of_a_repeated_store_are_one_instruction() {
    let mut scene = Scene::new(|a| a.rep().stosd());
    let mut element = |rcx| {
        scene.guest.registers.general.rcx = rcx;
        scene.guest.registers.general.rdi = DEVICE + 12 - 4 * rcx;
        scene.write(8 - 4 * rcx, 4).instance
    };

    assert_eq!([element(2), element(1), element(0)], [1, 1, 1]);
    // RCX has been set anew.
    assert_eq!(element(2), 2);
}

#[test]
fn elements_of_a_copy_within_the_device_are_one_instruction() {
    let mut scene = Scene::new(|a| a.rep().movsd());
    let mut element = |left| {
        let general = &mut scene.guest.registers.general;
        general.rcx = left;
        general.rsi = DEVICE + 0x100 - 4 * left;
        general.rdi = DEVICE + 0x200 - 4 * left;
        let read = scene.read(0x100 - 4 * left, 4).instance;
        let general = &mut scene.guest.registers.general;
        general.rcx -= 1;
        general.rdi += 4;
        [read, scene.write(0x200 - 4 * left, 4).instance]
    };

    assert_eq!([element(2), element(1)], [[1, 1], [1, 1]]);
    assert_eq!([element(1), element(1)], [[2, 2], [3, 3]], "RCX has been set anew, twice");
}

#[test]
fn both_halves_of_a_copy_within_the_device_are_one_instruction() {
    let mut scene = Scene::new(CodeAssembler::movsd);
    let mut copy = || {
        let start = scene.guest.registers.general;
        let general = &mut scene.guest.registers.general;
        (general.rsi, general.rdi) = (DEVICE + 0x100, DEVICE + 0x200);
        let read = scene.read(0x100, 4).instance;
        let general = &mut scene.guest.registers.general;
        (general.rsi, general.rdi) = (DEVICE + 0x104, DEVICE + 0x204);
        scene.step();
        let write = scene.write(0x200, 4).instance;
        scene.guest.registers.general = start;
        [read, write]
    };

    assert_eq!([copy(), copy()], [[1, 1], [2, 2]]);
}

#[test]
fn all_parts_of_a_read_modify_write_across_two_pages_are_one_instruction() {
    let mut scene = Scene::new(|a| a.add(dword_ptr(rdi), eax));
    scene.guest.map(DEVICE + 0x1000, BAR + 0x1000, KERNEL);
    scene.guest.registers.general.rdi = DEVICE + 0xffe;
    let mut all = vec![scene.read(0xffe, 2), scene.read(0x1000, 2)];
    scene.step();
    all.extend([scene.write(0xffe, 2), scene.write(0x1000, 2)]);

    let parts: Vec<_> = all.into_iter().map(instance_and_fragment).collect();
    assert_eq!(parts, [(1, 0), (1, 2), (1, 0), (1, 2)]);
}

#[test]
fn the_write_of_a_read_modify_write_is_its_reads() {
    let mut scene = Scene::new(|a| a.add(dword_ptr(rdi), eax));
    let read = scene.read(0, 4);
    scene.tracker.half_done = Some(HalfDone {
        next_rip: CODE + scene.length,
        exit: MemoryExit { address: BAR, size: 4, written: None },
        origin: read,
    });
    scene.step();
    // The address register is overwritten by the time of the write.
    scene.guest.registers.general.rdi = 0;

    let write = scene.write(0, 4);

    assert!(read.read_modify_write && write.read_modify_write);
    assert_eq!((write.instance, write.instruction, write.walk), (1, 2, 1));
}

#[test]
fn the_privilege_level_is_that_of_the_stack_segment() {
    let mut scene = Scene::new(|a| a.mov(eax, dword_ptr(rdi)));
    assert_eq!(scene.read(0, 4).cpl, 0);

    scene.guest.registers.system.ss.dpl = 3;

    assert_eq!(scene.read(0, 4).cpl, 3);
}
