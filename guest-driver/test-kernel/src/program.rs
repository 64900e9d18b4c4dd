//! The ring-3 program, which is part of the kernel's image, and how it gets into an address space.

use crate::field::{u16_at, u32_at, u64_at};
use crate::paging::{Entry, KERNEL_BASE, PAGE, flag};

/// Page-aligned, so that the file's own pages can be mapped.
#[repr(C, align(4096))]
struct PageAligned<T: ?Sized>(T);

static FILE: &PageAligned<[u8]> = &PageAligned(*include_bytes!(env!("TEST_KERNEL_PROGRAM")));

const SEGMENT_LOAD: u32 = 1;
const SEGMENT_EXECUTABLE: u32 = 1 << 0;
const SEGMENT_WRITABLE: u32 = 1 << 1;

/// The program as an ELF file.
pub fn file() -> &'static [u8] {
    &FILE.0
}

/// Maps the program's segments through `entry`, which gives the page-table entry for an address.
/// Gives the address of its first instruction; `None` if it can't be mapped.
pub fn map(mut entry: impl FnMut(u64) -> Option<Entry>) -> Option<u64> {
    let elf = file();
    let physical = elf.as_ptr() as u64 - KERNEL_BASE;
    let headers = elf.get(u64_at(elf, 32)? as usize..)?;
    let size = usize::from(u16_at(elf, 54)?);
    let count = usize::from(u16_at(elf, 56)?);
    for index in 0..count {
        let header = headers.get(index * size..)?;
        if u32_at(header, 0)? != SEGMENT_LOAD {
            continue;
        }
        let flags = u32_at(header, 4)?;
        let (offset, address, length) = (u64_at(header, 8)?, u64_at(header, 16)?, u64_at(header, 32)?);
        // By the linker script; a page of the file has to be a page of the program.
        if flags & SEGMENT_WRITABLE != 0 || offset % PAGE != address % PAGE {
            return None;
        }
        let access = if flags & SEGMENT_EXECUTABLE == 0 { flag::NO_EXECUTE } else { 0 };
        let skew = address % PAGE;
        for page in (0..skew + length).step_by(PAGE as usize) {
            let frame = physical + offset - skew + page;
            entry(address - skew + page)?.set(frame | flag::PRESENT | flag::USER | flag::ACCESSED | access);
        }
    }
    u64_at(elf, 24)
}
