//! Every BAR on the bus, placed and reached at both its ends.

use common::mmio;

use super::{Machine, Shown};
use crate::check::{Failure, equal};
use crate::ioremap::ioremap;
use crate::paging::PAGE;
use crate::pci::{Bar, Function, ROM, command};
use crate::port;

/// The ports or the word at the end of a BAR.
const WORD: u64 = 4;

/// Places the BARs of all functions that have no driver here, and reads the first and the last word of each BAR of
/// every function. What they answer is the device's: this only fails where a BAR has no address.
pub fn every_bar(machine: &Machine) -> Shown {
    let in_use = [machine.lab.as_ref(), machine.ticker.as_ref()];
    in_use.into_iter().flatten().try_for_each(visit)?;
    machine.bus.place_others(&in_use, |function, wanted| {
        let placed = function.bars().count() as u64;
        equal("BARs with an address", placed, wanted as u64)?;
        visit(function)
    })?;
    Ok("both ends of each were read")
}

fn visit(function: &Function) -> Result<(), Failure> {
    let spaces = command::MEMORY_SPACE | command::IO_SPACE;
    function.set_command(spaces, true);
    let visited = function.bars().try_for_each(|(index, bar)| {
        if bar.ports {
            read_port(bar.address);
            read_port(bar.address + bar.size - WORD);
            return Ok(());
        }
        if index == ROM {
            function.set_rom(true);
        }
        let read = read_word(bar, 0).and_then(|()| read_word(bar, bar.size - WORD));
        if index == ROM {
            function.set_rom(false);
        }
        read
    });
    function.set_command(spaces, false);
    visited
}

#[inline(never)]
fn read_port(address: u64) {
    port::read32(address as u16);
}

#[inline(never)]
fn read_word(bar: Bar, offset: u64) -> Result<(), Failure> {
    let address = bar.address + offset;
    let page = address & !(PAGE - 1);
    let memory = ioremap(page, PAGE, "every_bar::read_word").ok_or(Failure::Reason("no room for ioremap"))?;
    // SAFETY: the page is mapped, and the word lies in it.
    unsafe { mmio::read32(memory.address() + (address - page)) };
    Ok(())
}
