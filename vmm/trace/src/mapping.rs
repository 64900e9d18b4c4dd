//! Mapped pieces of the trace file as atomic words; the only unsafe code of this crate.

use std::fs::File;
use std::io;
use std::sync::atomic::AtomicU64;

use memmap2::{MmapOptions, MmapRaw};

/// A piece of a file, mapped shared: what is stored is in the file.
#[derive(Debug)]
pub(crate) struct Mapping {
    raw: MmapRaw,
}

impl Mapping {
    /// Maps `length` bytes from `offset` (a multiple of the page size). They have to be allocated:
    /// a store to a hole of a full disk raises SIGBUS.
    pub(crate) fn new(file: &File, offset: u64, length: u64) -> io::Result<Self> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        Ok(Self { raw: MmapOptions::new().offset(offset).len(length).map_raw(file)? })
    }

    /// Its words.
    pub(crate) fn words(&self) -> &[AtomicU64] {
        let words = self.raw.len() / size_of::<AtomicU64>();
        // SAFETY: the mapping starts on a page, so words are aligned; it is readable, writable and at
        // least this long, and stays until `raw`, which the slice borrows, is dropped. Threads and
        // processes that share it go through atomics or system calls.
        unsafe { std::slice::from_raw_parts(self.raw.as_ptr().cast::<AtomicU64>(), words) }
    }
}
