//! Configuration space as bytes that know which of their bits software may write, and the list of
//! capabilities in it.
//!
//! PCI Local Bus 3.0, chapter 6; PCI Express Base, section 7.2 for the part above 256 bytes, where a
//! function without extended capabilities reads as zeros.
//!
//! All that it holds are these bytes: what capabilities have to remember, they keep here, so that reset,
//! save and restore are written once.

pub(crate) mod registers;

use crate::access_size::AccessSize;
use crate::bytes;
use crate::refused::Refused;

/// Bytes of configuration space that ECAM reaches; CONFIG_ADDRESS reaches the first 256.
const SIZE: usize = 4096;
/// Command register.
pub(crate) const COMMAND: usize = 0x04;
/// Command: respond to accesses of I/O BARs.
pub(crate) const COMMAND_IO_SPACE: u16 = 1 << 0;
/// Command: respond to accesses of memory BARs.
pub(crate) const COMMAND_MEMORY_SPACE: u16 = 1 << 1;
/// Command: the function may read and write memory by itself.
pub(crate) const COMMAND_BUS_MASTER: u16 = 1 << 2;
/// Command: don't assert the interrupt pin.
pub(crate) const COMMAND_INTERRUPT_DISABLE: u16 = 1 << 10;
/// Status register.
pub(crate) const STATUS: usize = 0x06;
/// Status: the function would assert its interrupt pin, were it not for Interrupt Disable.
pub(crate) const STATUS_INTERRUPT: u16 = 1 << 3;
/// Status: a transfer of the function ended because nobody claimed its address.
pub(crate) const STATUS_RECEIVED_MASTER_ABORT: u16 = 1 << 13;
/// Status: there is a list of capabilities.
const STATUS_CAPABILITIES: u16 = 1 << 4;
/// Header Type: 0, for a function that is no bridge.
pub(crate) const HEADER_TYPE: usize = 0x0e;
/// Header Type: there are other functions at this device number.
pub(crate) const HEADER_TYPE_MULTI_FUNCTION: u8 = 1 << 7;
/// Offset of the first capability.
const CAPABILITIES_POINTER: usize = 0x34;

/// Rules for the bits of one byte. Bits that no mask names never change.
#[derive(Clone, Copy, Default)]
struct Cell {
    reset: u8,
    writable: u8,
    write_one_to_clear: u8,
    /// Read-only to software; the function sets and clears them.
    reported: u8,
    /// Changeable ones that keep their value when the function is reset by itself.
    sticky: u8,
}

impl Cell {
    /// The byte's value after `new` was written over `old`.
    fn written(self, old: u8, new: u8) -> u8 {
        (old & !self.writable | new & self.writable) & !(new & self.write_one_to_clear)
    }

    /// The bits that can differ from their value after reset.
    fn changeable(self) -> u8 {
        self.writable | self.write_one_to_clear | self.reported
    }
}

/// A function's configuration space. Empty at first: the header, BARs and capabilities each lay out
/// their own part. Registers are little-endian; an access is carried out byte by byte, so that any
/// width and alignment does the right thing.
pub(crate) struct ConfigSpace {
    bytes: Box<[u8; SIZE]>,
    cells: Vec<Cell>,
}

impl ConfigSpace {
    /// All zeros, read-only.
    pub(crate) fn new() -> Self {
        Self { bytes: Box::new([0; SIZE]), cells: vec![Cell::default(); SIZE] }
    }

    /// Lays out bytes that hold `value` after reset.
    pub(crate) fn define(&mut self, offset: usize, value: &[u8]) {
        self.bytes[offset..offset + value.len()].copy_from_slice(value);
        for (cell, &value) in self.cells[offset..].iter_mut().zip(value) {
            cell.reset = value;
        }
    }

    /// Lets software write the bits that are set in `mask`.
    pub(crate) fn make_writable(&mut self, offset: usize, mask: &[u8]) {
        for (cell, &mask) in self.cells[offset..].iter_mut().zip(mask) {
            cell.writable = mask;
        }
    }

    /// Lets software clear the bits that are set in `mask`, by writing ones to them.
    pub(crate) fn make_write_one_to_clear(&mut self, offset: usize, mask: &[u8]) {
        for (cell, &mask) in self.cells[offset..].iter_mut().zip(mask) {
            cell.write_one_to_clear = mask;
        }
    }

    /// Marks the bits that are set in `mask` as the function's own: software only reads them.
    pub(crate) fn make_reported(&mut self, offset: usize, mask: &[u8]) {
        for (cell, &mask) in self.cells[offset..].iter_mut().zip(mask) {
            cell.reported = mask;
        }
    }

