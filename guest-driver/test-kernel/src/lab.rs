//! The driver for the lab function, 1234:1ab0.
//!
//! What accesses the device is a free function, never inlined: traces name it.

mod bugs;
mod file;
mod memory;
mod message;
mod message_table;
mod pin;
pub mod registers;
mod vectors;

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use common::mmio;

pub use bugs::forget_acknowledgement;
pub use file::{File, Grant};
pub use memory::{exchange_first, map_memory};
pub use message::Messages;
pub use message_table::MessageTable;
pub use pin::{isr_on_pin, pin_causes, pins_not_ours};
pub use registers::{PCI_ID, REGISTERS_BAR, SCRATCH};
pub use vectors::Vectors;

use crate::bug::{self, Bug};
use crate::check::{self, Failure};
use crate::ioremap::{self, IoMemory, ioremap_as};
use crate::irq;
use crate::paging::Caching;
use crate::pci::{Bar, Function};
use registers::{
    CONTROL, CONTROL_ENABLE, CONTROL_FLIP, EVENTS, ID, ID_VALUE, INT_DONE, INT_ERROR, INT_FIFO, INT_MASK,
    INT_STATUS, MEMORY_BAR, OPCODE, OPCODE_FACTORIAL, OPERAND, RESERVED, RESULT, STATUS, STATUS_DONE,
    TRIGGER, VERSION, VERSION_VALUE,
};

/// What the interrupt handler found in INT_STATUS since [`wait_for_interrupt`] began.
static CAUSES: AtomicU32 = AtomicU32::new(0);

/// The device with its registers mapped. Dropping it undoes [`probe`] or [`attach`].
pub struct Lab<'a> {
    // Dropped in this order: no message arrives for registers that are not mapped any more.
    messages: Option<Messages<'a>>,
    registers: IoMemory,
}

impl Lab<'_> {
    /// Reads the register at `offset`.
    #[inline(always)]
    pub fn read(&self, offset: u64) -> u32 {
        // SAFETY: `probe` has mapped 4 KiB of registers, all of them 32 bits wide.
        unsafe { mmio::read32(self.registers.address() + offset) }
    }

    /// Writes the register at `offset`.
    #[inline(always)]
    pub fn write(&self, offset: u64, value: u32) {
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
        if self.messages.is_some() {
            irq::free(irq::VECTOR);
        }
        if bug::is(Bug::AccessAfterUnmap) {
            ioremap::iounmap(&self.registers);
            self.read(STATUS);
        }
    }
}

/// The registers' BAR.
pub fn registers_bar(function: &Function) -> Result<Bar, Failure> {
    function.bar(REGISTERS_BAR).ok_or(Failure::Reason("BAR 0 has no address"))
}

/// The memory's BAR.
fn memory_bar(function: &Function) -> Result<Bar, Failure> {
    function.bar(MEMORY_BAR).ok_or(Failure::Reason("BAR 2 has no address"))
}

/// Whether the registers are mapped by [`ioremap`].
pub fn is_ioremapped(function: &Function) -> Result<bool, Failure> {
    Ok(ioremap::is_mapped(registers_bar(function)?.address))
}

/// Enables the function, maps its registers and, if it has messages, sets up its interrupt.
#[inline(never)]
pub fn probe(function: &Function) -> Result<Lab<'_>, Failure> {
    let mut lab = map_registers(function, "lab::probe")?;
    let vector = irq::VECTOR + u8::from(bug::is(Bug::WrongVector));
    lab.messages = Messages::enable(function, vector, 0);
    if lab.messages.is_some() {
        irq::request(irq::VECTOR, isr, lab.registers.address())
            .ok_or(Failure::Reason("no room for a handler"))?;
    }
    check::equal("ID", u64::from(lab.read(ID)), u64::from(ID_VALUE))?;
    check::equal("VERSION", u64::from(lab.read(VERSION)), u64::from(VERSION_VALUE))?;
    if bug::is(Bug::ReservedRegister) {
        lab.write(RESERVED, 0);
    }
    Ok(lab)
}

/// Enables the function and maps its registers; interrupts are up to the caller.
pub fn attach(function: &Function) -> Result<Lab<'_>, Failure> {
    map_registers(function, "lab::attach")
}

