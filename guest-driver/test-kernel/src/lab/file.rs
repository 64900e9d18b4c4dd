//! The device file: what a process gets at the device through.

use common::system_call::{Errno, area};

use super::registers::DOORBELLS_BAR;
use super::{memory_bar, registers_bar};
use crate::bug::{self, Bug};
use crate::check::Failure;
use crate::paging::{Caching, PAGE};
use crate::pci::{Bar, Function};

/// An open device file. Needs nothing that `probe` maps: a process's mapping leads to the bus
/// address itself, past the driver's own mapping.
#[derive(Clone, Copy)]
pub struct File {
    registers: Bar,
    memory: Bar,
    doorbells: Option<Bar>,
}

/// What the `mmap` operation gives a process.
pub struct Grant {
    /// Bus address.
    pub physical: u64,
    /// The mapping's memory type.
    pub caching: Caching,
}

impl File {
    /// Opens the file of `function`, which may decode its BARs from now on.
    pub fn open(function: &Function) -> Result<Self, Failure> {
        function.enable();
        Ok(Self {
            registers: registers_bar(function)?,
            memory: memory_bar(function)?,
            doorbells: function.bar(DOORBELLS_BAR),
        })
    }

    /// The `mmap` operation: where `length` bytes from `offset` on lie, and how to map them.
    ///
    /// # Errors
    /// [`Errno::INVALID`] if they are no whole pages, or not all inside a BAR.
    #[inline(never)]
    pub fn mmap(self, offset: u64, length: u64) -> Result<Grant, Errno> {
        let area = offset >> area::SHIFT << area::SHIFT;
        let offset = offset - area;
        let (bar, caching) = match area {
            area::REGISTERS => (self.registers, Caching::Uncached),
            area::MEMORY => (self.memory, Caching::Uncached),
            area::MEMORY_WRITE_COMBINING => (self.memory, Caching::WriteCombining),
            area::UNCHECKED => return Ok(mmap_unchecked(self.registers, offset)),
            area::UNCHECKED_DOORBELLS => {
                let doorbells = self.doorbells.ok_or(Errno::INVALID)?;
                return Ok(mmap_unchecked(doorbells, offset));
            }
            _ => return Err(Errno::INVALID),
        };
        // By subtraction, so that no sum can wrap.
        let whole_pages = length != 0 && length.is_multiple_of(PAGE) && offset.is_multiple_of(PAGE);
        if !whole_pages || offset > bar.size || length > bar.size - offset {
            return Err(Errno::INVALID);
        }
        let offset = if bug::is(Bug::OffsetIgnored) { 0 } else { offset };
        Ok(Grant { physical: bar.address + offset, caching })
    }
}

/// What a driver gives that checks nothing: the BAR, and whatever lies after it.
fn mmap_unchecked(bar: Bar, offset: u64) -> Grant {
    Grant { physical: bar.address + offset, caching: Caching::Uncached }
}
