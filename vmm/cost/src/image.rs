//! The benchmark's guest: finds a PCI function, gives its BARs addresses, and accesses a register again and again.
//!
//! The same image runs in the bare loop, in our machine and in QEMU. A write to a port before the loop and one after it
//! are its time marks, both at ring 0. After them it resets the machine. A pair of them runs on two vCPUs, each with a
//! function of its own.

use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, al, dword_ptr, dx, eax, ebp, ebx, ecx, edx, rdi};

use crate::long_mode::{self, MEMORY_WINDOW, REGISTER_WINDOW};
use crate::{Error, second_cpu};

/// The port of time marks: QEMU's debug console, and nothing in our machine.
pub const MARK: u16 = 0xe9;
/// The port of the reset control register, and a reset.
const RESET: (i32, i32) = (0xcf9, 6);
/// CONFIG_ADDRESS and CONFIG_DATA.
pub const CONFIG_ADDRESS: u16 = 0xcf8;
/// See [`CONFIG_ADDRESS`].
pub const CONFIG_DATA: u16 = 0xcfc;

/// How many accesses one turn of the loop makes, each by an instruction of its own: what else is in the loop counts little.
const UNROLLED: u32 = 8;
/// The Enable bit of CONFIG_ADDRESS.
const CONFIG_ENABLE: u32 = 0x8000_0000;
/// Device numbers on a bus.
const DEVICES: u32 = 32;

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// From the device.
    Read,
    /// To the device.
    Write,
}

impl Op {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Read, Self::Write];

    /// R or W, as rows say it.
    pub fn letter(self) -> char {
        match self {
            Self::Read => 'R',
            Self::Write => 'W',
        }
    }
}

/// A function that guests look for by what its first register in configuration space reads.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Vendor ID and, above it, Device ID.
    pub id: u32,
    /// Registers of configuration space and what is written there, in this order.
    configuration: &'static [(u32, u32)],
}

/// The `lab` function; its BAR1 stays where no port is decoded.
pub const LAB: Function = Function {
    id: 0x1ab0_1234,
    configuration: &[
        (0x10, REGISTER_WINDOW),
        (0x18, MEMORY_WINDOW),
        (0x1c, 0),
        (0x20, REGISTER_WINDOW + 0x2000),
        (0x24, REGISTER_WINDOW + 0x4000),
        (0x04, 2),
    ],
};

/// `edu`, ours or QEMU's.
const EDU: Function = Function { id: 0x11e8_1234, configuration: &[(0x10, REGISTER_WINDOW), (0x04, 2)] };

/// Another `lab`, found after the first.
const SECOND_LAB: Function = Function {
    id: LAB.id,
    configuration: &[
        (0x10, SECOND_WINDOW),
        (0x18, MEMORY_WINDOW + 0x10_0000),
        (0x1c, 0),
        (0x20, SECOND_WINDOW + 0x2000),
        (0x24, SECOND_WINDOW + 0x4000),
        (0x04, 2),
    ],
};
const SECOND_WINDOW: u32 = REGISTER_WINDOW + 0x10_0000;

/// Words of memory by which one vCPU tells the other that it runs, and that it is done.
const STARTED: u32 = 0x30_0000;
const DONE: u32 = 0x30_0004;

/// A register that a loop accesses with four bytes.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// The function.
    pub function: Function,
    /// Its address.
    address: u32,
}

/// SCRATCH of `lab`, which keeps what is written.
pub const SCRATCH: Place = Place { function: LAB, address: REGISTER_WINDOW + 0x08 };
/// A word in the memory of `lab`.
pub const MEMORY: Place = Place { function: LAB, address: MEMORY_WINDOW + 0x1000 };
/// A doorbell of `lab`.
pub const DOORBELL: Place = Place { function: LAB, address: REGISTER_WINDOW + 0x4000 };

/// LIVENESS of `edu`, which keeps what is written, inverted.
pub const LIVENESS: Place = Place { function: EDU, address: REGISTER_WINDOW + 0x04 };

/// What a guest does between its marks.
#[derive(Clone, Copy, Debug)]
pub struct Loop {
    /// What it accesses.
    pub place: Place,
    /// Reads or writes.
    pub op: Op,
    /// At privilege level 0 or 3.
    pub ring: u8,
    /// How often, in turns of [`Loop::turns`].
    pub accesses: u32,
}

impl Loop {
    /// How many accesses it makes: as many as asked for, in whole turns.
    pub fn made(&self) -> u32 {
        self.turns() * UNROLLED
    }

    fn turns(&self) -> u32 {
        self.accesses.div_ceil(UNROLLED).max(1)
    }

    /// The guest, as an ELF file with a PVH note.
    ///
    /// # Errors
    /// If it can't be assembled.
    pub fn image(&self) -> Result<Vec<u8>, Error> {
        let start = |a: &mut CodeAssembler| {
            long_mode::write_tables(a)?;
            a.mov(ebx, CONFIG_ENABLE)?;
            find(a, self.place.function)?;
            long_mode::switch_on(a)
        };
        long_mode::file(start, |a| {
            self.between_marks(a)?;
            reset(a)
        })
    }

