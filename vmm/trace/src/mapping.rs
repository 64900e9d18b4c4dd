//! Mapped pieces of the trace file as atomic words; the only unsafe code of this crate.
//!
//! A store to a page behind the end of its file raises SIGBUS (`mmap(2)`), and anybody who may write the file may cut
//! it: `: > barscope.trace` would kill the run. See [`bus_error`] for what happens instead.

mod bus_error;

use std::fs::File;
use std::io;
use std::sync::atomic::AtomicU64;

use memmap2::{Advice, MmapOptions, MmapRaw};

use self::bus_error::Watched;

/// A piece of a file, mapped shared: what is stored is in the file.
#[derive(Debug)]
pub(crate) struct Mapping {
    /// Dropped first: nothing is watched that isn't mapped any more.
    watched: Watched,
    raw: MmapRaw,
}

impl Mapping {
    /// Maps `length` bytes from `offset` (a multiple of the page size). They have to be allocated:
    /// a store to a hole of a full disk raises SIGBUS.
    pub(crate) fn new(file: &File, offset: u64, length: u64) -> io::Result<Self> {
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let raw = MmapOptions::new().offset(offset).len(length).map_raw(file)?;
        Ok(Self { watched: Watched::new(raw.as_ptr().addr(), length)?, raw })
    }

    /// Whether a part of it had no file behind it when it was used: what was stored there is lost.
    #[inline]
    pub(crate) fn is_cut(&self) -> bool {
        self.watched.is_cut()
    }

    /// Has `length` bytes from `offset` get their pages, to be written, as the first stores would; what they hold stays.
    pub(crate) fn populate(&self, offset: usize, length: usize) -> io::Result<()> {
        self.raw.advise_range(Advice::PopulateWrite, offset, length)
    }

    /// Its words.
    #[inline]
    pub(crate) fn words(&self) -> &[AtomicU64] {
        let words = self.raw.len() / size_of::<AtomicU64>();
        // SAFETY: the mapping starts on a page, so words are aligned; it is readable, writable and at
        // least this long, and stays until `raw`, which the slice borrows, is dropped. Threads and
        // processes that share it go through atomics or system calls.
        unsafe { std::slice::from_raw_parts(self.raw.as_ptr().cast::<AtomicU64>(), words) }
    }
}