fn map_registers<'a>(function: &'a Function, who: &str) -> Result<Lab<'a>, Failure> {
    function.enable();
    let bar = registers_bar(function)?;
    let caching = if bug::is(Bug::MappedCached) { Caching::WriteBack } else { Caching::Uncached };
    let registers =
        ioremap_as(caching, bar.address, bar.size, who).ok_or(Failure::Reason("no room for ioremap"))?;
    Ok(Lab { messages: None, registers })
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
    let causes = wait_for_interrupt(|| {
        start_factorial(lab, operand);
        if bug::is(Bug::EventsTaken) {
            bugs::take_events(lab);
        }
    });
    check::equal("cause of the interrupt", u64::from(causes), u64::from(INT_DONE))?;
    finish(lab)
}

/// Calls `start`, waits for the interrupt that this leads to, and gives its causes.
pub fn wait_for_interrupt(start: impl FnOnce()) -> u32 {
    CAUSES.store(0, Relaxed);
    start();
    while CAUSES.load(Relaxed) == 0 {
        irq::wait();
    }
    CAUSES.load(Relaxed)
}

#[inline(never)]
fn start_factorial(lab: &Lab<'_>, operand: u32) {
    let late = bug::is(Bug::WrongOrder);
    lab.write(CONTROL, CONTROL_ENABLE);
    if !late {
        lab.write(INT_MASK, INT_DONE);
    }
    if bug::is(Bug::MaskedCause) {
        lab.write(TRIGGER, INT_ERROR);
    }
    if bug::is(Bug::EventLost) {
        lab.write(INT_MASK, INT_DONE | INT_FIFO);
    }
    lab.write(OPERAND, operand);
    lab.write(OPCODE, OPCODE_FACTORIAL);
    if late {
        lab.write(INT_MASK, INT_DONE);
    }
}

/// Takes the result and switches the device off.
#[inline(never)]
fn finish(lab: &Lab<'_>) -> Result<u32, Failure> {
    let status = lab.read(STATUS);
    if bug::is(Bug::StatusReadTwice) {
        lab.read(STATUS);
    }
    if bug::is(Bug::EndlessPoll) {
        bugs::wait_for_error(lab);
    }
    let result = lab.read(RESULT);
    if bug::is(Bug::ResultTrusted) {
        lab.write(OPERAND, result);
    }
    switch_off(lab);
    check::equal("STATUS", u64::from(status), u64::from(STATUS_DONE))?;
    Ok(result)
}

/// Has BAR2 mapped directly, or trapped; once that is read back, it is.
#[inline(never)]
pub fn serve_memory_directly(lab: &Lab<'_>, directly: bool) {
    lab.write(CONTROL, if directly { CONTROL_FLIP } else { 0 });
    lab.read(CONTROL);
}

/// Switches the device off: no interrupt comes and nothing starts any more. Writes may be on their way
/// for long; one that is read back has arrived.
#[inline(never)]
pub fn switch_off(lab: &Lab<'_>) {
    lab.write(INT_MASK, 0);
    if bug::is(Bug::WrongWidth) {
        // SAFETY: the registers are mapped; their device refuses this, which does no harm.
        unsafe { mmio::write8(lab.register_address(CONTROL), 0) };
    } else {
        lab.write(CONTROL, 0);
    }
    if !bug::is(Bug::MissingReadBack) {
        lab.read(CONTROL);
    }
}

/// The interrupt handler: asks for the causes, and acknowledges those. `registers` is where they
/// are mapped.
#[inline(never)]
fn isr(registers: u64, _: u8) {
    // SAFETY: `probe` has mapped the registers, and frees the interrupt before it unmaps them.
    unsafe {
        if bug::is(Bug::EventsTaken) {
            mmio::read32(registers + EVENTS);
        }
        let causes = mmio::read32(registers + INT_STATUS);
        if bug::is(Bug::EventLost) && causes & INT_DONE != 0 {
            mmio::write32(registers + TRIGGER, INT_FIFO);
        }
        if bug::is(Bug::CauseAdded) {
            mmio::write32(registers + INT_STATUS, causes | INT_FIFO);
        } else if !bug::is(Bug::NoAcknowledgement) {
            mmio::write32(registers + INT_STATUS, causes);
        }
        CAUSES.store(CAUSES.load(Relaxed) | causes, Relaxed);
    }
}
