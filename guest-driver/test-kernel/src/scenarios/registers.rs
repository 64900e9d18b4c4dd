//! Registers that drivers get wrong.

use common::mmio;

use super::Shown;
use crate::check::{Failure, equal, holds};
use crate::lab;
use crate::lab::registers::*;
use crate::pci::{Function, command};
use crate::port;

const ALL_ONES: u64 = 0xffff_ffff;

/// Fills the queue, pushes and pops once too often.
pub fn fifo(function: &Function) -> Shown {
    let lab = lab::attach(function)?;
    lab.write(INT_STATUS, INT_ALL);
    equal("FIFO_STATUS before", u64::from(lab.read(FIFO_STATUS)), u64::from(FIFO_EMPTY))?;
    lab.write(FIFO_THRESHOLD, FIFO_DEPTH / 2);
    for word in 0..=FIFO_DEPTH {
        lab.write(FIFO_DATA, word);
    }
    let full = lab.read(FIFO_STATUS);
    let cause = lab.read(INT_STATUS);
    let in_order = (0..FIFO_DEPTH).all(|word| lab.read(FIFO_DATA) == word);
    let too_many = lab.read(FIFO_DATA);
    let empty = lab.read(FIFO_STATUS);
    lab.write(FIFO_STATUS, FIFO_OVERFLOW | FIFO_UNDERFLOW);
    let cleared = lab.read(FIFO_STATUS);
    lab.write(INT_STATUS, INT_ALL);
    equal("FIFO_STATUS while full", u64::from(full), u64::from(FIFO_DEPTH | FIFO_FULL | FIFO_OVERFLOW))?;
    equal("INT_STATUS", u64::from(cause), u64::from(INT_FIFO))?;
    holds(in_order, "the words did not come out as they went in")?;
    equal("a word from the empty queue", u64::from(too_many), 0)?;
    equal("FIFO_STATUS after", u64::from(empty), u64::from(FIFO_EMPTY | FIFO_OVERFLOW | FIFO_UNDERFLOW))?;
    equal("FIFO_STATUS cleared", u64::from(cleared), u64::from(FIFO_EMPTY))?;
    Ok("overflow and underflow were noticed, and the words kept their order")
}

/// Reads the 64-bit counter whole and by halves, and the one that reading clears twice.
pub fn counters(function: &Function) -> Shown {
    let lab = lab::attach(function)?;
    // SAFETY: the register has 64 bits.
    let whole = unsafe { mmio::read64(lab.register_address(COUNTER)) };
    let low = lab.read(COUNTER);
    let high = lab.read(COUNTER + 4);
    let halves = u64::from(high) << 32 | u64::from(low);
    lab.read(EVENTS);
    lab.write(TRIGGER, INT_DONE | INT_ERROR);
    let events = lab.read(EVENTS);
    let events_again = lab.read(EVENTS);
    lab.write(INT_STATUS, INT_ALL);
    holds(halves > whole, "the counter does not count")?;
    equal("EVENTS", u64::from(events), 2)?;
    equal("EVENTS, read again", u64::from(events_again), 0)?;
    Ok("both halves belonged together; the second read of EVENTS found nothing")
}

/// Accesses that no register takes.
pub fn refused_accesses(function: &Function) -> Shown {
    let lab = lab::attach(function)?;
    lab.write(SCRATCH, 0xc0ff_ee15);
    let write_only = lab.read(TRIGGER);
    let reserved = lab.read(RESERVED);
    lab.write(RESERVED, 1);
    lab.write(ID, 1);
    // SAFETY: the registers are mapped; their device refuses these, which does no harm.
    let (narrow, unaligned) = unsafe {
        let address = lab.register_address(SCRATCH);
        ((address as *const u8).read_volatile(), mmio_unaligned(address + 1))
    };
    equal("a register that can only be written", u64::from(write_only), ALL_ONES)?;
    equal("no register", u64::from(reserved), ALL_ONES)?;
    equal("ID after a write", u64::from(lab.read(ID)), u64::from(ID_VALUE))?;
    equal("a byte of SCRATCH", u64::from(narrow), 0xff)?;
    equal("4 bytes across SCRATCH", u64::from(unaligned), ALL_ONES)?;
    equal("SCRATCH", u64::from(lab.read(SCRATCH)), 0xc0ff_ee15)?;
    Ok("reads gave all-ones, writes were dropped")
}

/// # Safety
/// As [`mmio::read32`], but `address` may be unaligned.
#[inline(always)]
unsafe fn mmio_unaligned(address: u64) -> u32 {
    let value;
    // SAFETY: the caller's promise.
    unsafe {
        core::arch::asm!("mov {:e}, [{}]", out(reg) value, in(reg) address,
            options(readonly, nostack, preserves_flags));
    }
    value
}

/// Reaches a register through ports.
pub fn io_bar(function: &Function) -> Shown {
    let lab = lab::attach(function)?;
    let bar = function.bar(WINDOW_BAR).ok_or(Failure::Reason("BAR 1 has no ports"))?;
    let (index, data) = ((bar.address + WINDOW_INDEX) as u16, (bar.address + WINDOW_DATA) as u16);
    function.set_command(command::IO_SPACE, true);
    port::write32(index, SCRATCH as u32);
    port::write32(data, 0xc0ff_ee16);
    let by_port = port::read32(data);
    let by_memory = lab.read(SCRATCH);
    function.set_command(command::IO_SPACE, false);
    let off = port::read32(data);
    equal("SCRATCH by a port", u64::from(by_port), 0xc0ff_ee16)?;
    equal("SCRATCH by memory", u64::from(by_memory), 0xc0ff_ee16)?;
    equal("a port with I/O Space off", u64::from(off), ALL_ONES)?;
    Ok("ports and memory reached the same register")
}
