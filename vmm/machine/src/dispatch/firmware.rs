//! Firmware's configuration writes: carried out before the guest starts, and recorded by what they change.

use barscope_device::Region;
use barscope_trace::{EventKind, Lane};

use super::Dispatcher;
use crate::firmware;
use crate::host::HostError;
use crate::lock::lock;
use crate::perform::{Request, perform};
use crate::placement::Placement;
use crate::platform::Platform;

impl<P: Platform> Dispatcher<P> {
    /// Gives BARs the addresses of `placement` and lets functions decode them, as firmware does. The trace tells of it by
    /// changes of configuration registers and by routes, none with a cause.
    ///
    /// # Errors
    /// [`HostError`] if the platform or the trace fails.
    pub fn run_firmware(&self, placement: &Placement, lane: &mut Lane) -> Result<(), HostError> {
        for write in firmware::writes(placement, self.functions.len()) {
            let firmware::Write { function: index, offset, size, value } = write;
            let slot = &self.functions[index];
            let mut guarded = lock(&slot.guarded);
            let now = self.now();
            // Every function has these registers, and configuration space takes any access to them.
            let (old, new) = self.call(&mut guarded, now, 0, |function, bus| {
                let mut ask = |request| perform(function, bus, Region::Config, offset, request).value;
                let old = ask(Request::read(size.bytes() as u8));
                ask(Request::write(size.bytes() as u8, value));
                (old, ask(Request::read(size.bytes() as u8)))
            });
            if old != new {
                let region = Region::Config;
                let kind = EventKind::Change { function: slot.id, region, offset, old, new, cause: 0 };
                self.record(lane, None, now, kind)?;
            }
            self.finish(lane, index, &mut guarded, self.writer.now_ns())?;
        }
        Ok(())
    }
}
