//! Firmware's configuration writes: carried out before the guest starts, and recorded by what they change.

use barscope_trace::{EventKind, Lane};
use device_model::{Cycle, Region};

use super::{Dispatcher, lock};
use crate::firmware;
use crate::host::HostError;

impl Dispatcher {
    /// Gives BARs their addresses and lets functions decode them, as firmware does. The trace tells of it by
    /// changes of configuration registers and by routes, none with a cause.
    ///
    /// # Errors
    /// [`HostError`] if KVM or the trace fails.
    pub fn run_firmware(&self, lane: &mut Lane) -> Result<(), HostError> {
        let headers: Vec<_> =
            self.functions.iter().map(|slot| lock(&slot.function).header().clone()).collect();
        let headers: Vec<_> = headers.iter().collect();
        for write in firmware::writes(&headers) {
            let firmware::Write { function: index, offset, size, value } = write;
            let slot = &self.functions[index];
            let mut function = lock(&slot.function);
            let now = self.clock.now();
            let mut occurrences = Vec::new();
            let mut cycle = Cycle { now, cause: 0, memory: &self.memory, occurrences: &mut occurrences };
            // Every function has these registers, and configuration space takes any access to them.
            let old = function.read(&mut cycle, Region::Config, offset, size).unwrap_or(0);
            function.write(&mut cycle, Region::Config, offset, size, value).ok();
            let new = function.read(&mut cycle, Region::Config, offset, size).unwrap_or(0);
            if old != new {
                let region = Region::Config;
                let kind = EventKind::Change { function: slot.id, region, offset, old, new, cause: 0 };
                self.record(lane, None, now, kind)?;
            }
            self.settle(lane, index, &mut function, &occurrences)?;
        }
        Ok(())
    }
}
