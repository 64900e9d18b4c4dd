//! The benchmark's guest: finds a PCI function, gives its BARs addresses, and accesses a register again and again.
//!
//! The same image runs in the bare loop, in our machine and in QEMU. A write to a port before the loop and one after it
//! are its time marks, both at ring 0. After them it resets the machine.

use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, al, dword_ptr, dx, eax, ebx, ecx, edx, rdi};

use crate::Error;
use crate::long_mode::{self, MEMORY_WINDOW, REGISTER_WINDOW};

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
            find(a, self.place.function)?;
            long_mode::switch_on(a)
        };
        long_mode::file(start, |a| {
            mark(a)?;
            if self.ring == 0 {
                self.body(a)?;
            } else {
                long_mode::call_at_ring_3(a, |a| self.body(a))?;
            }
            mark(a)?;
            reset(a)
        })
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

/// 32-bit code that finds a function on bus 0 and configures it; uses EAX, EBX and EDX. Without one, the machine is
/// reset before any mark.
fn find(a: &mut CodeAssembler, function: Function) -> Result<(), IcedError> {
    let (mut next, mut found) = (a.create_label(), a.create_label());
    const ENABLE: u32 = 0x8000_0000;
    a.mov(ebx, ENABLE)?;
    a.set_label(&mut next)?;
    a.mov(edx, u32::from(CONFIG_ADDRESS))?;
    a.mov(eax, ebx)?;
    a.out(dx, eax)?;
    a.mov(edx, u32::from(CONFIG_DATA))?;
    a.in_(eax, dx)?;
    a.cmp(eax, function.id)?;
    a.je(found)?;
    a.add(ebx, 1 << 11)?;
    a.cmp(ebx, ENABLE + (DEVICES << 11))?;
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
    let mut forever = a.create_label();
    a.set_label(&mut forever)?;
    a.hlt()?;
    a.jmp(forever)
}
