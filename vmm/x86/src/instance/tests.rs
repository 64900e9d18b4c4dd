use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, dword_ptr, eax, rdi, xmm0, xmmword_ptr, ymm0, ymmword_ptr};

use super::*;
use crate::fixture::{CODE, CODE_PHYSICAL, Guest, KERNEL};
use crate::instruction::{FunctionStarts, Locator};

const DEVICE: u64 = 0x7000_0000;
const BAR: u64 = 0xfe00_0000;

struct NoFunctions;

impl FunctionStarts for NoFunctions {
    fn function_start(&self, _: u64, _: u64) -> Option<u64> {
        None
    }
}

/// What is told of an access.
#[derive(Clone, Copy)]
struct Part {
    cpl: u8,
    instance: u32,
    fragment: u64,
    read_modify_write: bool,
}

/// A guest with RIP on `code` and RDI on the device, and which instructions its accesses belong to.
struct Scene {
    guest: Guest,
    length: u64,
    locator: Locator<()>,
    instances: Instances<Part>,
}

impl Scene {
    fn new(code: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Self {
        let mut guest = Guest::new(4);
        guest.map(CODE, CODE_PHYSICAL, KERNEL);
        guest.map(DEVICE, BAR, KERNEL);
        guest.registers.rdi = DEVICE;
        let length = guest.code(code);
        Self { guest, length, locator: Locator::default(), instances: Instances::default() }
    }

    /// The instruction is over: RIP is past it.
    fn step(&mut self) {
        self.guest.registers.rip += self.length;
    }

    /// What whoever records accesses does at an exit.
    fn exit(&mut self, exit: MemoryExit) -> Part {
        let registers = &self.guest.registers;
        if let Some(part) = self.instances.second_half(registers, &exit) {
            return part;
        }
        let found = self.locator.locate(&self.guest.memory, registers, &NoFunctions, &exit);
        let (located, operand) = found.unwrap();
        let part = Part {
            cpl: registers.cpl(),
            instance: self.instances.resolved(registers, &exit, &located, &operand),
            fragment: operand.offset,
            read_modify_write: operand.read_modify_write,
        };
        self.instances.keep(&exit, &located, &operand, part);
        part
    }

    fn read(&mut self, offset: u64, size: u8) -> Part {
        self.exit(MemoryExit { address: BAR + offset, size, written: None })
    }

    fn write(&mut self, offset: u64, size: u8) -> Part {
        self.exit(MemoryExit { address: BAR + offset, size, written: Some(0) })
    }
}

fn instance_and_fragment(part: Part) -> (u32, u64) {
    (part.instance, part.fragment)
}

#[test]
fn parts_of_one_operand_are_fragments_of_one_instruction() {
    let mut scene = Scene::new(|a| a.movups(xmm0, xmmword_ptr(rdi)));

    assert_eq!(instance_and_fragment(scene.read(0, 8)), (1, 0));
    assert_eq!(instance_and_fragment(scene.read(8, 8)), (1, 8));
}

#[test]
fn four_parts_of_a_wider_vector_are_one_instruction() {
    let parts = [0, 8, 16, 24];
    let mut load = Scene::new(|a| a.vmovdqu(ymm0, ymmword_ptr(rdi)));
    for instance in [1, 2] {
        let seen = parts.map(|at| instance_and_fragment(load.read(at, 8)));
        assert_eq!(seen, parts.map(|at| (instance, at)));
    }
    let mut store = Scene::new(|a| a.vmovdqu(ymmword_ptr(rdi), ymm0));
    store.step();
    for instance in [1, 2] {
        let seen = parts.map(|at| instance_and_fragment(store.write(at, 8)));
        assert_eq!(seen, parts.map(|at| (instance, at)));
    }
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
        scene.guest.registers.rcx = rcx;
        scene.guest.registers.rdi = DEVICE + 12 - 4 * rcx;
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
        let registers = &mut scene.guest.registers;
        registers.rcx = left;
        registers.rsi = DEVICE + 0x100 - 4 * left;
        registers.rdi = DEVICE + 0x200 - 4 * left;
        let read = scene.read(0x100 - 4 * left, 4).instance;
        let registers = &mut scene.guest.registers;
        registers.rcx -= 1;
        registers.rdi += 4;
        [read, scene.write(0x200 - 4 * left, 4).instance]
    };

    assert_eq!([element(2), element(1)], [[1, 1], [1, 1]]);
    assert_eq!([element(1), element(1)], [[2, 2], [3, 3]], "RCX has been set anew, twice");
}

#[test]
fn both_halves_of_a_copy_within_the_device_are_one_instruction() {
    let mut scene = Scene::new(CodeAssembler::movsd);
    let mut copy = || {
        let start = scene.guest.registers;
        let registers = &mut scene.guest.registers;
        (registers.rsi, registers.rdi) = (DEVICE + 0x100, DEVICE + 0x200);
        let read = scene.read(0x100, 4).instance;
        let registers = &mut scene.guest.registers;
        (registers.rsi, registers.rdi) = (DEVICE + 0x104, DEVICE + 0x204);
        scene.step();
        let write = scene.write(0x200, 4).instance;
        scene.guest.registers = start;
        [read, write]
    };

    assert_eq!([copy(), copy()], [[1, 1], [2, 2]]);
}

#[test]
fn all_parts_of_a_read_modify_write_across_two_pages_are_one_instruction() {
    let mut scene = Scene::new(|a| a.add(dword_ptr(rdi), eax));
    scene.guest.map(DEVICE + 0x1000, BAR + 0x1000, KERNEL);
    scene.guest.registers.rdi = DEVICE + 0xffe;
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
    scene.step();
    // The address register is overwritten by the time of the write.
    scene.guest.registers.rdi = 0;

    let write = scene.write(0, 4);

    assert!(read.read_modify_write && write.read_modify_write);
    assert_eq!((write.instance, write.fragment), (1, 0));
}

#[test]
fn the_privilege_level_is_that_of_the_stack_segment() {
    let mut scene = Scene::new(|a| a.mov(eax, dword_ptr(rdi)));
    assert_eq!(scene.read(0, 4).cpl, 0);

    scene.guest.registers.ss.dpl = 3;

    assert_eq!(scene.read(0, 4).cpl, 3);
}
