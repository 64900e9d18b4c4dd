//! Entries into Linux's kernel, of any program: system calls and page faults, as the kernel's own perf events tell them.
//!
//! Our first process has the kernel write each entry into a ring of the CPU that it happens on (`perf_event_open`), and
//! tells where the rings are. The kernel writes synchronously, so that what is in them when a vCPU exits happened before
//! the access that it exits for: it is recorded first. No thread is stopped, nothing is asked of the guest.
//!
//! What our first process does itself isn't recorded. Interrupts are no entries by a program, and other exceptions than
//! page faults, like `#UD`, have no event that tells each.

mod record;
mod ring;
#[cfg(test)]
mod tests;
mod threads;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use barscope_trace::definition::Process;
use barscope_trace::event::{EventKind, Id};
use barscope_trace::{Capability, Knowledge, Lane, WriteError};

pub use self::record::Tracepoints;
use self::record::{Record, What};
pub use self::ring::Ring;
use self::ring::Taken;
use self::threads::Threads;
use crate::dispatch::Dispatcher;
use crate::interned::SharedInterned;
use crate::lock::lock;
use crate::memory::GuestMemory;
use crate::platform::KvmPlatform;

/// Our first process.
const FIRST: u32 = 1;
/// What the trace tells by them.
const TOLD: [Capability; 2] = [Capability::KernelEntries, Capability::PageFaults];

/// Entries that the guest's kernel tells.
#[derive(Default)]
pub struct Entries {
    are_told: AtomicBool,
    told: Mutex<Option<Told>>,
}

/// Where they come from.
pub struct Told {
    rings: Vec<Ring>,
    tracepoints: Tracepoints,
    threads: Threads,
    /// What was taken and not given yet.
    later: Taken,
}

impl Told {
    /// By these rings.
    pub fn new(rings: Vec<Ring>, tracepoints: Tracepoints) -> Self {
        Self { rings, tracepoints, threads: Threads::default(), later: Taken::default() }
    }

    /// What came since, in the order of its times: all that CPUs wrote that have left the guest.
    fn take(&mut self, memory: &GuestMemory) -> Taken {
        let mut taken = std::mem::take(&mut self.later);
        self.take_from_rings(memory, &mut taken);
        if self.rings.len() < 2 {
            return taken;
        }
        // A CPU whose ring was looked at before another's may have written since what the other's records come after.
        let last = taken.records.iter().map(|(_, record)| record.time).max().unwrap_or(0);
        self.take_from_rings(memory, &mut taken);
        // What is lost has no time, and no thread whose other records it stands between.
        taken.records.sort_by_key(|(_, record)| record.time);
        let until = taken.records.partition_point(|(_, record)| record.time <= last);
        self.later.records = taken.records.split_off(until);
        taken
    }

    fn take_from_rings(&mut self, memory: &GuestMemory, taken: &mut Taken) {
        for ring in &mut self.rings {
            ring.take(memory, self.tracepoints, taken);
        }
    }
}

impl Entries {
    /// The guest's kernel tells them from here on.
    pub fn begin(&self, told: Told) {
        *lock(&self.told) = Some(told);
        self.are_told.store(true, Ordering::Release);
    }

    /// Whether the guest's kernel tells them.
    pub fn are_told(&self) -> bool {
        self.are_told.load(Ordering::Acquire)
    }

    /// Records what came since. What is recorded after that happened after it, as far as it is of the same thread.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn collect(
        &self,
        memory: &GuestMemory,
        interned: &SharedInterned,
        dispatcher: &Dispatcher<KvmPlatform>,
        lane: &mut Lane,
    ) -> Result<(), WriteError> {
        if !self.are_told() || !lane.stores() {
            return Ok(());
        }
        let record = |cpu, kind| dispatcher.record(lane, Some(cpu), dispatcher.now(), kind);
        if self.collect_to(memory, interned, record)? {
            for capability in TOLD {
                dispatcher.know(capability, Knowledge::Incomplete);
            }
            interned
                .lock()
                .warn("entries into the guest's kernel are missing: there were too many at once")?;
        }
        Ok(())
    }

    /// Gives what came since, with its CPU; whether something may be missing.
    fn collect_to(
        &self,
        memory: &GuestMemory,
        interned: &SharedInterned,
        mut record_it: impl FnMut(u8, EventKind) -> Result<(), WriteError>,
    ) -> Result<bool, WriteError> {
        // Held until all is recorded: who comes next has what is newer.
        let mut told = lock(&self.told);
        let Some(told) = &mut *told else { return Ok(false) };
        let Taken { records, mut incomplete } = told.take(memory);
        for (cpu, record) in records {
            incomplete |= matches!(record.what, What::Lost(_)) || told.threads.forget_too_many();
            for event in told.threads.take(&record).into_iter().flatten().filter(|_| record.process != FIRST)
            {
                // Whose it is has to be known.
                match told.process(interned, &record)? {
                    Some(process) => record_it(cpu, event.kind(process))?,
                    None => incomplete = true,
                }
            }
            if record.what == What::Ended {
                told.threads.forget(record.thread);
            }
        }
        Ok(incomplete)
    }
}

impl Told {
    /// The definition of the process, and the thread, that a record is of; `None` if there is no room for it.
    fn process(&mut self, interned: &SharedInterned, record: &Record) -> Result<Option<Id>, WriteError> {
        let (name, definition) = self.threads.known(record.thread);
        if definition.is_none() {
            let process = Process {
                address_space: 0,
                pid: record.process.into(),
                thread: (record.thread != record.process).then_some(record.thread.into()),
                name: name.to_owned(),
            };
            *definition = interned.lock().stacks.process(process)?;
        }
        Ok(*definition)
    }
}
