//! `ioremap`: device memory in the kernel's address space, page by page, mostly uncached.
//!
//! Every address space has these mappings, since all share the kernel's half; ring 3 can't use them.

use barscope_guest_abi::path;

use crate::bench;
use crate::lock::Lock;
use crate::paging::{Caching, IOREMAP, PAGE, Root, flag, flush};
use crate::text::Text;

/// Pages in the range: one page table, which the boot code has.
const PAGES: u64 = 512;
const MAPPINGS: usize = 8;

/// A mapping in use, in pages from the start of the range.
#[derive(Clone, Copy)]
struct Area {
    start: u64,
    pages: u64,
    /// Physical address of the first page.
    physical: u64,
}

impl Area {
    /// The first page after the area and its guard page.
    fn next(&self) -> u64 {
        self.start + self.pages + 1
    }
}

static AREAS: Lock<[Option<Area>; MAPPINGS]> = Lock::new([None; MAPPINGS]);

/// Mapped device memory; unmapped when dropped.
pub struct IoMemory {
    address: u64,
    slot: usize,
    area: Area,
    announced_as: u64,
}

impl IoMemory {
    /// Virtual address of its first byte.
    #[inline]
    pub fn address(&self) -> u64 {
        self.address
    }
}

impl Drop for IoMemory {
    fn drop(&mut self) {
        iounmap(self);
    }
}

/// Maps `size` bytes of device memory at `physical` on behalf of `who`, uncached. `None` if `size` is 0
/// or the range has no room.
pub fn ioremap(physical: u64, size: u64, who: &str) -> Option<IoMemory> {
    ioremap_as(Caching::Uncached, physical, size, who)
}

/// As [`ioremap`], with the memory type that `caching` says.
#[inline(never)]
pub fn ioremap_as(caching: Caching, physical: u64, size: u64, who: &str) -> Option<IoMemory> {
    let first = physical & !(PAGE - 1);
    let pages = physical.checked_add(size)?.checked_next_multiple_of(PAGE)?.checked_sub(first)? / PAGE;
    let (slot, area) = AREAS.with(|areas| {
        let slot = areas.iter().position(Option::is_none)?;
        let area = Area { start: room(areas, pages)?, pages, physical: first };
        *areas.get_mut(slot)? = Some(area);
        Some((slot, area))
    })?;
    for page in 0..pages {
        set_page(area.start + page, (first + page * PAGE) | flag::DATA | caching.flags());
    }
    let address = IOREMAP + area.start * PAGE + physical % PAGE;
    let call =
        Text::<64>::new().str(name(caching)).str("(0x").hex(physical, 1).str(", 0x").hex(size, 1).str(")");
    let announced_as = bench::map(&bench::Mapping {
        path: path::IOREMAP,
        virtual_address: address,
        physical_address: physical,
        length: size,
        address_space: 0,
        on_fault: false,
        who: who.as_bytes(),
        call: call.bytes(),
        file: b"",
        offset: 0,
    });
    Some(IoMemory { address, slot, area, announced_as })
}

/// What Linux calls the function.
fn name(caching: Caching) -> &'static str {
    match caching {
        Caching::Uncached => "ioremap",
        Caching::WriteCombining => "ioremap_wc",
        Caching::WriteBack => "ioremap_cache",
    }
}

/// The lowest run of `pages` free pages, its guard page included.
fn room(areas: &[Option<Area>; MAPPINGS], pages: u64) -> Option<u64> {
    let mut start = 1;
    while let Some(area) =
        areas.iter().flatten().find(|area| start < area.next() && area.start < start + pages + 1)
    {
        start = area.next();
    }
    (pages > 0 && pages <= PAGES - 1 - start).then_some(start)
}

/// Undoes the mapping, which nobody uses from here on. Dropping does it.
#[inline(never)]
pub fn iounmap(memory: &IoMemory) {
    for page in 0..memory.area.pages {
        set_page(memory.area.start + page, 0);
        flush(IOREMAP + (memory.area.start + page) * PAGE);
    }
    AREAS.with(|areas| {
        if let Some(area) = areas.get_mut(memory.slot) {
            *area = None;
        }
    });
    bench::unmap(memory.announced_as);
}

/// Whether any byte of the page at `physical` is mapped by [`ioremap`].
pub fn is_mapped(physical: u64) -> bool {
    AREAS.with(|areas| {
        areas.iter().flatten().any(|area| {
            (area.physical..area.physical + area.pages * PAGE).contains(&(physical & !(PAGE - 1)))
        })
    })
}

fn set_page(page: u64, value: u64) {
    if let Some(entry) = Root::active().entry(IOREMAP + page * PAGE) {
        entry.set(value);
    }
}
