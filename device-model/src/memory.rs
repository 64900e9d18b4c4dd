//! Memory inside a device, behind a BAR.

use crate::access_size::AccessSize;
use crate::bytes;
use crate::hex::Hex;
use crate::refused::Refused;

/// The place of the bytes of a [`DeviceMemory`]. A machine that lets guests reach them directly brings its
/// own, which guests change at any time.
pub trait Storage: Send {
    /// Fills `data` with the bytes from `offset` on, all of which exist.
    fn load(&self, offset: usize, data: &mut [u8]);

    /// Stores `data` at `offset`; all of these bytes exist.
    fn store(&mut self, offset: usize, data: &[u8]);
}

impl Storage for Box<[u8]> {
    fn load(&self, offset: usize, data: &mut [u8]) {
        data.copy_from_slice(&self[offset..offset + data.len()]);
    }

    fn store(&mut self, offset: usize, data: &[u8]) {
        self[offset..offset + data.len()].copy_from_slice(data);
    }
}

/// Plain bytes, little-endian, for accesses of any width and alignment. They are zero after reset.
pub struct DeviceMemory {
    size: usize,
    storage: Box<dyn Storage>,
}

impl DeviceMemory {
    /// `size` bytes.
    pub fn new(size: usize) -> Self {
        let bytes: Box<[u8]> = vec![0; size].into();
        Self { size, storage: Box::new(bytes) }
    }

    /// Size in bytes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Moves the content to `storage`, of which at least as many bytes exist, and keeps it there from
    /// then on: device and machine then share it.
    pub fn move_to(&mut self, mut storage: Box<dyn Storage>) {
        storage.store(0, &self.content());
        self.storage = storage;
    }

    /// Reads `size` bytes at `offset`.
    ///
    /// # Errors
    /// [`Refused::Reserved`] if any byte lies past the end.
    pub fn read(&self, offset: u64, size: AccessSize) -> Result<u64, Refused> {
        let range = bytes::range(offset, size, self.size)?;
        let mut data = [0; 8];
        self.storage.load(range.start, &mut data[..range.len()]);
        Ok(u64::from_le_bytes(data))
    }

    /// Writes the low `size` bytes of `value` at `offset`.
    ///
    /// # Errors
    /// As for [`DeviceMemory::read`]; then nothing was written.
    pub fn write(&mut self, offset: u64, size: AccessSize, value: u64) -> Result<(), Refused> {
        let range = bytes::range(offset, size, self.size)?;
        self.storage.store(range.start, &value.to_le_bytes()[..range.len()]);
        Ok(())
    }

    /// Fills `data` with the bytes from `offset` on.
    ///
    /// # Errors
    /// [`Refused::Reserved`] if any byte lies past the end.
    pub fn load(&self, offset: u64, data: &mut [u8]) -> Result<(), Refused> {
        let start = self.start(offset, data.len())?;
        self.storage.load(start, data);
        Ok(())
    }

    /// Stores `data` from `offset` on.
    ///
    /// # Errors
    /// As for [`DeviceMemory::load`]; then nothing was written.
    pub fn store(&mut self, offset: u64, data: &[u8]) -> Result<(), Refused> {
        let start = self.start(offset, data.len())?;
        self.storage.store(start, data);
        Ok(())
    }

    /// Zeroes it.
    pub fn reset(&mut self) {
        self.storage.store(0, &vec![0; self.size]);
    }

    /// Its bytes, to be saved, without the zeros at the end.
    pub fn save(&self) -> Hex {
        let mut content = self.content();
        content.truncate(content.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1));
        Hex(content)
    }

    /// Takes back what [`DeviceMemory::save`] gave. `false`, and nothing changes, if that is too long.
    pub fn restore(&mut self, saved: &Hex) -> bool {
        let fits = saved.0.len() <= self.size;
        if fits {
            self.reset();
            self.storage.store(0, &saved.0);
        }
        fits
    }

    fn content(&self) -> Vec<u8> {
        let mut content = vec![0; self.size];
        self.storage.load(0, &mut content);
        content
    }

    fn start(&self, offset: u64, length: usize) -> Result<usize, Refused> {
        let start = usize::try_from(offset).map_err(|_| Refused::Reserved)?;
        let end = start.checked_add(length).filter(|&end| end <= self.size);
        end.map(|_| start).ok_or(Refused::Reserved)
    }
}

#[cfg(test)]
mod tests {
    use crate::access_size::AccessSize::{Byte, Dword, Qword};
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Bytes that a machine shares.
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Storage for Shared {
        fn load(&self, offset: usize, data: &mut [u8]) {
            data.copy_from_slice(&self.0.lock().unwrap()[offset..offset + data.len()]);
        }

        fn store(&mut self, offset: usize, data: &[u8]) {
            self.0.lock().unwrap()[offset..offset + data.len()].copy_from_slice(data);
        }
    }

    #[test]
    fn content_moves_along_and_is_shared_from_then_on() {
        let bytes = Arc::new(Mutex::new(vec![0xff; 8]));
        let mut memory = DeviceMemory::new(4);
        memory.write(0, Dword, 0x4433_2211).unwrap();

        memory.move_to(Box::new(Shared(Arc::clone(&bytes))));
        assert_eq!(*bytes.lock().unwrap(), [0x11, 0x22, 0x33, 0x44, 0xff, 0xff, 0xff, 0xff]);

        bytes.lock().unwrap()[1] = 0xaa;
        assert_eq!(memory.read(0, Dword), Ok(0x4433_aa11));
    }

    #[test]
    fn blocks_end_with_the_memory() {
        let mut memory = DeviceMemory::new(8);

        assert_eq!(memory.store(5, &[1, 2, 3]), Ok(()));
        assert_eq!(memory.store(6, &[1, 2, 3]), Err(Refused::Reserved));
        assert_eq!(memory.load(u64::MAX, &mut [0; 2]), Err(Refused::Reserved));
        assert_eq!(memory.read(0, Qword), Ok(0x0302_0100_0000_0000));
    }

    #[test]
    fn what_is_saved_comes_back_over_other_content() {
        let mut memory = DeviceMemory::new(8);
        memory.write(2, Byte, 7).unwrap();
        let saved = memory.save();
        memory.write(0, Qword, u64::MAX).unwrap();

        assert!(memory.restore(&saved));
        assert_eq!(memory.read(0, Qword), Ok(0x0007_0000));
        assert!(!DeviceMemory::new(2).restore(&saved));
    }
}
