//! A virtual address space, read through its page tables.

use std::cell::Cell;

use barscope_x86::{PhysicalMemory, Registers, walk};

/// How many pages' places are kept.
const PLACES: usize = 16;
/// No page: addresses of pages end in zeros.
const NOTHING: u64 = 1;

/// The address space that a vCPU uses, while that stands still: page tables are walked once a page.
pub struct Space<'a, M> {
    memory: &'a M,
    registers: &'a Registers,
    /// Virtual and physical address of pages of 4 KiB.
    pages: [Cell<(u64, u64)>; PLACES],
}

impl<'a, M: PhysicalMemory> Space<'a, M> {
    /// That of a vCPU with these registers.
    pub fn new(memory: &'a M, registers: &'a Registers) -> Self {
        Self { memory, registers, pages: [const { Cell::new((NOTHING, 0)) }; PLACES] }
    }

    /// The vCPU's registers.
    pub fn registers(&self) -> &'a Registers {
        self.registers
    }

    /// The physical address that virtual `address` leads to; `None` if no page is there.
    #[inline]
    pub fn physical(&self, address: u64) -> Option<u64> {
        let page = address & !0xfff;
        let place = &self.pages[(address >> 12) as usize % PLACES];
        let (known, physical) = place.get();
        if known == page {
            return Some(physical | (address & 0xfff));
        }
        let found = walk(self.memory, self.registers, page)?.translate(page);
        place.set((page, found));
        Some(found | (address & 0xfff))
    }

    /// Fills `data` from virtual `address`; whether all of it is there.
    pub fn read(&self, address: u64, mut data: &mut [u8]) -> bool {
        let mut at = address;
        while !data.is_empty() {
            let Some(physical) = self.physical(at) else { return false };
            let (first, rest) = data.split_at_mut((0x1000 - (at & 0xfff) as usize).min(data.len()));
            if !self.memory.read_physical(physical, first) {
                return false;
            }
            at = at.wrapping_add(first.len() as u64);
            data = rest;
        }
        true
    }

    /// The 8 bytes at virtual `address`, little-endian.
    #[inline]
    pub fn word(&self, address: u64) -> Option<u64> {
        if address & 7 == 0 {
            self.memory.read_entry(self.physical(address)?)
        } else {
            self.number(address, 8)
        }
    }

    /// The `size` bytes at virtual `address`, little-endian; 8 at most.
    #[inline]
    pub fn number(&self, address: u64, size: usize) -> Option<u64> {
        let mut bytes = [0; 8];
        self.read(address, bytes.get_mut(..size)?).then(|| u64::from_le_bytes(bytes))
    }
}
