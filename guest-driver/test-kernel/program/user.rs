//! What the program can do: a function for each number of [`common::system_call::routine`], whose
//! docs say what it does. Never inlined, since traces name them.

use common::bench::mark;
use common::system_call::{Errno, fill};
use common::{mmio, shapes};

use crate::lab::{Doorbells, Memory, Registers};
use crate::system_call::{count_begin, count_end, mmap, munmap, pause};

const PAGE: u64 = 0x1000;
/// How many writes, and how many reads, [`thousand_accesses`] makes.
const HALF: u32 = 500;

/// `EXCHANGE`.
#[inline(never)]
pub fn exchange(when: u64, value: u32) -> u64 {
    let registers = Registers::map(when);
    let found = registers.scratch();
    registers.set_scratch(value);
    u64::from(found)
}

/// `WRITE_AND_READ`.
#[inline(never)]
pub fn write_and_read(when: u64, value: u32) -> u64 {
    let registers = Registers::map(when);
    registers.set_scratch(value);
    u64::from(registers.scratch())
}

/// `READ_TEN_TIMES`.
#[inline(never)]
pub fn read_ten_times(when: u64) -> u64 {
    let registers = Registers::map(when);
    mark("first touch");
    let first = registers.scratch();
    mark("later touches");
    let later = (1..10).filter(|_| registers.scratch() == first).count();
    later as u64 + 1
}

/// `THOUSAND_ACCESSES`.
#[inline(never)]
pub fn thousand_accesses(when: u64, value: u32) -> u64 {
    let registers = Registers::map(when);
    count_begin();
    mark("a thousand accesses begin");
    for _ in 0..HALF {
        registers.set_scratch(value);
    }
    let right = (0..HALF).filter(|_| registers.scratch() == value).count();
    mark("a thousand accesses end");
    count_end();
    right as u64
}

/// `READ_PAUSE_READ`.
#[inline(never)]
pub fn read_pause_read(when: u64, expected: u32) -> u64 {
    let registers = Registers::map(when);
    let before = registers.scratch();
    pause();
    let after = registers.scratch();
    if before == expected { u64::from(after) } else { 0 }
}

/// `WRITE_AND_UNMAP`.
#[inline(never)]
pub fn write_and_unmap(when: u64, value: u32) -> u64 {
    let registers = Registers::map(when);
    registers.set_scratch(value);
    munmap(registers.address()).map_or_else(Errno::result, |()| 0)
}

/// `TOUCH_AFTER_UNMAP`.
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

/// `MAP_PAST_END`.
#[inline(never)]
pub fn map_past_end() -> u64 {
    // The registers are one page. The sums of the last two wrap: to 0, and to one page.
    const TRIES: [(u64, u64, &str); 6] = [
        (PAGE, PAGE, "mmap of a page right after the BAR"),
        (0, 2 * PAGE, "mmap of two pages"),
        (8, PAGE, "mmap from the middle of a page"),
        (0, 8, "mmap of a part of a page"),
        (PAGE.wrapping_neg(), PAGE, "mmap of the last page that an offset can reach"),
        (2 * PAGE, PAGE.wrapping_neg(), "mmap of almost everything"),
    ];
    let mut granted = 0;
    for &(offset, length, text) in &TRIES {
        mark(text);
        if mmap(offset, length, fill::UP_FRONT) == Err(Errno::INVALID) {
            mark("refused: EINVAL");
        } else {
            granted += 1;
        }
    }
    granted
}

/// `READ_ADDRESS`.
#[inline(never)]
pub fn read_address(address: u64) -> u64 {
    mark("read of an address that is not the program's");
    // SAFETY: the scenario chooses the address so that the program is stopped here.
    u64::from(unsafe { mmio::read32(address) })
}

/// `SHAPE`.
#[inline(never)]
pub fn shape(when: u64, shape: u64) -> u64 {
    let memory = Memory::map(when);
    // SAFETY: `map` has mapped as much as a shape needs.
    unsafe { shapes::play(shape, memory.address()) }
}

/// `WRITE_COMBINING`.
#[inline(never)]
pub fn write_combining(when: u64, value: u32) -> u64 {
    let memory = Memory::map_write_combining(when);
    memory.set_word(0, value);
    u64::from(memory.word(0))
}

/// `MAP_SECOND_PAGE`.
#[inline(never)]
pub fn map_second_page(when: u64, value: u32) -> u64 {
    let (whole, second) = (Memory::map(when), Memory::map_second_page(when));
    whole.set_word(0, !value);
    whole.set_word(PAGE, value);
    u64::from(second.word(0))
}

/// `READ_PAST_END`.
#[inline(never)]
pub fn read_past_end(when: u64) -> u64 {
    let registers = Registers::map_too_much(when);
    registers.scratch();
    u64::from(registers.after_the_end())
}

/// `COUNT_UP`.
#[inline(never)]
pub fn count_up(offset: u64, count: u32) -> u64 {
    let memory = Memory::map(fill::UP_FRONT);
    let mut right = 0;
    for number in 1..=count {
        memory.set_word(offset, number);
        right += u64::from(memory.word(offset) == number);
    }
    right
}

/// `RING_AND_READ_ON`.
#[inline(never)]
pub fn ring_and_read_on(when: u64) -> u64 {
    let doorbells = Doorbells::map(when);
    doorbells.ring();
    u64::from(doorbells.after_the_end())
}

/// `READ_ACROSS_END`.
#[inline(never)]
pub fn read_across_end(when: u64) -> u64 {
    let registers = Registers::map(when);
    mark("read across the end of the mapping");
    // SAFETY: the program is stopped here.
    unsafe { shapes::read_unaligned(registers.address() + PAGE - 4) }
}

/// `FLOAT_LOAD`.
#[inline(never)]
pub fn float_load(when: u64) -> u64 {
    let registers = Registers::map(when);
    registers.load_scratch_as_float();
    0
}
