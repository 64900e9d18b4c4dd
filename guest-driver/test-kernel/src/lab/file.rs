//! The device file: what a process gets at the device through.

use common::system_call::{Errno, area};

use super::{memory_bar, registers_bar};
use crate::check::Failure;
use crate::paging::PAGE;
use crate::pci::{Bar, Function};

/// An open device file. Needs nothing that `probe` maps: a process's mapping leads to the bus
/// address itself, past the driver's own mapping.
#[derive(Clone, Copy)]
pub struct File {
    registers: Bar,
    memory: Bar,
}

impl File {
    /// Opens the file of `function`, which may decode its BARs from now on.
    pub fn open(function: &Function) -> Result<Self, Failure> {
        function.enable();
        Ok(Self { registers: registers_bar(function)?, memory: memory_bar(function)? })
    }

    /// The `mmap` operation: the bus address that `length` bytes from `offset` on lie at. Both are
    /// checked by subtraction, so that no sum can wrap.
    ///
    /// # Errors
    /// [`Errno::INVALID`] if they are no whole pages, or not all inside the BAR.
    #[inline(never)]
    pub fn mmap(self, offset: u64, length: u64) -> Result<u64, Errno> {
        let bar = match offset >> area::SHIFT << area::SHIFT {
            area::REGISTERS => self.registers,
            area::MEMORY => self.memory,
            _ => return Err(Errno::INVALID),
        };
        let offset = offset % (1 << area::SHIFT);
        let whole_pages = length != 0 && length.is_multiple_of(PAGE) && offset.is_multiple_of(PAGE);
        if !whole_pages || offset > bar.size || length > bar.size - offset {
            return Err(Errno::INVALID);
        }
        Ok(bar.address + offset)
    }
}
