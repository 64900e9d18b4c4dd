//! Page tables (Intel SDM volume 3, section 4.5): 4 levels, reached through the direct map.
//!
//! | addresses            | what                                                         |
//! |----------------------|--------------------------------------------------------------|
//! | `0000000000400000`   | a program, its stack in the same 2 MiB                       |
//! | `0000400000000000`   | a program's mappings of devices                              |
//! | `ffff888000000000`   | direct map of memory                                         |
//! | `ffffc90000000000`   | ioremap range, 2 MiB                                         |
//! | `ffffffff80000000`   | kernel image                                                 |
//! | `ffffffffc0000000`   | fixed mappings of the chipset: ECAM, local APIC              |
//!
//! The upper half is the same in all address spaces: its top-level entries never change after boot.

use core::arch::asm;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Size of a page, in bytes.
pub const PAGE: u64 = 0x1000;
/// Size of a large page, in bytes.
pub const LARGE_PAGE: u64 = 0x20_0000;

/// Virtual address of physical address 0 in the direct map.
const DIRECT_MAP: u64 = 0xffff_8880_0000_0000;
/// Where `ioremap` maps devices. The first page of the range stays empty, as does one after each mapping.
pub const IOREMAP: u64 = 0xffff_c900_0000_0000;
/// Virtual address of physical address 0 in the kernel image.
pub const KERNEL_BASE: u64 = 0xffff_ffff_8000_0000;
/// Where fixed mappings begin.
const FIXED: u64 = 0xffff_ffff_c000_0000;
/// What one page-directory table can map.
const DIRECT_MAP_LIMIT: u64 = 1 << 30;
/// What the boot code's direct map has.
const BOOT_MAPPED: u64 = 8 << 20;

/// Bits of an entry.
pub mod flag {
    /// The page is there.
    pub const PRESENT: u64 = 1;
    /// It may be written.
    pub const WRITABLE: u64 = 1 << 1;
    /// Ring 3 may use it.
    pub const USER: u64 = 1 << 2;
    /// PWT: by the PAT that the boot code sets, WC.
    pub const WRITE_COMBINING: u64 = 1 << 3;
    /// PCD: by the same, UC-.
    pub const CACHE_DISABLE: u64 = 1 << 4;
    /// Accessed; set at once, so that the processor need not.
    pub const ACCESSED: u64 = 1 << 5;
    /// Dirty; set at once.
    pub const DIRTY: u64 = 1 << 6;
    /// A large page, in a page directory.
    pub const LARGE: u64 = 1 << 7;
    /// No instruction can be fetched from it.
    pub const NO_EXECUTE: u64 = 1 << 63;

    /// Readable data of the kernel.
    pub const DATA: u64 = PRESENT | WRITABLE | ACCESSED | DIRTY | NO_EXECUTE;
    /// Device memory for the kernel: what Linux's `ioremap` sets.
    pub const DEVICE: u64 = DATA | CACHE_DISABLE;
}

/// How accesses to a mapping of device memory go through the cache: its memory type.
#[derive(Clone, Copy)]
pub enum Caching {
    /// UC-: not at all. What Linux's `ioremap` and `pgprot_noncached` give.
    Uncached,
    /// WC: stores may wait and be joined. What Linux's `ioremap_wc` and `pgprot_writecombine` give.
    WriteCombining,
    /// WB: like memory. What Linux's `ioremap_cache` gives; wrong for registers.
    WriteBack,
}

impl Caching {
    /// The bits of a page-table entry.
    pub fn flags(self) -> u64 {
        match self {
            Caching::Uncached => flag::CACHE_DISABLE,
            Caching::WriteCombining => flag::WRITE_COMBINING,
            Caching::WriteBack => 0,
        }
    }
}

/// The physical address in an entry.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

unsafe extern "C" {
    /// The boot code's table for the lower half, linked at its physical address.
    safe static low_pdpt: u8;
}

static MAPPED_END: AtomicU64 = AtomicU64::new(BOOT_MAPPED);

/// Level of the entry that maps a 4 KiB page.
const PAGE_LEVEL: u32 = 0;
/// Level of the entry that maps a 2 MiB page.
const LARGE_PAGE_LEVEL: u32 = 1;
/// Level of the table that CR3 points at.
const ROOT_LEVEL: u32 = 3;

/// One entry of a page table.
#[derive(Clone, Copy)]
pub struct Entry(*mut u64);

impl Entry {
    /// The entry for `address` in the table at physical address `table`.
    fn of(table: u64, address: u64, level: u32) -> Self {
        let index = address >> (12 + 9 * level) & 0x1ff;
        Self(direct(table + index * 8) as *mut u64)
    }

    /// The entry's value.
    pub fn get(self) -> u64 {
        // SAFETY: entries lie in page tables, which the direct map has; volatile, since the
        // processor reads and writes them too.
        unsafe { self.0.read_volatile() }
    }

    /// Changes the entry.
    pub fn set(self, value: u64) {
        // SAFETY: as in `get`. Whoever changes an entry that was present also flushes it.
        unsafe { self.0.write_volatile(value) }
    }

