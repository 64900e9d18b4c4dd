//! DMA between guest memory and BAR2: the registers DMA_ADDRESS to DMA_STATUS.

use barscope_device::{Context, DeviceMemory, DmaError};
use serde::{Deserialize, Serialize};

use super::map::{
    DMA_TO_MEMORY, MEMORY_SIZE, REASON_ADDRESS, REASON_BUS_MASTER, REASON_DISABLED, REASON_LENGTH,
    REASON_OFFSET, REASON_SHIFT, STATUS_BUSY, STATUS_DONE, STATUS_ERROR,
};

/// Device time in nanoseconds that a transfer takes, beside one for each byte.
const SETUP_NS: u64 = 1_000;

/// A transfer, as far as software has described it.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Transfer {
    pub(super) address: u64,
    pub(super) offset: u32,
    pub(super) length: u32,
    /// DMA_CONTROL without START.
    pub(super) control: u32,
    /// BUSY, DONE and ERROR have the places that they have in STATUS.
    pub(super) status: u32,
}

impl Transfer {
    pub(super) fn busy(&self) -> bool {
        self.status & STATUS_BUSY != 0
    }

    /// How long it takes in nanoseconds.
    pub(super) fn duration(&self) -> u64 {
        SETUP_NS + u64::from(self.length)
    }

    /// Starts it, if it lies in BAR2 and the device is `enabled`; whether it did.
    pub(super) fn start(&mut self, enabled: bool) -> bool {
        let (offset, length) = (u64::from(self.offset), u64::from(self.length));
        let reason = if !enabled {
            REASON_DISABLED
        } else if length == 0 || length > MEMORY_SIZE {
            REASON_LENGTH
        } else if offset + length > MEMORY_SIZE {
            REASON_OFFSET
        } else {
            self.status = STATUS_BUSY;
            return true;
        };
        self.fail(reason);
        false
    }

    /// Moves the bytes; whether that succeeded.
    pub(super) fn finish(&mut self, context: &mut Context<'_>, memory: &mut DeviceMemory) -> bool {
        let mut data = vec![0; self.length as usize];
        let offset = self.offset.into();
        // Neither offset nor length changed since `start` found them good: memory refuses neither.
        let outcome = if self.control & DMA_TO_MEMORY != 0 {
            memory.load(offset, &mut data).ok();
            context.dma_write(self.address, &data)
        } else {
            context.dma_read(self.address, &mut data).inspect(|()| {
                memory.store(offset, &data).ok();
            })
        };
        match outcome {
            Ok(()) => self.status = STATUS_DONE,
            Err(DmaError::BusMasterOff) => self.fail(REASON_BUS_MASTER),
            Err(DmaError::OutOfBounds) => self.fail(REASON_ADDRESS),
        }
        outcome.is_ok()
    }

    fn fail(&mut self, reason: u32) {
        self.status = STATUS_ERROR | reason << REASON_SHIFT;
    }
}
