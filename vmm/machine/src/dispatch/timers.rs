//! Devices' timers, on the device clock.

use barscope_device::PciFunction;
use barscope_trace::{Clock, EventKind, Lane};

use super::Dispatcher;
use crate::host::HostError;
use crate::lock::lock;
use crate::platform::Platform;

/// How many timers fire in one go: a device whose timers come faster than they can be served holds nobody up for
/// long.
const AT_ONCE: usize = 4096;

impl<P: Platform> Dispatcher<P> {
    /// The guest has nothing to do: a virtual clock jumps to the next deadline, and what is due happens.
    ///
    /// # Errors
    /// [`HostError`] if the trace can't be written, or the platform fails at an effect.
    pub fn idle(&self, lane: &mut Lane, vcpu: u8) -> Result<(), HostError> {
        let Some(deadline) = self.deadlines.earliest() else { return Ok(()) };
        if self.clock.jump(deadline) {
            self.record(lane, Some(vcpu), deadline, EventKind::ClockJump { to_ns: deadline })?;
            self.run_timers(lane, deadline)?;
        }
        Ok(())
    }

    /// Lets device time pass where the clock is virtual; each timer fires when it comes due.
    ///
    /// # Errors
    /// As [`Dispatcher::idle`].
    pub fn wait(&self, lane: &mut Lane, nanoseconds: u64) -> Result<(), HostError> {
        let until = self.now().saturating_add(nanoseconds);
        // From one deadline to the next: time in a trace doesn't go back.
        while let Some(deadline) = self.deadlines.earliest().filter(|deadline| *deadline <= until) {
            self.clock.jump(deadline);
            self.run_timers(lane, deadline)?;
        }
        if self.clock.jump(until) {
            self.record(lane, None, until, EventKind::ClockJump { to_ns: until })?;
        }
        Ok(())
    }

    /// Lets timers fire that are due at device time `now`, in the order of their deadlines. On a virtual clock each
    /// does when it is due; on a host clock, which may be past that, now, and is told how late it is.
    ///
    /// # Errors
    /// As [`Dispatcher::idle`].
    pub fn run_timers(&self, lane: &mut Lane, now: u64) -> Result<(), HostError> {
        for _ in 0..AT_ONCE {
            let Some(index) = self.deadlines.due(now) else { return Ok(()) };
            let mut guarded = lock(&self.functions[index].guarded);
            // Another thread may have been here first.
            let due = guarded.function.next_deadline().filter(|deadline| *deadline <= now);
            let Some(deadline) = due else {
                self.set_deadline(index, guarded.function.next_deadline());
                continue;
            };
            let now = match self.clock.kind() {
                Clock::Virtual => deadline,
                Clock::Host => self.now(),
            };
            self.call(&mut guarded, now, 0, PciFunction::advance);
            self.finish(lane, index, &mut guarded, self.writer.now_ns())?;
        }
        Ok(())
    }

    /// Notes a function's next deadline. Called with the function locked.
    pub(super) fn set_deadline(&self, index: usize, deadline: Option<u64>) {
        self.deadlines.set(index, deadline, |earliest| match self.clock.kind() {
            // It moves with accesses only, which look for themselves.
            Clock::Virtual => {}
            Clock::Host => self.platform.set_deadline(earliest),
        });
    }
}
