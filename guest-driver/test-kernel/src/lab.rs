//! The driver for the lab function, 1234:1ab0. BAR 0, 4 KiB, has 32-bit registers:
//!
//! | offset | register   | access | what                                                     |
//! |--------|------------|--------|----------------------------------------------------------|
//! | 0x00   | ID         | RO     | 0x3142414c                                               |
//! | 0x04   | VERSION    | RO     | major in the high half, minor in the low                 |
//! | 0x08   | SCRATCH    | RW     | any value                                                |
//! | 0x0c   | CONTROL    | RW     | bit 0 ENABLE, bit 1 RESET                                |
//! | 0x10   | STATUS     | RO     | bit 0 BUSY, bit 1 DONE, bit 2 ERROR                      |
//! | 0x14   | INT_STATUS | W1C    | bit 0 DONE, bit 1 ERROR                                  |
//! | 0x18   | INT_MASK   | RW     | a one lets the interrupt of INT_STATUS's bit through     |
//! | 0x20   | OPERAND    | RW     | what to compute with                                     |
//! | 0x24   | OPCODE     | RW     | 1 FACTORIAL; a write starts it                           |
//! | 0x28   | RESULT     | RO     | valid once STATUS says DONE                              |
//!
//! Written down here on its own, not taken from the device's model, so that a slip in one shows.
//!
//! What accesses the device is a free function, never inlined: traces name it.

mod file;
mod message;

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use common::mmio;

pub use file::File;

use crate::check::{self, Failure};
use crate::ioremap::{self, IoMemory, ioremap};
use crate::irq;
use crate::pci::{Bar, Function};
use message::Message;

/// Vendor in the low half, device in the high.
pub const PCI_ID: u32 = 0x1ab0_1234;

const REGISTERS_BAR: usize = 0;

const ID: u64 = 0x00;
const VERSION: u64 = 0x04;
/// Offset of SCRATCH, which ring 3 uses too.
pub const SCRATCH: u64 = 0x08;
const CONTROL: u64 = 0x0c;
const STATUS: u64 = 0x10;
const INT_STATUS: u64 = 0x14;
const INT_MASK: u64 = 0x18;
const OPERAND: u64 = 0x20;
const OPCODE: u64 = 0x24;
const RESULT: u64 = 0x28;

const ID_VALUE: u32 = 0x3142_414c;
const VERSION_VALUE: u32 = 0x0001_0000;
const CONTROL_ENABLE: u32 = 1 << 0;
/// Of STATUS.
const STATUS_DONE: u32 = 1 << 1;
/// Of INT_STATUS and INT_MASK.
const INT_DONE: u32 = 1 << 0;
const OPCODE_FACTORIAL: u32 = 1;

/// What the interrupt handler found in INT_STATUS since [`compute_factorial`] began.
static CAUSES: AtomicU32 = AtomicU32::new(0);

/// The device with its registers mapped. Dropping it undoes [`probe`].
pub struct Lab<'a> {
    // Dropped in this order: no message arrives for registers that are not mapped any more.
    _message: Message<'a>,
    registers: IoMemory,
}

impl Lab<'_> {
    #[inline(always)]
    fn read(&self, offset: u64) -> u32 {
        // SAFETY: `probe` has mapped 4 KiB of registers, all of them 32 bits wide.
        unsafe { mmio::read32(self.registers.address() + offset) }
    }

    #[inline(always)]
    fn write(&self, offset: u64, value: u32) {
        // SAFETY: as for reads.
        unsafe { mmio::write32(self.registers.address() + offset, value) };
    }

    /// Virtual address of the register at `offset`.
    pub fn register_address(&self, offset: u64) -> u64 {
        self.registers.address() + offset
    }
}

impl Drop for Lab<'_> {
    fn drop(&mut self) {
        irq::free();
    }
}

/// The registers' BAR.
fn registers_bar(function: &Function) -> Result<Bar, Failure> {
    function.bar(REGISTERS_BAR).ok_or(Failure::Reason("BAR 0 has no address"))
}

/// Whether the registers are mapped by [`ioremap()`].
pub fn is_ioremapped(function: &Function) -> Result<bool, Failure> {
    Ok(ioremap::is_mapped(registers_bar(function)?.address))
}

/// Enables the function, maps its registers and sets up its interrupt.
#[inline(never)]
pub fn probe(function: &Function) -> Result<Lab<'_>, Failure> {
    function.enable();
    let bar = registers_bar(function)?;
    let registers =
        ioremap(bar.address, bar.size, "lab::probe").ok_or(Failure::Reason("no room for ioremap"))?;
    let message = Message::enable(function, irq::VECTOR).ok_or(Failure::Reason("no MSI capability"))?;
    irq::request(isr, registers.address());
    let lab = Lab { _message: message, registers };
    check::equal("ID", u64::from(lab.read(ID)), u64::from(ID_VALUE))?;
    check::equal("VERSION", u64::from(lab.read(VERSION)), u64::from(VERSION_VALUE))?;
    Ok(lab)
}

/// Reads SCRATCH.
#[inline(never)]
pub fn read_scratch(lab: &Lab<'_>) -> u32 {
    lab.read(SCRATCH)
}

/// Writes SCRATCH.
#[inline(never)]
pub fn write_scratch(lab: &Lab<'_>, value: u32) {
    lab.write(SCRATCH, value);
}

/// Has the device compute the factorial of `operand`, and waits for its interrupt.
pub fn compute_factorial(lab: &Lab<'_>, operand: u32) -> Result<u32, Failure> {
    CAUSES.store(0, Relaxed);
    start_factorial(lab, operand);
    while CAUSES.load(Relaxed) == 0 {
        irq::wait();
    }
    check::equal("cause of the interrupt", u64::from(CAUSES.load(Relaxed)), u64::from(INT_DONE))?;
    finish(lab)
}

#[inline(never)]
fn start_factorial(lab: &Lab<'_>, operand: u32) {
    lab.write(CONTROL, CONTROL_ENABLE);
    lab.write(INT_MASK, INT_DONE);
    lab.write(OPERAND, operand);
    lab.write(OPCODE, OPCODE_FACTORIAL);
}

/// Takes the result and switches the device off.
#[inline(never)]
fn finish(lab: &Lab<'_>) -> Result<u32, Failure> {
    let status = lab.read(STATUS);
    let result = lab.read(RESULT);
    lab.write(INT_MASK, 0);
    lab.write(CONTROL, 0);
    check::equal("STATUS", u64::from(status), u64::from(STATUS_DONE))?;
    Ok(result)
}

/// The interrupt handler: asks for the causes, and acknowledges those. `registers` is where they
/// are mapped.
#[inline(never)]
fn isr(registers: u64) {
    // SAFETY: `probe` has mapped the registers, and frees the interrupt before it unmaps them.
    unsafe {
        let causes = mmio::read32(registers + INT_STATUS);
        mmio::write32(registers + INT_STATUS, causes);
        CAUSES.store(CAUSES.load(Relaxed) | causes, Relaxed);
    }
}
