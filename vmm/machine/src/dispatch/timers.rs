//! Devices' timers, on the device clock.

use barscope_trace::{Clock, EventKind, Lane};
use device_model::Cycle;
use vmm_sys_util::eventfd::EventFd;

use super::{Dispatcher, lock};
use crate::host::HostError;

/// How many timers fire in one go: a device whose timers come faster than they can be served holds nobody up for
/// long.
const AT_ONCE: usize = 4096;

impl Dispatcher {
    /// The guest has nothing to do: a virtual clock jumps to the next deadline, and what is due happens.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn idle(&self, lane: &mut Lane, vcpu: u8) -> Result<(), HostError> {
        let Some(deadline) = self.next_deadline() else { return Ok(()) };
        if self.clock.jump(deadline) {
            self.record(lane, Some(vcpu), deadline, EventKind::ClockJump { to_ns: deadline })?;
            self.run_timers(lane, deadline)?;
        }
        Ok(())
    }

    /// The earliest device time at which a function wants to be called.
    pub fn next_deadline(&self) -> Option<u64> {
        self.deadlines.earliest()
    }

    /// Readable when the earliest deadline has changed.
    pub fn deadline_changed(&self) -> &EventFd {
        self.deadlines.changed()
    }

    /// Lets timers fire that are due at device time `now`, in the order of their deadlines. On a virtual clock each
    /// does when it is due; on a host clock, which may be past that, now, and is told how late it is.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn run_timers(&self, lane: &mut Lane, now: u64) -> Result<(), HostError> {
        for _ in 0..AT_ONCE {
            let Some(index) = self.deadlines.due(now) else { return Ok(()) };
            let mut occurrences = Vec::new();
            let mut function = lock(&self.functions[index].function);
            // Another thread may have been here first.
            if let Some(deadline) = function.next_deadline().filter(|deadline| *deadline <= now) {
                let now = match self.clock.kind() {
                    Clock::Virtual => deadline,
                    Clock::Host => self.clock.now(),
                };
                let (memory, occurrences) = (&self.memory, &mut occurrences);
                function.advance(&mut Cycle { now, cause: 0, memory, occurrences });
            }
            self.settle(lane, index, &mut function, &occurrences)?;
            self.deadlines.set(index, function.next_deadline());
        }
        Ok(())
    }
}
