//! DMA between memory and the device.

use super::Shown;
use crate::bench;
use crate::bug::{self, Bug};
use crate::check::{Failure, equal, holds};
use crate::frames;
use crate::lab::registers::*;
use crate::lab::{self, Lab};
use crate::paging::{PAGE, direct};
use crate::pci::{Function, command};

const LENGTH: u32 = 0x100;
/// Where in BAR 2.
const OFFSET: u32 = 0x1000;
/// Where memory surely is not.
const NO_MEMORY: u64 = 0x7_0000_0000;
/// How often to look whether a transfer is over.
const PATIENCE: u32 = 1000;

/// A page of memory that the device may access.
struct Buffer(u64);

impl Buffer {
    fn new() -> Result<Self, Failure> {
        frames::allocate().map(Self).ok_or(Failure::Reason("no memory for a buffer"))
    }

    fn word(&self, offset: u64) -> *mut u32 {
        direct(self.0 + offset % PAGE) as *mut u32
    }

    fn read(&self, offset: u64) -> u32 {
        // SAFETY: within our page; volatile, since the device writes it.
        unsafe { self.word(offset).read_volatile() }
    }

    fn write(&self, offset: u64, value: u32) {
        // SAFETY: as for reads.
        unsafe { self.word(offset).write_volatile(value) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        frames::release(self.0);
    }
}

#[inline(never)]
fn start(lab: &Lab<'_>, address: u64, offset: u32, length: u32, direction: u32) {
    lab.write(DMA_ADDRESS, address as u32);
    lab.write(DMA_ADDRESS + 4, (address >> 32) as u32);
    lab.write(DMA_OFFSET, offset);
    lab.write(DMA_LENGTH, length);
    lab.write(DMA_CONTROL, DMA_START | direction);
}

/// Memory to device, device to other memory, each ended by an interrupt.
pub fn both_ways(function: &Function) -> Shown {
    let lab = lab::probe(function)?;
    let buffer = Buffer::new()?;
    for offset in (0..u64::from(LENGTH)).step_by(4) {
        buffer.write(offset, 0xd0d0_0000 | offset as u32);
    }
    lab.write(CONTROL, CONTROL_ENABLE);
    lab.write(INT_MASK, INT_DMA);
    let there = lab::wait_for_interrupt(|| {
        let late = bug::is(Bug::DmaBeforeBusMastering);
        if bug::is(Bug::MaskedCause) {
            lab.write(TRIGGER, INT_ERROR);
        }
        if late {
            function.set_command(command::BUS_MASTER, false);
        }
        start(&lab, buffer.0, OFFSET, LENGTH, 0);
        if late {
            function.set_command(command::BUS_MASTER, true);
        }
    });
    let back = lab::wait_for_interrupt(|| start(&lab, buffer.0 + PAGE / 2, OFFSET, LENGTH, DMA_TO_MEMORY));
    let status = lab.read(DMA_STATUS);
    if bug::is(Bug::TransferLeft) {
        lab.write(INT_MASK, 0);
        // Long enough to outlast what undoes the driver's part.
        start(&lab, buffer.0, OFFSET, PAGE as u32, DMA_TO_MEMORY);
        drop(lab);
        bench::idle();
        return Ok("the driver went, and the transfer came");
    }
    lab::switch_off(&lab);
    equal("cause of the interrupt of the way there", u64::from(there), u64::from(INT_DMA))?;
    equal("cause of the interrupt of the way back", u64::from(back), u64::from(INT_DMA))?;
    equal("DMA_STATUS", u64::from(status), u64::from(DMA_DONE))?;
    for offset in (0..u64::from(LENGTH)).step_by(4) {
        equal("a word that came back", u64::from(buffer.read(PAGE / 2 + offset)), 0xd0d0_0000 | offset)?;
    }
    Ok("256 bytes went to the device and came back elsewhere")
}

/// Transfers that the device or memory refuses.
pub fn errors(function: &Function) -> Shown {
    let lab = lab::attach(function)?;
    let buffer = Buffer::new()?;
    fails(&lab, (buffer.0, OFFSET, LENGTH), DMA_DISABLED)?;
    lab.write(CONTROL, CONTROL_ENABLE);
    let end = lab::registers::MEMORY_SIZE;
    fails(&lab, (buffer.0, OFFSET, 0), DMA_BAD_LENGTH)?;
    fails(&lab, (buffer.0, end - LENGTH + 1, LENGTH), DMA_BAD_OFFSET)?;
    fails(&lab, (NO_MEMORY, OFFSET, LENGTH), DMA_BAD_ADDRESS)?;
    fails(&lab, (u64::MAX - 1, OFFSET, LENGTH), DMA_BAD_ADDRESS)?;
    finish(&lab);
    Ok("each refused with its reason, and nothing moved")
}

/// A transfer without bus mastering: a driver bug.
pub fn without_bus_mastering(function: &Function) -> Shown {
    let lab = lab::attach(function)?;
    let buffer = Buffer::new()?;
    buffer.write(0, 0xc0ff_ee14);
    lab.write(CONTROL, CONTROL_ENABLE);
    function.set_command(command::BUS_MASTER, false);
    let refused = run(&lab, (buffer.0, OFFSET, LENGTH), DMA_TO_MEMORY);
    function.set_command(command::BUS_MASTER, true);
    finish(&lab);
    equal("DMA_STATUS", u64::from(refused?), failed(DMA_NOT_MASTER))?;
    equal("memory", u64::from(buffer.read(0)), 0xc0ff_ee14)?;
    Ok("the transfer was refused; memory kept its content")
}

fn failed(reason: u32) -> u64 {
    u64::from(DMA_ERROR | reason << DMA_REASON_SHIFT)
}

fn fails(lab: &Lab<'_>, transfer: (u64, u32, u32), reason: u32) -> Result<(), Failure> {
    equal("DMA_STATUS", u64::from(run(lab, transfer, 0)?), failed(reason))
}

/// Runs a transfer (address, offset, length) to its end; gives DMA_STATUS.
fn run(lab: &Lab<'_>, (address, offset, length): (u64, u32, u32), direction: u32) -> Result<u32, Failure> {
    start(lab, address, offset, length, direction);
    bench::idle();
    holds((0..PATIENCE).any(|_| lab.read(DMA_STATUS) & DMA_BUSY == 0), "the transfer does not end")?;
    Ok(lab.read(DMA_STATUS))
}

fn finish(lab: &Lab<'_>) {
    lab.write(INT_STATUS, INT_ALL);
    lab::switch_off(lab);
}
