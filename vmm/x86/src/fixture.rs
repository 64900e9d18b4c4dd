//! A guest without a vCPU: memory, page tables that a test fills, and registers that it sets.

use std::cell::RefCell;

use iced_x86::IcedError;
use iced_x86::code_asm::CodeAssembler;

use crate::memory::PhysicalMemory;
use crate::registers::Registers;

/// Flag bits of entries.
pub const PRESENT: u64 = 1;
pub const WRITABLE: u64 = 1 << 1;
pub const USER: u64 = 1 << 2;
pub const LARGE: u64 = 1 << 7;
/// What a kernel gives its own pages.
pub const KERNEL: u64 = PRESENT | WRITABLE;

/// Guest memory in bytes.
pub const MEMORY: u64 = 16 << 20;
/// Physical address of the top-level table; the others follow it.
pub const TOP_TABLE: u64 = 0x1000;
/// Where [`Guest::code`] puts code: virtual and physical.
pub const CODE: u64 = 0x40_0000;
pub const CODE_PHYSICAL: u64 = 0x10_0000;

/// Memory from address 0 up.
pub struct Memory(RefCell<Vec<u8>>);

impl PhysicalMemory for Memory {
    fn read_physical(&self, address: u64, data: &mut [u8]) -> bool {
        let memory = self.0.borrow();
        let found = usize::try_from(address).ok().and_then(|at| memory.get(at..)?.get(..data.len()));
        found.map(|found| data.copy_from_slice(found)).is_some()
    }
}

pub struct Guest {
    pub memory: Memory,
    pub registers: Registers,
    levels: u8,
    next_table: u64,
}

impl Guest {
    /// In 64-bit mode at ring 0, with empty page tables of 4 or 5 levels.
    pub fn new(levels: u8) -> Self {
        let mut registers =
            Registers { cr0: 0x8000_0001, cr3: TOP_TABLE, efer: 0x500, ..Registers::default() };
        registers.cr4 = if levels == 5 { 0x1020 } else { 0x20 };
        registers.cs.l = true;
        Self {
            memory: Memory(RefCell::new(vec![0; MEMORY as usize])),
            registers,
            levels,
            next_table: TOP_TABLE + 0x1000,
        }
    }

    /// Maps a page of 4 KiB.
    pub fn map(&mut self, page: u64, physical: u64, flags: u64) {
        self.map_at_level(1, page, physical, flags);
    }

    /// Maps a page by an entry at `level`: 1 for 4 KiB, 2 for 2 MiB, 3 for 1 GiB. Tables above it allow
    /// everything.
    pub fn map_at_level(&mut self, level: u8, page: u64, physical: u64, flags: u64) {
        let mut table = TOP_TABLE;
        for above in (level + 1..=self.levels).rev() {
            let place = entry_address(table, above, page);
            let mut entry = self.memory.read_entry(place).unwrap();
            if entry == 0 {
                entry = self.next_table | PRESENT | WRITABLE | USER;
                self.next_table += 0x1000;
                self.set_entry(place, entry);
            }
            table = entry & !0xfff;
        }
        let large = if level == 1 { 0 } else { LARGE };
        self.set_entry(entry_address(table, level, page), physical | flags | large);
    }

    /// Overwrites the page-table entry at physical `address`.
    pub fn set_entry(&self, address: u64, entry: u64) {
        self.write(address, &entry.to_le_bytes());
    }

    /// Writes to physical memory.
    pub fn write(&self, address: u64, bytes: &[u8]) {
        let at = usize::try_from(address).unwrap();
        self.memory.0.borrow_mut()[at..][..bytes.len()].copy_from_slice(bytes);
    }

    /// Puts `bytes` at [`CODE`], with RIP on the first of them.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.write(CODE_PHYSICAL, bytes);
        self.registers.rip = CODE;
    }

    /// Assembles code to [`CODE`], with RIP on its first instruction; its length.
    pub fn code(&mut self, code: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> u64 {
        let mut assembler = CodeAssembler::new(64).unwrap();
        code(&mut assembler).unwrap();
        let bytes = assembler.assemble(CODE).unwrap();
        self.bytes(&bytes);
        bytes.len() as u64
    }
}

/// Physical address of the entry for virtual `address` in a table of `level`.
fn entry_address(table: u64, level: u8, address: u64) -> u64 {
    table + (address >> (12 + 9 * (level - 1)) & 0x1ff) * 8
}
