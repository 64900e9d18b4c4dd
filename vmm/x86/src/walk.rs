//! The guest's page tables, walked in mapped guest memory. Intel SDM volume 3, "4-Level Paging and
//! 5-Level Paging".

use crate::memory::PhysicalMemory;
use crate::registers::{Paging, Registers};

const PRESENT: u64 = 1;
const WRITABLE: u64 = 1 << 1;
const USER: u64 = 1 << 2;
const LARGE: u64 = 1 << 7;
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// Accessed and Dirty, which the processor sets by itself: two walks that differ in them are one.
pub const ACCESSED_DIRTY: u64 = 0x60;

/// A successful walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageWalk {
    /// The top-level table's physical address; 0 with paging off.
    pub cr3: u64,
    /// Virtual address of the page.
    pub page: u64,
    /// Physical address of the page.
    pub physical: u64,
    /// Its size in bytes.
    pub page_size: u64,
    /// Entries from the top level down; the first `depth` are used.
    entries: [u64; 5],
    depth: u8,
    /// 4 or 5; 0 with paging off.
    pub levels: u8,
}

impl PageWalk {
    /// The entries met, top level first.
    #[inline]
    pub fn entries(&self) -> &[u64] {
        &self.entries[..usize::from(self.depth)]
    }

    /// The entry that maps the page; 0 with paging off.
    #[inline]
    pub fn leaf(&self) -> u64 {
        self.entries().last().copied().unwrap_or(0)
    }

    /// Ring 3 may use it.
    pub fn user(&self) -> bool {
        self.levels != 0 && self.entries().iter().all(|entry| entry & USER != 0)
    }

    /// Writes are allowed.
    pub fn writable(&self) -> bool {
        self.entries().iter().all(|entry| entry & WRITABLE != 0)
    }

    /// Physical address of virtual `address`, which lies in the page.
    #[inline]
    pub fn translate(&self, address: u64) -> u64 {
        self.physical | (address & (self.page_size - 1))
    }
}

/// Walks to the page of virtual `address`. `None` if an entry isn't present or lies outside memory, and
/// with 32-bit paging.
#[inline]
pub fn walk(memory: &impl PhysicalMemory, registers: &Registers, address: u64) -> Option<PageWalk> {
    match registers.paging() {
        Paging::Off => Some(PageWalk {
            cr3: 0,
            page: address & !0xfff,
            physical: address & !0xfff,
            page_size: 4096,
            entries: [0; 5],
            depth: 0,
            levels: 0,
        }),
        Paging::Legacy => None,
        Paging::Long { levels } => walk_long(memory, registers.address_space(), levels, address),
    }
}

#[inline]
fn walk_long(memory: &impl PhysicalMemory, cr3: u64, levels: u8, address: u64) -> Option<PageWalk> {
    let mut walk = PageWalk { cr3, page: 0, physical: 0, page_size: 0, entries: [0; 5], depth: 0, levels };
    let mut table = cr3;
    for level in (1..=levels).rev() {
        let shift = 12 + 9 * u32::from(level - 1);
        let entry = memory.read_entry(table + ((address >> shift) & 0x1ff) * 8)?;
        walk.entries[usize::from(walk.depth)] = entry;
        walk.depth += 1;
        if entry & PRESENT == 0 {
            return None;
        }
        let leaf = level == 1 || (level <= 3 && entry & LARGE != 0);
        if leaf {
            walk.page_size = 1 << shift;
            walk.physical = entry & ADDRESS & !(walk.page_size - 1);
            walk.page = address & !(walk.page_size - 1);
            return Some(walk);
        }
        table = entry & ADDRESS;
    }
    None
}

/// Copies `data.len()` bytes from virtual `address`, page by page; how many it got before a page that
/// isn't mapped or isn't memory.
#[inline]
pub fn read_virtual(
    memory: &impl PhysicalMemory,
    registers: &Registers,
    address: u64,
    data: &mut [u8],
) -> usize {
    let mut done = 0;
    while done < data.len() {
        let at = address.wrapping_add(done as u64);
        let Some(walk) = walk(memory, registers, at) else { break };
        let rest = (walk.page_size - (at & (walk.page_size - 1))).min((data.len() - done) as u64);
        let end = done + usize::try_from(rest).unwrap_or(usize::MAX).min(data.len() - done);
        if !memory.read_physical(walk.translate(at), &mut data[done..end]) {
            break;
        }
        done = end;
    }
    done
}

#[cfg(test)]
mod tests;
