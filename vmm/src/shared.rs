//! What all threads of a machine share.

use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use trace::{EventKind, Lane, WriteError};

use crate::console::Console;
use crate::dispatch::Dispatcher;
use crate::interned::Interned;
use crate::memory::GuestMemory;

/// What all threads of a machine share.
pub struct Shared {
    /// Functions and the ways to them.
    pub dispatcher: Dispatcher,
    /// Guest memory.
    pub memory: GuestMemory,
    /// Programs run in the guest that don't announce their mappings.
    pub foreign_programs: bool,
    interned: Mutex<Interned>,
    console: Mutex<Console<Box<dyn Write + Send>>>,
    stopping: AtomicBool,
    /// A bit for each vCPU that may still wake up by itself.
    awake: AtomicU64,
}

impl Shared {
    /// Brings the parts together.
    pub fn new(
        dispatcher: Dispatcher,
        memory: GuestMemory,
        interned: Interned,
        console: Console<Box<dyn Write + Send>>,
        cpus: u8,
        foreign_programs: bool,
    ) -> Self {
        Self {
            dispatcher,
            memory,
            foreign_programs,
            interned: Mutex::new(interned),
            console: Mutex::new(console),
            stopping: AtomicBool::new(false),
            awake: AtomicU64::new((1 << cpus) - 1),
        }
    }

    /// The definitions made so far.
    pub fn interned(&self) -> MutexGuard<'_, Interned> {
        self.interned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The serial port.
    pub fn console(&self) -> MutexGuard<'_, Console<Box<dyn Write + Send>>> {
        self.console.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records something that is not an access, at the device clock's present time.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn record(&self, lane: &mut Lane, vcpu: u8, kind: EventKind) -> Result<(), WriteError> {
        self.dispatcher.record(lane, Some(vcpu), self.dispatcher.now(), kind)
    }

    /// Records what there is no more room for in the trace, once.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn record_warnings(&self, lane: &mut Lane, vcpu: u8) -> Result<(), WriteError> {
        let warnings = self.interned().take_warnings();
        warnings.into_iter().try_for_each(|text| self.record(lane, vcpu, EventKind::Warning { text }))
    }

    /// Notes whether a vCPU may still wake up by itself; `true` if none of them may any more.
    pub fn note_asleep(&self, vcpu: u8, asleep: bool) -> bool {
        let bit = 1 << vcpu;
        if asleep {
            self.awake.fetch_and(!bit, Ordering::AcqRel) & !bit == 0
        } else {
            self.awake.fetch_or(bit, Ordering::AcqRel);
            false
        }
    }

    /// Asks every vCPU to leave at its next exit.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Whether vCPUs should leave.
    pub fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}
