//! What the program can do: see [`common::system_call::routine`]. Never inlined: traces name them.

use common::bench::mark;
use common::mmio;
use common::system_call::{Errno, fill};

use crate::lab::Registers;
use crate::system_call::{count_begin, count_end, mmap, munmap, pause};

const PAGE: u64 = 0x1000;
/// How many writes, and how many reads, [`thousand_accesses`] makes.
const PAIRS: u32 = 500;

#[inline(never)]
pub fn exchange(when: u64, value: u32) -> u64 {
    let registers = Registers::map(when);
    let found = registers.scratch();
    registers.set_scratch(value);
    u64::from(found)
}

#[inline(never)]
pub fn write_and_read(when: u64, value: u32) -> u64 {
    let registers = Registers::map(when);
    registers.set_scratch(value);
    u64::from(registers.scratch())
}

#[inline(never)]
pub fn read_ten_times(when: u64) -> u64 {
    let registers = Registers::map(when);
    mark("first touch");
    let first = registers.scratch();
    mark("later touches");
    let later = (1..10).filter(|_| registers.scratch() == first).count();
    later as u64 + 1
}

#[inline(never)]
pub fn thousand_accesses(when: u64) -> u64 {
    let registers = Registers::map(when);
    mark("a thousand accesses begin");
    count_begin();
    let mut right = 0;
    for value in 0..PAIRS {
        registers.set_scratch(value);
        right += u64::from(registers.scratch() == value);
    }
    count_end();
    mark("a thousand accesses end");
    right
}

#[inline(never)]
pub fn read_pause_read(when: u64, expected: u32) -> u64 {
    let registers = Registers::map(when);
    let before = registers.scratch();
    pause();
    let after = registers.scratch();
    if before == expected { u64::from(after) } else { 0 }
}

#[inline(never)]
pub fn write_and_unmap(when: u64, value: u32) -> u64 {
    let registers = Registers::map(when);
    registers.set_scratch(value);
    munmap(registers.address()).map_or_else(Errno::result, |()| 0)
}

#[inline(never)]
pub fn touch_after_unmap(when: u64) -> u64 {
    let registers = Registers::map(when);
    let before = registers.scratch();
    if munmap(registers.address()).is_err() {
        return u64::from(before);
    }
    mark("touch after munmap");
    u64::from(registers.scratch())
}

#[inline(never)]
pub fn map_past_end() -> u64 {
    // The registers are one page.
    const TRIES: [(u64, u64); 6] = [
        (PAGE, PAGE),
        (0, 2 * PAGE),
        (8, PAGE),
        (0, 8),
        // Both sums wrap: to 0, and to one page.
        (PAGE.wrapping_neg(), PAGE),
        (PAGE, PAGE.wrapping_neg()),
    ];
    TRIES
        .iter()
        .filter(|&&(offset, length)| mmap(offset, length, fill::UP_FRONT) != Err(Errno::INVALID))
        .count() as u64
}

#[inline(never)]
pub fn read_address(address: u64) -> u64 {
    mark("read of an address that is not the program's");
    // SAFETY: the scenario chooses the address so that the program is stopped here.
    u64::from(unsafe { mmio::read32(address) })
}
