//! The device's registers and memory, mapped into the program.

use core::arch::asm;

use common::system_call::area;
use common::{mmio, shapes};

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
        Self(map(area::REGISTERS, SIZE, when))
    }

    /// Maps a page too much, filled as `when` says, through the operation that does not check.
    pub fn map_too_much(when: u64) -> Self {
        Self(map(area::UNCHECKED, 2 * SIZE, when))
    }

    /// Reads what lies right after them.
    #[inline(always)]
    pub fn after_the_end(self) -> u32 {
        // SAFETY: `map_too_much` has mapped it.
        unsafe { mmio::read32(self.0 + SIZE) }
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

    /// Loads SCRATCH by the x87 unit, whose instructions KVM does not emulate, and drops it.
    #[inline(always)]
    pub fn load_scratch_as_float(self) {
        // SAFETY: `map` has mapped it; the register stack is left as it was.
        unsafe { asm!("fld dword ptr [{}]", "fstp st(0)", in(reg) self.0 + SCRATCH) };
    }

    /// Writes SCRATCH.
    #[inline(always)]
    pub fn set_scratch(self, value: u32) {
        // SAFETY: `map` has mapped it.
        unsafe { mmio::write32(self.0 + SCRATCH, value) }
    }
}

/// The beginning of the memory, by its address.
#[derive(Clone, Copy)]
pub struct Memory(u64);

impl Memory {
    /// Maps as much of the memory as [`shapes`] use, filled as `when` says.
    pub fn map(when: u64) -> Self {
        Self(map(area::MEMORY, shapes::SIZE, when))
    }

    /// Maps the second page alone.
    pub fn map_second_page(when: u64) -> Self {
        Self(map(area::MEMORY + SIZE, SIZE, when))
    }

    /// As [`Self::map`], write-combining.
    pub fn map_write_combining(when: u64) -> Self {
        Self(map(area::MEMORY_WRITE_COMBINING, shapes::SIZE, when))
    }

    /// Reads the word at `offset`, within what is mapped.
    #[inline(always)]
    pub fn word(self, offset: u64) -> u32 {
        // SAFETY: it is mapped; where the offset is wrong, the program is stopped.
        unsafe { mmio::read32(self.0 + offset) }
    }

    /// Writes the word at `offset`, within what is mapped.
    #[inline(always)]
    pub fn set_word(self, offset: u64, value: u32) {
        // SAFETY: as for reads.
        unsafe { mmio::write32(self.0 + offset, value) }
    }

    /// Where it is mapped.
    pub fn address(self) -> u64 {
        self.0
    }
}

/// The page that the doorbells lie in, by its address.
#[derive(Clone, Copy)]
pub struct Doorbells(u64);

impl Doorbells {
    /// How many bytes of the page are theirs.
    const SIZE: u64 = 0x100;

    /// Maps the whole page, filled as `when` says.
    pub fn map(when: u64) -> Self {
        Self(map(area::UNCHECKED_DOORBELLS, SIZE, when))
    }

    /// Rings the first.
    #[inline(always)]
    pub fn ring(self) {
        // SAFETY: it is mapped.
        unsafe { mmio::write32(self.0, 1) }
    }

    /// Reads what lies right after them, in the same page.
    #[inline(always)]
    pub fn after_the_end(self) -> u32 {
        // SAFETY: it is mapped.
        unsafe { mmio::read32(self.0 + Self::SIZE) }
    }
}

fn map(offset: u64, length: u64, when: u64) -> u64 {
    mmap(offset, length, when).unwrap_or_else(|_| give_up())
}