    /// Physical address of the table that the entry points at.
    fn table(self) -> Option<u64> {
        let value = self.get();
        (value & flag::PRESENT != 0).then_some(value & ADDRESS)
    }
}

/// An address space, by the physical address of its top-level table: a CR3 value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Root(pub u64);

impl Root {
    /// The address space that is in use.
    pub fn active() -> Self {
        let root: u64;
        // SAFETY: reading CR3 changes nothing.
        unsafe { asm!("mov {}, cr3", out(reg) root, options(nomem, nostack, preserves_flags)) };
        Self(root & ADDRESS)
    }

    /// Uses this address space.
    pub fn activate(self) {
        // SAFETY: every address space has the kernel's upper half.
        unsafe { asm!("mov cr3, {}", in(reg) self.0, options(nostack, preserves_flags)) };
    }

    /// The entry that maps the page at `address`, if all tables above it exist.
    pub fn entry(self, address: u64) -> Option<Entry> {
        self.entry_at(address, PAGE_LEVEL)
    }

    fn entry_at(self, address: u64, level: u32) -> Option<Entry> {
        let mut table = self.0;
        for above in (level + 1..=ROOT_LEVEL).rev() {
            table = Entry::of(table, address, above).table()?;
        }
        Some(Entry::of(table, address, level))
    }

    /// The entry that maps the page at `address` of a program; tables that are missing come from
    /// `allocate`. `None` if that has no more.
    pub fn entry_or_build(self, address: u64, mut allocate: impl FnMut() -> Option<u64>) -> Option<Entry> {
        let mut table = self.0;
        for above in (PAGE_LEVEL + 1..=ROOT_LEVEL).rev() {
            let entry = Entry::of(table, address, above);
            table = match entry.table() {
                Some(below) => below,
                None => {
                    let below = allocate()?;
                    entry.set(below | flag::PRESENT | flag::WRITABLE | flag::USER | flag::ACCESSED);
                    below
                }
            };
        }
        Some(Entry::of(table, address, PAGE_LEVEL))
    }

    /// Takes over the kernel's half from `kernel`.
    pub fn share_kernel_half(self, kernel: Self) {
        for address in [DIRECT_MAP, IOREMAP, KERNEL_BASE] {
            Entry::of(self.0, address, ROOT_LEVEL).set(Entry::of(kernel.0, address, ROOT_LEVEL).get());
        }
    }
}

/// Drops `address` from the TLB.
pub fn flush(address: u64) {
    // SAFETY: flushing only costs time.
    unsafe { asm!("invlpg [{}]", in(reg) address, options(nostack, preserves_flags)) };
}

/// Extends the direct map over all of memory, of which `memory_end` is the end, and drops the
/// identity mapping that the boot code ran in. Gives the end of the direct map.
pub fn init(memory_end: u64) -> u64 {
    let root = Root::active();
    let end = memory_end.next_multiple_of(LARGE_PAGE).clamp(BOOT_MAPPED, DIRECT_MAP_LIMIT);
    for physical in (BOOT_MAPPED..end).step_by(LARGE_PAGE as usize) {
        if let Some(entry) = root.entry_at(direct(physical), LARGE_PAGE_LEVEL) {
            entry.set(physical | flag::DATA | flag::LARGE);
        }
    }
    MAPPED_END.store(end, Relaxed);
    set_identity(false);
    end
}

/// Has the active address space, which is the boot code's, map the first memory at its physical address
/// or not: a processor that starts runs there.
pub fn set_identity(on: bool) {
    let root = Root::active();
    let entry = Entry::of(root.0, 0, ROOT_LEVEL);
    let table = &raw const low_pdpt as u64;
    entry.set(if on { table | flag::PRESENT | flag::WRITABLE } else { 0 });
    root.activate();
}

/// Virtual address of `physical` in the direct map.
pub fn direct(physical: u64) -> u64 {
    DIRECT_MAP + physical
}

/// The bytes of memory from `physical` on, if the direct map has them: what firmware left there.
pub fn direct_bytes(physical: u64, length: u64) -> Option<&'static [u8]> {
    let end = physical.checked_add(length)?;
    // SAFETY: the direct map has them, and nothing writes firmware's tables.
    (end <= MAPPED_END.load(Relaxed))
        .then(|| unsafe { core::slice::from_raw_parts(direct(physical) as *const u8, length as usize) })
}

/// What a fixed mapping is for.
#[derive(Clone, Copy)]
pub enum Fixed {
    /// Configuration space of bus 0.
    Ecam = 0,
    /// The local APIC's registers.
    LocalApic = 1,
    /// The IOAPIC's registers.
    IoApic = 2,
}

/// Maps the 2 MiB around the device memory at `physical`; gives its virtual address.
pub fn map_fixed(what: Fixed, physical: u64) -> u64 {
    let address = FIXED + what as u64 * LARGE_PAGE;
    if let Some(entry) = Root::active().entry_at(address, LARGE_PAGE_LEVEL) {
        entry.set(physical & !(LARGE_PAGE - 1) | flag::DEVICE | flag::LARGE);
    }
    address + physical % LARGE_PAGE
}
