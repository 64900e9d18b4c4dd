//! Memory inside a device, behind a BAR.

use crate::bytes;
use crate::device::Refused;

/// Plain bytes, little-endian, for accesses of any width and alignment. They are zero after reset.
pub struct DeviceMemory(Box<[u8]>);

impl DeviceMemory {
    /// `size` bytes.
    pub fn new(size: usize) -> Self {
        Self(vec![0; size].into())
    }

    /// Reads `size` bytes (1, 2, 4 or 8) at `offset`.
    ///
    /// # Errors
    /// [`Refused::Width`] for another size, [`Refused::Reserved`] if any byte lies past the end.
    pub fn read(&self, offset: u64, size: u8) -> Result<u64, Refused> {
        let range = bytes::range(offset, size, self.0.len())?;
        Ok(bytes::little_endian(self.0[range].iter().copied()))
    }

    /// Writes the low `size` bytes (1, 2, 4 or 8) of `value` at `offset`.
    ///
    /// # Errors
    /// As for [`DeviceMemory::read`]; then nothing was written.
    pub fn write(&mut self, offset: u64, size: u8, value: u64) -> Result<(), Refused> {
        let range = bytes::range(offset, size, self.0.len())?;
        self.0[range].copy_from_slice(&value.to_le_bytes()[..size.into()]);
        Ok(())
    }

    /// Zeroes it.
    pub fn reset(&mut self) {
        self.0.fill(0);
    }
}
