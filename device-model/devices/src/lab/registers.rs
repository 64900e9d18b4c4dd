//! BAR0: what its registers hold, and what reading and writing them does.

use std::mem;

use barscope_device::{AccessSize, Context, DeviceMemory, Refused, Register};
use serde::{Deserialize, Serialize};

use super::fifo::Fifo;
use super::map::*;
use super::transfer::Transfer;

/// The timer that runs while it computes.
pub(super) const COMPUTATION: u8 = 0;
/// The timer that runs while it transfers.
pub(super) const TRANSFER: u8 = 1;
/// Device time in nanoseconds that a computation takes.
const COMPUTATION_NS: u64 = 20_000;

/// What the registers hold, INDEX of BAR1 included.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Registers {
    scratch: u32,
    control: u32,
    status: u32,
    int_status: u32,
    int_mask: u32,
    operand: u32,
    opcode: u32,
    result: u32,
    transfer: Transfer,
    /// The upper half of COUNTER, from when its lower half was read.
    counter_high: u32,
    events: u32,
    fifo: Fifo,
    doorbell_count: u32,
    pub(super) index: u32,
}

impl Registers {
    /// The causes that are pending and let through.
    pub(super) fn interrupts(&self) -> u32 {
        self.int_status & self.int_mask
    }

    /// Whether BAR2 is backed the other way than the options say.
    pub(super) fn flipped(&self) -> bool {
        self.control & CONTROL_FLIP != 0
    }

    /// Doorbells were rung `count` times.
    pub(super) fn ring(&mut self, count: u64) {
        self.doorbell_count = self.doorbell_count.wrapping_add(count as u32);
        self.raise(INT_DOORBELL);
    }

    pub(super) fn read(
        &mut self,
        context: &Context<'_>,
        register: &Register,
        offset: u64,
        size: AccessSize,
    ) -> Result<u64, Refused> {
        match register.offset {
            COUNTER => Ok(self.read_counter(context.now(), offset, size)),
            EVENTS => Ok(mem::take(&mut self.events).into()),
            FIFO_DATA => Ok(self.fifo.pop().into()),
            start => {
                let whole = self.peek(start).ok_or(Refused::Reserved)?;
                Ok(register.part(whole, offset, size))
            }
        }
    }

    /// Reading the lower half keeps the upper half for the next read of that.
    fn read_counter(&mut self, now: u64, offset: u64, size: AccessSize) -> u64 {
        match (offset, size) {
            (_, AccessSize::Qword) => now,
            (COUNTER, _) => {
                self.counter_high = (now >> 32) as u32;
                now & 0xffff_ffff
            }
            _ => self.counter_high.into(),
        }
    }

    pub(super) fn write(
        &mut self,
        context: &mut Context<'_>,
        register: &Register,
        offset: u64,
        size: AccessSize,
        value: u64,
    ) -> Result<(), Refused> {
        let word = value as u32;
        match register.offset {
            SCRATCH => self.scratch = word,
            CONTROL if word & CONTROL_RESET != 0 => {
                context.cancel_timer(COMPUTATION);
                context.cancel_timer(TRANSFER);
                *self = Self::default();
            }
            CONTROL => self.control = word & (CONTROL_ENABLE | CONTROL_FLIP),
            INT_STATUS => self.int_status &= !word,
            INT_MASK => self.int_mask = word & INT_ALL,
            OPERAND | OPCODE if self.status & STATUS_BUSY != 0 => return Err(Refused::Busy),
            OPERAND => self.operand = word,
            OPCODE => {
                self.opcode = word;
                self.start_computation(context);
            }
            DMA_ADDRESS | DMA_OFFSET | DMA_LENGTH | DMA_CONTROL if self.transfer.busy() => {
                return Err(Refused::Busy);
            }
            DMA_ADDRESS => {
                self.transfer.address = register.with_part(self.transfer.address, offset, size, value);
            }
            DMA_OFFSET => self.transfer.offset = word,
            DMA_LENGTH => self.transfer.length = word,
            DMA_CONTROL => {
                self.transfer.control = word & DMA_TO_MEMORY;
                if word & DMA_START != 0 {
                    self.start_transfer(context);
                }
            }
            TRIGGER => self.raise(word & INT_ALL),
            FIFO_DATA => {
                if self.fifo.push(word) {
                    self.raise(INT_FIFO);
                }
            }
            FIFO_STATUS => self.fifo.clear_faults(word),
            FIFO_THRESHOLD => self.fifo.set_threshold(word),
            _ => return Err(Refused::Reserved),
        }
        Ok(())
    }

    pub(super) fn peek(&self, offset: u64) -> Option<u64> {
        let value = match offset {
            ID => ID_VALUE,
            VERSION => VERSION_VALUE,
            SCRATCH => self.scratch,
            CONTROL => self.control,
            STATUS => self.status,
            INT_STATUS => self.int_status,
            INT_MASK => self.int_mask,
            OPERAND => self.operand,
            OPCODE => self.opcode,
            RESULT => self.result,
            DMA_ADDRESS => return Some(self.transfer.address),
            DMA_OFFSET => self.transfer.offset,
            DMA_LENGTH => self.transfer.length,
            DMA_CONTROL => self.transfer.control,
            DMA_STATUS => self.transfer.status,
            EVENTS => self.events,
            FIFO_STATUS => self.fifo.status(),
            FIFO_THRESHOLD => self.fifo.threshold(),
            DOORBELL_COUNT => self.doorbell_count,
            _ => return None,
        };
        Some(value.into())
    }

    fn start_computation(&mut self, context: &mut Context<'_>) {
        if self.enabled() && compute(self.opcode, self.operand).is_some() {
            self.status = STATUS_BUSY;
            context.set_timer(COMPUTATION, COMPUTATION_NS);
        } else {
            self.status = STATUS_ERROR;
            self.raise(INT_ERROR);
        }
    }

    /// The computation's time is over.
    pub(super) fn finish_computation(&mut self) {
        // Neither operand nor opcode changed since it started.
        self.result = compute(self.opcode, self.operand).unwrap_or_default();
        self.status = STATUS_DONE;
        self.raise(INT_DONE);
    }

    fn start_transfer(&mut self, context: &mut Context<'_>) {
        if self.transfer.start(self.enabled()) {
            context.set_timer(TRANSFER, self.transfer.duration());
        } else {
            self.raise(INT_ERROR);
        }
    }

    /// The transfer's time is over.
    pub(super) fn finish_transfer(&mut self, context: &mut Context<'_>, memory: &mut DeviceMemory) {
        let done = self.transfer.finish(context, memory);
        self.raise(if done { INT_DMA } else { INT_ERROR });
    }

    fn enabled(&self) -> bool {
        self.control & CONTROL_ENABLE != 0
    }

    fn raise(&mut self, causes: u32) {
        self.int_status |= causes;
        self.events = self.events.saturating_add(causes.count_ones());
    }
}

/// `None` for an unknown opcode.
fn compute(opcode: u32, operand: u32) -> Option<u32> {
    match opcode {
        // From 34 on, the factorial has 32 factors of two.
        FACTORIAL => Some((1..=operand.min(34)).fold(1, u32::wrapping_mul)),
        SQUARE => Some(operand.wrapping_mul(operand)),
        POPCOUNT => Some(operand.count_ones()),
        _ => None,
    }
}
