//! Devices' timers, on the device clock.

use std::sync::atomic::Ordering;

use device_model::{Cycle, PciFunction};
use trace::{EventKind, Lane};

use super::{Dispatcher, lock};
use crate::host::HostError;

impl Dispatcher {
    /// The guest has nothing to do: a virtual clock jumps to the next deadline, and what is due happens.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn idle(&self, lane: &mut Lane, vcpu: u8) -> Result<(), HostError> {
        let Some(deadline) = self.next_deadline() else { return Ok(()) };
        if self.clock.jump(deadline) {
            self.record(lane, Some(vcpu), deadline, EventKind::ClockJump { to: deadline })?;
            self.run_timers(lane, deadline)?;
        }
        Ok(())
    }

    /// The earliest device time at which a function wants to be called.
    pub fn next_deadline(&self) -> Option<u64> {
        // What functions set meanwhile only lowers it again.
        self.deadline_bound.store(u64::MAX, Ordering::SeqCst);
        for slot in &self.functions {
            self.lower_deadline(&lock(&slot.function));
        }
        Some(self.deadline_bound.load(Ordering::SeqCst)).filter(|deadline| *deadline != u64::MAX)
    }

    pub(super) fn lower_deadline(&self, function: &PciFunction) {
        let deadline = function.next_deadline().unwrap_or(u64::MAX);
        self.deadline_bound.fetch_min(deadline, Ordering::SeqCst);
    }

    /// Lets every timer fire that is due at device time `now`, in the order of their deadlines.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn run_timers(&self, lane: &mut Lane, now: u64) -> Result<(), HostError> {
        while self.deadline_bound.load(Ordering::SeqCst) <= now {
            let due = self.functions.iter().enumerate().filter_map(|(index, slot)| {
                let deadline = lock(&slot.function).next_deadline()?;
                (deadline <= now).then_some((deadline, index))
            });
            if let Some((deadline, index)) = due.min() {
                let mut occurrences = Vec::new();
                let mut function = lock(&self.functions[index].function);
                function.advance(&mut Cycle {
                    now: deadline,
                    cause: 0,
                    memory: &self.memory,
                    occurrences: &mut occurrences,
                });
                self.settle(lane, index, &mut function, &occurrences)?;
            }
            self.next_deadline();
        }
        Ok(())
    }
}
