//! Configuration space as bytes that know which of their bits software may write, and the list of
//! capabilities in it.
//!
//! PCI Local Bus 3.0, chapter 6; PCI Express Base, section 7.2 for the part above 256 bytes, where a
//! function without extended capabilities reads as zeros.

use std::ops::Range;

use crate::bytes;
use crate::device::Refused;

/// Bytes of configuration space that ECAM reaches; CONFIG_ADDRESS reaches the first 256.
const SIZE: usize = 4096;
/// Status register.
pub(crate) const STATUS: usize = 0x06;
/// Status: there is a list of capabilities.
const STATUS_CAPABILITIES: u16 = 1 << 4;
/// Offset of the first capability.
const CAPABILITIES_POINTER: usize = 0x34;
/// Where capabilities may lie: behind the header, where CONFIG_ADDRESS still reaches.
const CAPABILITIES: Range<usize> = 0x40..0x100;

/// One byte: what it holds and what a write does to each of its bits. Bits that neither mask names
/// are read-only.
#[derive(Clone, Copy, Default)]
struct Cell {
    value: u8,
    reset: u8,
    writable: u8,
    write_one_to_clear: u8,
}

impl Cell {
    fn write(&mut self, value: u8) {
        self.value = (self.value & !self.writable) | (value & self.writable);
        self.value &= !(value & self.write_one_to_clear);
    }
}

/// A function's configuration space. Empty at first: the header, BARs and capabilities each lay out
/// their own part. Registers are little-endian; an access is carried out byte by byte, so that any
/// width and alignment does the right thing.
pub(crate) struct ConfigSpace {
    cells: Vec<Cell>,
    /// Where the offset of the next capability goes.
    capability_link: usize,
    /// The first free byte for it.
    capability_end: usize,
}

impl ConfigSpace {
    /// All zeros, read-only.
    pub(crate) fn new() -> Self {
        Self {
            cells: vec![Cell::default(); SIZE],
            capability_link: CAPABILITIES_POINTER,
            capability_end: CAPABILITIES.start,
        }
    }

    /// Lays out bytes that hold `value` after reset.
    pub(crate) fn define(&mut self, offset: usize, value: &[u8]) {
        for (cell, &value) in self.cells[offset..].iter_mut().zip(value) {
            cell.value = value;
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

    /// Adds a capability of `length` bytes, its two-byte head included, at the end of the list and
    /// returns its offset. What follows the head is the caller's to lay out.
    ///
    /// PCI Local Bus 3.0, section 6.7.
    ///
    /// # Panics
    /// If the 192 bytes behind the header can't hold it.
    pub(crate) fn add_capability(&mut self, id: u8, length: usize) -> usize {
        let offset = self.capability_end;
        let end = (offset + length).next_multiple_of(4);
        assert!(end <= CAPABILITIES.end, "capability {id:#04x} does not fit configuration space");
        self.define(STATUS, &STATUS_CAPABILITIES.to_le_bytes());
        self.define(self.capability_link, &[offset as u8]);
        self.define(offset, &[id, 0]);
        self.capability_link = offset + 1;
        self.capability_end = end;
        offset
    }

    /// The 16-bit register at `offset`.
    pub(crate) fn u16(&self, offset: usize) -> u16 {
        self.little_endian(offset..offset + 2) as u16
    }

    /// The 32-bit register at `offset`.
    pub(crate) fn u32(&self, offset: usize) -> u32 {
        self.little_endian(offset..offset + 4) as u32
    }

    /// Sets bits of the 16-bit register at `offset`, as the function does to report something.
    pub(crate) fn set_bits(&mut self, offset: usize, bits: u16) {
        for (cell, bits) in self.cells[offset..].iter_mut().zip(bits.to_le_bytes()) {
            cell.value |= bits;
        }
    }

    /// Reads `size` bytes (1, 2, 4 or 8) at `offset`.
    ///
    /// # Errors
    /// [`Refused::Width`] for another size, [`Refused::Reserved`] past the end.
    pub(crate) fn read(&self, offset: u64, size: u8) -> Result<u64, Refused> {
        Ok(self.little_endian(bytes::range(offset, size, SIZE)?))
    }

    /// Writes the low `size` bytes (1, 2, 4 or 8) of `value` at `offset`.
    ///
    /// # Errors
    /// As for [`ConfigSpace::read`].
    pub(crate) fn write(&mut self, offset: u64, size: u8, value: u64) -> Result<(), Refused> {
        for (cell, value) in self.cells[bytes::range(offset, size, SIZE)?].iter_mut().zip(value.to_le_bytes())
        {
            cell.write(value);
        }
        Ok(())
    }

    /// Returns every byte to its value after reset.
    pub(crate) fn reset(&mut self) {
        for cell in &mut self.cells {
            cell.value = cell.reset;
        }
    }

    fn little_endian(&self, range: Range<usize>) -> u64 {
        bytes::little_endian(self.cells[range].iter().map(|cell| cell.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_form_a_list_in_the_order_they_were_added() {
        let mut config = ConfigSpace::new();

        assert_eq!(config.add_capability(0x05, 14), 0x40);
        assert_eq!(config.add_capability(0x09, 8), 0x50);

        assert_eq!(config.read(0x34, 1), Ok(0x40));
        assert_eq!(config.read(0x40, 2), Ok(0x5005));
        assert_eq!(config.read(0x50, 2), Ok(0x0009));
        assert_eq!(config.read(0x06, 2), Ok(0x0010));
    }

    #[test]
    fn a_space_without_capabilities_has_no_list() {
        let config = ConfigSpace::new();

        assert_eq!(config.read(0x34, 1), Ok(0));
        assert_eq!(config.read(0x06, 2), Ok(0));
    }

    #[test]
    #[should_panic(expected = "capability 0x09 does not fit")]
    fn capabilities_past_256_bytes_are_refused() {
        ConfigSpace::new().add_capability(0x09, 193);
    }

    #[test]
    fn reset_takes_back_what_was_written() {
        let mut config = ConfigSpace::new();
        config.define(0x80, &[0x11, 0x22]);
        config.make_writable(0x80, &[0xf0, 0xff]);

        config.write(0x80, 2, 0xffff).unwrap();
        assert_eq!(config.u16(0x80), 0xfff1);

        config.reset();
        assert_eq!(config.u16(0x80), 0x2211);
    }
}
