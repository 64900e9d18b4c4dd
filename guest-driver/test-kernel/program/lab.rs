//! The device's registers, mapped into the program.

use common::mmio;

use crate::give_up;
use crate::system_call::mmap;

const SIZE: u64 = 0x1000;
const SCRATCH: u64 = 0x08;

/// The registers, by their address.
#[derive(Clone, Copy)]
pub struct Registers(u64);

impl Registers {
    /// Maps the registers, filled as `when` says.
    pub fn map(when: u64) -> Self {
        match mmap(0, SIZE, when) {
            Ok(address) => Self(address),
            Err(_) => give_up(),
        }
    }

    /// Where they are mapped.
    pub fn address(self) -> u64 {
        self.0
    }

    /// Reads SCRATCH.
    #[inline(always)]
    pub fn scratch(self) -> u32 {
        // SAFETY: `map` has mapped it. Where the program reads it unmapped, it means to be stopped.
        unsafe { mmio::read32(self.0 + SCRATCH) }
    }

    /// Writes SCRATCH.
    #[inline(always)]
    pub fn set_scratch(self, value: u32) {
        // SAFETY: `map` has mapped it.
        unsafe { mmio::write32(self.0 + SCRATCH, value) }
    }
}
