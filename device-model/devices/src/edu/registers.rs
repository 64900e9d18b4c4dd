//! What the registers hold, and what comes of writes to them.

use barscope_device::{Context, DeviceMemory, Refused, VectorIndex};
use serde::{Deserialize, Serialize};

use super::{
    BUFFER_SIZE, COMMAND_INTERRUPT, COMMAND_START, COMMAND_TO_MEMORY, DMA_COMMAND, DMA_COUNT,
    DMA_DESTINATION, DMA_SOURCE, FACTORIAL, ID, ID_RESET, INT_ACKNOWLEDGE, INT_DMA, INT_FACTORIAL, INT_RAISE,
    INT_STATUS, LIVENESS, STATUS, STATUS_COMPUTING, STATUS_INTERRUPT,
};

/// The timer that ends a computation.
pub(super) const COMPUTATION: u8 = 0;
/// The timer that ends a transfer.
const TRANSFER: u8 = 1;

/// Device time in nanoseconds that a computation takes, beside one for each multiplication.
const COMPUTATION_NS: u64 = 1_000;
/// Device time in nanoseconds that a transfer takes.
const TRANSFER_NS: u64 = 100_000_000;
/// Where the buffer lies in the addresses that a transfer is given.
const BUFFER: u64 = 0x4_0000;
/// From here on factorials are multiples of 2^32.
const VANISHING: u32 = 34;

#[derive(Default, Serialize, Deserialize)]
pub(super) struct Registers {
    /// What LIVENESS reads as.
    liveness: u32,
    factorial: u32,
    status: u32,
    pub(super) int_status: u32,
    source: u64,
    destination: u64,
    count: u64,
    command: u64,
}

impl Registers {
    /// What the register at `offset` holds.
    pub(super) fn value(&self, offset: u64) -> Option<u64> {
        Some(match offset {
            ID => ID_RESET.into(),
            LIVENESS => self.liveness.into(),
            FACTORIAL => self.factorial.into(),
            STATUS => self.status.into(),
            INT_STATUS => self.int_status.into(),
            DMA_SOURCE => self.source,
            DMA_DESTINATION => self.destination,
            DMA_COUNT => self.count,
            DMA_COMMAND => self.command,
            _ => return None,
        })
    }

    /// Writes the register at `offset`, all of it.
    pub(super) fn write(
        &mut self,
        context: &mut Context<'_>,
        offset: u64,
        value: u64,
    ) -> Result<(), Refused> {
        let low = value as u32;
        match offset {
            LIVENESS => self.liveness = !low,
            FACTORIAL => return self.start_computation(context, low),
            STATUS => self.status = self.status & STATUS_COMPUTING | low & STATUS_INTERRUPT,
            INT_RAISE => self.raise(context, low),
            INT_ACKNOWLEDGE => self.int_status &= !low,
            DMA_SOURCE..=DMA_COMMAND if self.command & COMMAND_START != 0 => return Err(Refused::Busy),
            DMA_SOURCE => self.source = value,
            DMA_DESTINATION => self.destination = value,
            DMA_COUNT => self.count = value,
            DMA_COMMAND => return self.start_transfer(context, value),
            ID | INT_STATUS => return Err(Refused::ReadOnly),
            _ => return Err(Refused::Reserved),
        }
        Ok(())
    }

    pub(super) fn finish_computation(&mut self, context: &mut Context<'_>) {
        self.factorial = factorial(self.factorial);
        self.status &= !STATUS_COMPUTING;
        if self.status & STATUS_INTERRUPT != 0 {
            self.raise(context, INT_FACTORIAL);
        }
    }

    /// Of an address in guest memory, the low `bits` count.
    pub(super) fn finish_transfer(&mut self, context: &mut Context<'_>, buffer: &mut DeviceMemory, bits: u8) {
        let to_memory = self.command & COMMAND_TO_MEMORY != 0;
        if let Some((start, length)) = in_buffer(self.buffer_address(self.command), self.count) {
            let mut data = vec![0; length];
            // What became of it is among the effects: the driver isn't told. Nothing here lies past the
            // buffer's end, so that it refuses neither.
            if to_memory {
                buffer.load(start, &mut data).ok();
                let address = context.cut_address(self.destination, bits);
                context.dma_write(address, &data).ok();
            } else {
                let address = context.cut_address(self.source, bits);
                context.dma_read(address, &mut data).ok();
                buffer.store(start, &data).ok();
            }
        }
        self.command &= !COMMAND_START;
        if self.command & COMMAND_INTERRUPT != 0 {
            self.raise(context, INT_DMA);
        }
    }

    fn start_computation(&mut self, context: &mut Context<'_>, operand: u32) -> Result<(), Refused> {
        if self.status & STATUS_COMPUTING != 0 {
            return Err(Refused::Busy);
        }
        self.factorial = operand;
        self.status |= STATUS_COMPUTING;
        context.set_timer(COMPUTATION, COMPUTATION_NS + u64::from(operand));
        Ok(())
    }

    fn start_transfer(&mut self, context: &mut Context<'_>, command: u64) -> Result<(), Refused> {
        if command & COMMAND_START == 0 {
            return Ok(());
        }
        in_buffer(self.buffer_address(command), self.count).ok_or(Refused::Range)?;
        self.command = command;
        context.set_timer(TRANSFER, TRANSFER_NS);
        Ok(())
    }

    /// Which of the addresses is that in the buffer.
    fn buffer_address(&self, command: u64) -> u64 {
        if command & COMMAND_TO_MEMORY != 0 { self.source } else { self.destination }
    }

    fn raise(&mut self, context: &mut Context<'_>, bits: u32) {
        self.int_status |= bits;
        context.repeated_interrupts().insert(VectorIndex::ZERO);
    }
}

/// Where in the buffer `count` bytes from `address` on lie: offset and length, if all of them do.
fn in_buffer(address: u64, count: u64) -> Option<(u64, usize)> {
    let start = address.checked_sub(BUFFER)?;
    let end = start.checked_add(count).filter(|&end| end <= BUFFER_SIZE as u64)?;
    Some((start, (end - start) as usize))
}

/// `operand!`, modulo 2^32.
fn factorial(operand: u32) -> u32 {
    (1..=operand.min(VANISHING)).fold(1, u32::wrapping_mul)
}
