//! Entries into the kernel as `--count-entries` has them recorded, and the accesses between them.

use barscope_trace::event::{AccessEvent, Counted, EventKind, Id};

use super::Sample;

impl Sample {
    /// Records an entry of a process: by this system call, or a page fault.
    pub(crate) fn entry(&mut self, process: Id, call: Option<u64>) -> u64 {
        let address = if call.is_none() { super::MMAP } else { 0 };
        let what = Counted::KernelEntries;
        self.event(EventKind::Count { what, value: 1, address, error_code: 0, rip: 0, process, call })
    }

    /// Records a read by a process's program.
    pub(crate) fn program_reads(&mut self, process: Id) -> u64 {
        let stack = self.stack(Some(process), &[], None);
        let read = self.user_read(8, 0);
        self.access(AccessEvent { stack, ..read })
    }
}
