//! Device memory in this process's address space, announced to the bench.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::ptr;

use crate::bench::{self, Made};
use crate::system;

/// A mapping, until it is dropped.
pub struct Mapping {
    address: *mut u8,
    length: usize,
    /// What the bench knows it by; `None` for one that it wasn't told of.
    id: Option<u64>,
}

/// Where a mapping leads and how it came about.
pub struct Source<'a> {
    /// One of `barscope_guest_abi::path`.
    pub path: u64,
    /// What it is made of, for people.
    pub name: &'a str,
    /// Bus address that it leads to.
    pub physical_address: u64,
    /// Its pages come one by one.
    pub on_fault: bool,
}

impl Mapping {
    /// Maps a part of a file that stands for device memory, and tells the bench.
    ///
    /// # Errors
    /// What the system said.
    pub fn device(file: &File, offset: u64, length: usize, source: &Source<'_>) -> io::Result<Self> {
        let mut mapping = Self::plain(file, offset, length)?;
        mapping.id = Some(bench::map(&Made {
            path: source.path,
            virtual_address: mapping.address as u64,
            physical_address: source.physical_address,
            length: length as u64,
            on_fault: source.on_fault,
            call: &format!("mmap({}, {length}, offset {offset:#x})", source.name),
            file: source.name,
            offset,
        }));
        Ok(mapping)
    }

    /// Maps a part of any file.
    ///
    /// # Errors
    /// What the system said.
    pub fn plain(file: &File, offset: u64, length: usize) -> io::Result<Self> {
        Ok(Self { address: system::map(file, offset, length)?, length, id: None })
    }

    /// Has the kernel read a part of a file to here, from `offset` on.
    ///
    /// # Errors
    /// What the system said.
    pub fn read_from(&self, file: &File, position: u64, offset: usize, length: usize) -> io::Result<()> {
        assert!(offset + length <= self.length, "{offset:#x} lies outside the mapping");
        // SAFETY: inside the mapping, which nobody holds a reference to.
        unsafe { system::read_to(file, position, self.address.add(offset), length) }
    }

    /// Has the kernel write its first bytes to a file.
    ///
    /// # Errors
    /// What the system said.
    pub fn write_to(&self, file: &OwnedFd, length: usize) -> io::Result<()> {
        assert!(length <= self.length, "the mapping is shorter");
        // SAFETY: inside the mapping, which nobody holds a reference to.
        unsafe { system::write_from(file, self.address, length) }
    }

    /// Its first byte.
    pub fn address(&self) -> *mut u8 {
        self.address
    }

    /// One load of 32 bits.
    #[inline(always)]
    pub fn read(&self, offset: usize) -> u32 {
        assert!(offset + 4 <= self.length, "{offset:#x} lies outside the mapping");
        // SAFETY: inside the mapping; volatile, since a device isn't memory.
        unsafe { ptr::read_volatile(self.address.add(offset).cast()) }
    }

    /// One store of 32 bits.
    #[inline(always)]
    pub fn write(&self, offset: usize, value: u32) {
        assert!(offset + 4 <= self.length, "{offset:#x} lies outside the mapping");
        // SAFETY: inside the mapping; volatile, since a device isn't memory.
        unsafe { ptr::write_volatile(self.address.add(offset).cast(), value) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: nothing else holds the address.
        unsafe { system::unmap(self.address, self.length) };
        if let Some(id) = self.id {
            bench::unmap(id);
        }
    }
}

// SAFETY: a mapping is memory of the whole process, and its accesses are single volatile instructions.
unsafe impl Sync for Mapping {}
// SAFETY: no thread owns memory of the whole process.
unsafe impl Send for Mapping {}
