//! What all threads of a machine share.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use barscope_trace::{EventKind, Lane, WriteError};

use crate::chipset::Chipset;
use crate::console::Console;
use crate::dispatch::Dispatcher;
use crate::entries::Entries;
use crate::interned::{Interned, SharedInterned};
use crate::isolation::Isolation;
use crate::lock::lock;
use crate::memory::GuestMemory;
use crate::platform::KvmPlatform;
use crate::threads::{Relay, Requests, Sleepers};
use crate::turn::Turn;

/// How many call stacks were taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StackCount {
    /// All of them.
    pub taken: u64,
    /// Of those, the ones that a vCPU had at hand from before.
    pub at_hand: u64,
}

impl StackCount {
    /// The part that was at hand in percent, if any was taken.
    pub fn percent_at_hand(&self) -> Option<f64> {
        (self.taken > 0).then(|| 100.0 * self.at_hand as f64 / self.taken as f64)
    }
}

/// What all threads of a machine share.
pub struct Shared {
    /// Functions and the ways to them.
    pub dispatcher: Dispatcher<KvmPlatform>,
    /// Guest memory.
    pub memory: GuestMemory,
    /// Programs run in the guest that don't announce their mappings.
    pub foreign_programs: bool,
    /// Who reads what the guest tells in bulk.
    pub requests: Requests,
    /// Whether programs have page tables of their own.
    pub isolation: Isolation,
    /// Which vCPUs sleep.
    pub sleepers: Sleepers,
    /// What accesses refer to.
    pub interned: SharedInterned,
    /// Entries into the guest's kernel, if that tells them.
    pub entries: Entries,
    /// What answers at fixed ports.
    pub chipset: Chipset,
    /// How many call stacks vCPUs that have left took.
    stacks: Mutex<StackCount>,
    console: Mutex<Console<Relay>>,
    stopping: AtomicBool,
    /// What the guest can fetch: the length of an archive, and the archive.
    pub for_guest: Vec<u8>,
    /// How far a turn is.
    pub turn: Turn,
}

impl Shared {
    /// Brings the parts together.
    #[expect(clippy::too_many_arguments, reason = "each is another part")]
    pub fn new(
        dispatcher: Dispatcher<KvmPlatform>,
        memory: GuestMemory,
        interned: Interned,
        (console, chipset): (Console<Relay>, Chipset),
        requests: Requests,
        cpus: u8,
        foreign_programs: bool,
        for_guest: Vec<u8>,
    ) -> Self {
        Self {
            dispatcher,
            memory,
            foreign_programs,
            requests,
            isolation: Isolation::default(),
            sleepers: Sleepers::new(cpus),
            interned: SharedInterned::new(interned),
            entries: Entries::default(),
            chipset,
            stacks: Mutex::default(),
            console: Mutex::new(console),
            stopping: AtomicBool::new(false),
            for_guest,
            turn: Turn::default(),
        }
    }

    /// The serial port.
    pub fn console(&self) -> MutexGuard<'_, Console<Relay>> {
        lock(&self.console)
    }

    /// Records something that is not an access, at the device clock's present time.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn record(&self, lane: &mut Lane, vcpu: u8, kind: EventKind) -> Result<(), WriteError> {
        self.dispatcher.record(lane, Some(vcpu), self.dispatcher.now(), kind)
    }

    /// Records which entries into its kernel the guest told since.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn collect_entries(&self, lane: &mut Lane) -> Result<(), WriteError> {
        self.entries.collect(&self.memory, &self.interned, &self.dispatcher, lane)
    }

    /// Records what there is no more room for in the trace, once.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn record_warnings(&self, lane: &mut Lane, vcpu: u8) -> Result<(), WriteError> {
        let warnings = self.interned.lock().take_warnings();
        warnings.into_iter().try_for_each(|text| self.record(lane, vcpu, EventKind::Warning { text }))
    }

    /// How many call stacks were taken by vCPUs that have left.
    pub fn stacks(&self) -> MutexGuard<'_, StackCount> {
        lock(&self.stacks)
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