    /// The guest for two vCPUs, which access SCRATCH of two `lab` at ring 0; its file as that of [`Loop::image`]. Each has
    /// marks of its own. With how many accesses each makes.
    ///
    /// # Errors
    /// If it can't be assembled.
    pub fn image_for_two(op: Op, accesses: u32) -> Result<(Vec<u8>, u32), Error> {
        let first = Self { place: SCRATCH, op, ring: 0, accesses };
        let second = Self { place: Place { function: SECOND_LAB, address: SECOND_WINDOW + 0x08 }, ..first };
        let start = |a: &mut CodeAssembler| {
            let (mut second_cpu, mut both) = (a.create_label(), a.create_label());
            long_mode::write_tables(a)?;
            a.mov(ebx, CONFIG_ENABLE)?;
            find(a, LAB)?;
            a.add(ebx, 1 << 11)?;
            find(a, SECOND_LAB)?;
            second_cpu::wake(a, second_cpu)?;
            a.xor(ebp, ebp)?;
            a.jmp(both)?;
            a.set_label(&mut second_cpu)?;
            second_cpu::load_segments(a)?;
            a.mov(ebp, 1)?;
            a.set_label(&mut both)?;
            long_mode::switch_on(a)
        };
        let image = long_mode::file(start, |a| {
            let mut on_second = a.create_label();
            a.test(ebp, ebp)?;
            a.jne(on_second)?;
            wait_for(a, STARTED)?;
            first.between_marks(a)?;
            wait_for(a, DONE)?;
            reset(a)?;
            a.set_label(&mut on_second)?;
            a.mov(dword_ptr(u64::from(STARTED)), 1)?;
            second.between_marks(a)?;
            a.mov(dword_ptr(u64::from(DONE)), 1)?;
            halt(a)
        })?;
        Ok((image, first.made()))
    }

    fn between_marks(&self, a: &mut CodeAssembler) -> Result<(), IcedError> {
        mark(a)?;
        if self.ring == 0 {
            self.body(a)?;
        } else {
            long_mode::call_at_ring_3(a, |a| self.body(a))?;
        }
        mark(a)
    }

    fn body(&self, a: &mut CodeAssembler) -> Result<(), IcedError> {
        a.mov(rdi, u64::from(self.place.address))?;
        a.mov(ecx, self.turns())?;
        let mut again = a.create_label();
        a.set_label(&mut again)?;
        for _ in 0..UNROLLED {
            match self.op {
                Op::Read => a.mov(eax, dword_ptr(rdi))?,
                Op::Write => a.mov(dword_ptr(rdi), ecx)?,
            }
        }
        a.dec(ecx)?;
        a.jne(again)
    }
}

/// 32-bit code that finds a function on bus 0 and configures it, from the one on whose configuration space is at EBX in
/// CONFIG_ADDRESS; uses EAX and EDX. Without one, the machine is reset before any mark.
fn find(a: &mut CodeAssembler, function: Function) -> Result<(), IcedError> {
    let (mut next, mut found) = (a.create_label(), a.create_label());
    a.set_label(&mut next)?;
    a.mov(edx, u32::from(CONFIG_ADDRESS))?;
    a.mov(eax, ebx)?;
    a.out(dx, eax)?;
    a.mov(edx, u32::from(CONFIG_DATA))?;
    a.in_(eax, dx)?;
    a.cmp(eax, function.id)?;
    a.je(found)?;
    a.add(ebx, 1 << 11)?;
    a.cmp(ebx, CONFIG_ENABLE + (DEVICES << 11))?;
    a.jne(next)?;
    reset(a)?;
    a.set_label(&mut found)?;
    for &(register, value) in function.configuration {
        a.mov(edx, u32::from(CONFIG_ADDRESS))?;
        a.lea(eax, dword_ptr(ebx) + register)?;
        a.out(dx, eax)?;
        a.mov(edx, u32::from(CONFIG_DATA))?;
        a.mov(eax, value)?;
        a.out(dx, eax)?;
    }
    Ok(())
}

fn mark(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.mov(edx, u32::from(MARK))?;
    a.mov(eax, u32::from(b'm'))?;
    a.out(dx, al)
}

fn reset(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let (port, value) = RESET;
    a.mov(edx, port)?;
    a.mov(eax, value)?;
    a.out(dx, al)?;
    halt(a)
}

/// 64-bit code that waits until the other vCPU says something.
fn wait_for(a: &mut CodeAssembler, word: u32) -> Result<(), IcedError> {
    let mut again = a.create_label();
    a.set_label(&mut again)?;
    a.cmp(dword_ptr(u64::from(word)), 0)?;
    a.je(again)
}

fn halt(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut forever = a.create_label();
    a.set_label(&mut forever)?;
    a.hlt()?;
    a.jmp(forever)
}
