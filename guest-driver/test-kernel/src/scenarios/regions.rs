//! BARs and the ROM: where they are, and what else is there.

use common::mmio;
use common::system_call::{fill, routine};

use super::{Shown, process, run_to_exit};
use crate::check::{Failure, equal};
use crate::ioremap::{IoMemory, ioremap};
use crate::lab;
use crate::lab::registers::{DOORBELL_COUNT, MEMORY_BAR, MESSAGES_BAR, REGISTERS_BAR};
use crate::paging::{Caching, PAGE};
use crate::pci::{Bar, Function, ROM, command};
use crate::ticker;

const ALL_ONES: u64 = 0xffff_ffff;
/// What an image begins with.
const ROM_SIGNATURE: u64 = 0xaa55;
/// Where [`moved_by_halves`] puts the memory: both halves change.
const ELSEWHERE: u64 = 0x9_0010_0000;
/// Control of the last entry of the table of messages: masked, as it is after reset.
const LAST_MESSAGE_CONTROL: u64 = 7 * 16 + 12;

fn map(bar: Bar, size: u64, who: &str) -> Result<IoMemory, Failure> {
    ioremap(bar.address, size, who).ok_or(Failure::Reason("no room for ioremap"))
}

/// Reads the word at `offset`, within what is mapped.
#[inline(never)]
fn read_word(memory: &IoMemory, offset: u64) -> u64 {
    // SAFETY: by the callers, it is mapped.
    u64::from(unsafe { mmio::read32(memory.address() + offset) })
}

/// Reads the ROM while it is decoded, and while it is not.
pub fn rom(function: &Function) -> Shown {
    function.enable();
    let bar = function.bar(ROM).ok_or(Failure::Reason("there is no ROM"))?;
    let memory = map(bar, bar.size, "regions::rom")?;
    function.set_rom(true);
    let on = read_word(&memory, 0);
    function.set_rom(false);
    let off = read_word(&memory, 0);
    equal("the ROM's signature", on & 0xffff, ROM_SIGNATURE)?;
    equal("the ROM while off", off, ALL_ONES)?;
    Ok("an image while enabled, all-ones else")
}

/// Ring 3 gets a whole page for a BAR of 256 bytes, in which another device's registers lie too.
pub fn sub_page_bar(function: &Function, ticker: &Function) -> Shown {
    let lab = lab::attach(function)?;
    ticker.enable();
    let before = lab.read(DOORBELL_COUNT);
    let mut process = process(function, routine::RING_AND_READ_ON, [fill::UP_FRONT, 0])?;
    equal("what lies after the doorbells", run_to_exit(&mut process)?, u64::from(ticker::PERIOD_RESET))?;
    equal("doorbells rung", u64::from(lab.read(DOORBELL_COUNT).wrapping_sub(before)), 1)?;
    Ok("ring 3 rang a doorbell, and read another device's register")
}

/// Uses the memory while the machine sees each access, while it sees none, and again.
pub fn direct_memory(function: &Function) -> Shown {
    let lab = lab::attach(function)?;
    let memory = lab::map_memory(function, PAGE, Caching::Uncached)?;
    let trapped = lab::exchange_first(&memory, 0xc0ff_ee1b);
    lab::serve_memory_directly(&lab, true);
    let direct = lab::exchange_first(&memory, 0xc0ff_ee1c);
    lab::serve_memory_directly(&lab, false);
    let trapped_again = read_word(&memory, 0);
    equal("memory while trapped", u64::from(trapped), 0xc0ff_ee1b)?;
    equal("memory while direct", u64::from(direct), 0xc0ff_ee1c)?;
    equal("memory while trapped again", trapped_again, 0xc0ff_ee1c)?;
    Ok("the memory kept its content each time")
}

/// Puts the registers where the messages are, and back.
pub fn overlap(function: &Function) -> Shown {
    let lab = lab::attach(function)?;
    lab::write_scratch(&lab, 0xc0ff_ee17);
    let registers = lab::registers_bar(function)?;
    let bar = function.bar(MESSAGES_BAR).ok_or(Failure::Reason("BAR 4 has no address"))?;
    let messages = map(bar, bar.size, "regions::overlap")?;
    for address in [bar.address, registers.address] {
        function.set_command(command::MEMORY_SPACE, false);
        function.move_bar(REGISTERS_BAR, address);
        function.set_command(command::MEMORY_SPACE, true);
    }
    equal("SCRATCH", u64::from(lab::read_scratch(&lab)), 0xc0ff_ee17)?;
    equal("control of a message", read_word(&messages, LAST_MESSAGE_CONTROL), 1)?;
    Ok("one of the two had to wait until the other was gone")
}

/// Moves the memory, which has a 64-bit address, without switching its decoding off.
pub fn moved_by_halves(function: &Function) -> Shown {
    function.enable();
    let bar = function.bar(MEMORY_BAR).ok_or(Failure::Reason("BAR 2 has no address"))?;
    let before = map(bar, PAGE, "regions::moved_by_halves")?;
    let written = u64::from(lab::exchange_first(&before, 0xc0ff_ee18));
    function.move_bar(MEMORY_BAR, ELSEWHERE);
    let by_old_mapping = read_word(&before, 0);
    let after = map(Bar { address: ELSEWHERE, ..bar }, PAGE, "regions::moved_by_halves")?;
    let moved = read_word(&after, 0);
    function.move_bar(MEMORY_BAR, bar.address);
    equal("memory before", written, 0xc0ff_ee18)?;
    equal("memory by the old mapping", by_old_mapping, ALL_ONES)?;
    equal("memory by a new mapping", moved, 0xc0ff_ee18)?;
    equal("memory after moving back", read_word(&before, 0), 0xc0ff_ee18)?;
    Ok("between the two writes it was at a third address")
}
