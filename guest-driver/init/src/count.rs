//! Entries into the kernel, which a trace of device accesses can't see: counted by the kernel itself, with
//! counters of this thread's system calls and page faults.

use std::fs::File;
use std::io::{self, Read};

use crate::{bench, system};

const SOFTWARE: u64 = 1;
const TRACEPOINT: u64 = 2;
const PAGE_FAULTS: u64 = 2;
/// The tracepoint that every system call passes.
const ENTER: &str = "/sys/kernel/tracing/events/raw_syscalls/sys_enter/id";
/// Words of `perf_event_attr` in its version of 2015.
const WORDS: usize = 14;

/// Counters of this thread.
pub struct Entries {
    calls: File,
    faults: File,
}

/// What was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// System calls.
    pub calls: u64,
    /// Page faults.
    pub faults: u64,
}

impl Entries {
    /// Starts counting.
    ///
    /// # Errors
    /// What the system said.
    pub fn new() -> io::Result<Self> {
        let number = std::fs::read_to_string(ENTER)?;
        let number = number.trim().parse().map_err(|_| io::Error::other("a tracepoint without a number"))?;
        Ok(Self { calls: counter(TRACEPOINT, number)?, faults: counter(SOFTWARE, PAGE_FAULTS)? })
    }

    /// What `work` enters the kernel for. It is run once before, so that its own code and stack are there.
    ///
    /// # Errors
    /// What the system said.
    // Inlined, so that what `work` does goes by the name of the caller.
    #[inline(always)]
    pub fn during(&self, mut work: impl FnMut()) -> io::Result<Counted> {
        let (faults, calls) = (value(&self.faults)?, value(&self.calls)?);
        work();
        let (calls_after, faults_after) = (value(&self.calls)?, value(&self.faults)?);
        // The call that read the counter is one of those that it counted.
        Ok(Counted { calls: calls_after - calls - 1, faults: faults_after - faults })
    }

    /// The same, told to the bench, between two marks.
    ///
    /// # Errors
    /// What the system said.
    #[inline(always)]
    pub fn told(&self, what: &str, mut work: impl FnMut()) -> io::Result<Counted> {
        let (begins, ends) = (format!("{what}: begin"), format!("{what}: end"));
        let counted = self.during(|| {
            bench::mark(&begins);
            work();
            bench::mark(&ends);
        })?;
        bench::count(barscope_guest_abi::counted::KERNEL_ENTRIES, counted.calls + counted.faults, 0);
        Ok(counted)
    }
}

fn counter(kind: u64, config: u64) -> io::Result<File> {
    let mut attributes = [0; WORDS];
    attributes[0] = kind | (size_of_val(&attributes) as u64) << 32;
    attributes[1] = config;
    system::open_counter(&attributes)
}

fn value(mut counter: &File) -> io::Result<u64> {
    let mut bytes = [0; 8];
    counter.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}