    /// Has the bits that are set in `mask` keep their value when the function is reset by itself: those that the
    /// specifications call sticky, and others that a Function Level Reset leaves alone.
    ///
    /// PCI Express Base 5.0, sections 7.4 and 6.6.2.
    pub(crate) fn make_sticky(&mut self, offset: usize, mask: &[u8]) {
        for (cell, &mask) in self.cells[offset..].iter_mut().zip(mask) {
            cell.sticky |= mask;
        }
    }

    /// Links capabilities, each an offset with its identifier, into a list in this order. What follows the
    /// two bytes of each one's head is the capability's to lay out.
    ///
    /// PCI Local Bus 3.0, section 6.7.
    pub(crate) fn list_capabilities(&mut self, list: impl Iterator<Item = (usize, u16)>) {
        let mut link = CAPABILITIES_POINTER;
        for (offset, id) in list {
            self.set_reset_bits(STATUS, &STATUS_CAPABILITIES.to_le_bytes());
            self.define(link, &[offset as u8]);
            self.define(offset, &[id as u8, 0]);
            link = offset + 1;
        }
    }

    /// Links extended capabilities, each an offset with its identifier and its version, the first one at 0x100.
    /// What follows the four bytes of each one's head is the capability's to lay out.
    ///
    /// PCI Express Base 5.0, section 7.6.3.
    pub(crate) fn list_extended_capabilities(&mut self, list: impl Iterator<Item = (usize, u16, u8)>) {
        let mut before: Option<usize> = None;
        for (offset, id, version) in list {
            if let Some(before) = before {
                self.set_reset_bits(before + 2, &((offset as u16) << 4).to_le_bytes());
            }
            self.define(offset, &(u32::from(version) << 16 | u32::from(id)).to_le_bytes());
            before = Some(offset);
        }
    }

    /// Sets the bits in `mask`, as after reset.
    fn set_reset_bits(&mut self, offset: usize, mask: &[u8]) {
        for (at, mask) in (offset..).zip(mask) {
            self.bytes[at] |= mask;
            self.cells[at].reset |= mask;
        }
    }

    /// The 16-bit register at `offset`.
    pub(crate) fn u16(&self, offset: usize) -> u16 {
        u16::from_le_bytes([self.bytes[offset], self.bytes[offset + 1]])
    }

    /// The 32-bit register at `offset`.
    pub(crate) fn u32(&self, offset: usize) -> u32 {
        u32::from(self.u16(offset + 2)) << 16 | u32::from(self.u16(offset))
    }

    /// Gives the bits of `mask` in the little-endian register at `offset` the value that they have in
    /// `value`, as the function does to report something.
    pub(crate) fn assign<const N: usize>(&mut self, offset: usize, mask: [u8; N], value: [u8; N]) {
        for ((byte, mask), value) in self.bytes[offset..].iter_mut().zip(mask).zip(value) {
            *byte = *byte & !mask | value & mask;
        }
    }

    /// Reads `size` bytes at `offset`.
    ///
    /// # Errors
    /// [`Refused::Reserved`] past the end.
    pub(crate) fn read(&self, offset: u64, size: AccessSize) -> Result<u64, Refused> {
        bytes::read_bytes(&*self.bytes, offset, size)
    }

    /// Writes the low `size` bytes of `value` at `offset`.
    ///
    /// # Errors
    /// As for [`ConfigSpace::read`].
    pub(crate) fn write(&mut self, offset: u64, size: AccessSize, value: u64) -> Result<(), Refused> {
        let range = bytes::range(offset, size, SIZE)?;
        let cells = &self.cells[range.clone()];
        for ((byte, cell), value) in self.bytes[range].iter_mut().zip(cells).zip(value.to_le_bytes()) {
            *byte = cell.written(*byte, value);
        }
        Ok(())
    }

    /// Returns every byte to its value after power came.
    pub(crate) fn reset(&mut self) {
        for (byte, cell) in self.bytes.iter_mut().zip(&self.cells) {
            *byte = cell.reset;
        }
    }

    /// Returns every byte to its value after the function was reset by itself: sticky bits stay as they are.
    pub(crate) fn reset_function(&mut self) {
        for (byte, cell) in self.bytes.iter_mut().zip(&self.cells) {
            *byte = cell.reset & !cell.sticky | *byte & cell.sticky;
        }
    }

    /// Every byte.
    pub(crate) fn bytes(&self) -> &[u8] {
        &*self.bytes
    }

    /// Takes back what [`ConfigSpace::bytes`] gave. `false`, and nothing changes, unless they are a
    /// function's that is laid out like this one.
    pub(crate) fn restore(&mut self, bytes: &[u8]) -> bool {
        let fits = |(cell, byte): (&Cell, &u8)| (cell.reset ^ byte) & !cell.changeable() == 0;
        let fits = bytes.len() == SIZE && self.cells.iter().zip(bytes).all(fits);
        if fits {
            self.bytes.copy_from_slice(bytes);
        }
        fits
    }
}

#[cfg(test)]
mod tests;
