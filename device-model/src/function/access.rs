//! Calls of a function: accesses, doorbells, timers.

use super::PciFunction;
use crate::access_size::AccessSize;
use crate::address::Region;
use crate::config::{COMMAND, COMMAND_BUS_MASTER};
use crate::context::{BusContext, Context};
use crate::device::PciDevice;
use crate::refused::Refused;

/// What a call of the device may do to its state.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expects {
    Changes,
    Nothing,
}

impl PciFunction {
    /// Reads `size` bytes at `offset` of a region that is decoded now. Timers don't fire here: those that are
    /// due, the caller has had fire before ([`PciFunction::advance`]).
    ///
    /// # Errors
    /// [`Refused`] if nothing answers: the guest reads [`PciFunction::refused_read`].
    pub fn read(
        &mut self,
        bus: &mut BusContext<'_>,
        region: Region,
        offset: u64,
        size: AccessSize,
    ) -> Result<u64, Refused> {
        if region == Region::Config {
            return self.config.read(offset, size);
        }
        if let Some(msix) = self.capabilities.msix.as_ref().filter(|msix| msix.claims(region, offset)) {
            return msix.read(region, offset, size);
        }
        let expects = if self.is_plain(region, offset, false) { Expects::Nothing } else { Expects::Changes };
        let (now, cause) = (bus.now, bus.cause);
        self.call(bus, now, cause, expects, |device, context| device.read(context, region, offset, size))
    }

    /// The value that the guest reads where [`PciFunction::read`] refused; its low `size` bytes count.
    pub fn refused_read(&self, region: Region, offset: u64, size: AccessSize) -> u64 {
        let msix = self.capabilities.msix.as_ref().is_some_and(|msix| msix.claims(region, offset));
        if region == Region::Config || msix {
            u64::MAX
        } else {
            self.device.refused_read(region, offset, size)
        }
    }

    /// Writes the low `size` bytes of `value`; otherwise like [`PciFunction::read`].
    ///
    /// A configuration write adds an [`Effect::Decode`](crate::effect::Effect::Decode) for each region that is
    /// decoded differently from then on.
    ///
    /// # Errors
    /// [`Refused`] if the write is dropped.
    pub fn write(
        &mut self,
        bus: &mut BusContext<'_>,
        region: Region,
        offset: u64,
        size: AccessSize,
        value: u64,
    ) -> Result<(), Refused> {
        let (now, cause) = (bus.now, bus.cause);
        if region == Region::Config {
            self.write_config(offset, size, value)?;
            self.update_interrupts();
            self.report(bus, now, cause);
            return Ok(());
        }
        if let Some(msix) = self.capabilities.msix.as_mut().filter(|msix| msix.claims(region, offset)) {
            msix.write(region, offset, size, value)?;
            self.update_interrupts();
            self.report(bus, now, cause);
            return Ok(());
        }
        let expects = if self.is_plain(region, offset, true) { Expects::Nothing } else { Expects::Changes };
        self.call(bus, now, cause, expects, |device, context| {
            device.write(context, region, offset, size, value)
        })
    }

    /// The doorbell at `offset` of a region that is [`Backing::Doorbell`](crate::backing::Backing::Doorbell) was written
    /// `count` times.
    pub fn doorbell(&mut self, bus: &mut BusContext<'_>, region: Region, offset: u64, count: u64) {
        let (now, cause) = (bus.now, bus.cause);
        self.call(bus, now, cause, Expects::Changes, |device, context| {
            device.doorbell(context, region, offset, count);
        });
    }

    /// Fires the timers that are due at `bus.now`, earliest first. What they do happens at that time, because of
    /// the access that set them; how late they are, the device is told.
    pub fn advance(&mut self, bus: &mut BusContext<'_>) {
        let now = bus.now;
        // One that is set again comes after `now`.
        while let Some(timer) = self.timers.take_due(now) {
            self.call(bus, now, timer.cause, Expects::Changes, |device, context| {
                context.late = now - timer.deadline;
                device.timer(context, timer.index);
            });
        }
    }

    /// Device time in nanoseconds at which [`PciFunction::advance`] has something to do next.
    pub fn next_deadline(&self) -> Option<u64> {
        self.timers.next_deadline()
    }

    fn write_config(&mut self, offset: u64, size: AccessSize, value: u64) -> Result<(), Refused> {
        let before = self.decoding();
        let power = self.capabilities.power_state(&self.config);
        self.config.write(offset, size, value)?;
        if self.capabilities.take_reset(&mut self.config, power) {
            self.forget();
        }
        self.report_moves(&before);
        Ok(())
    }

    /// Calls the device at time `now` because of `cause`, and reports what it did. Where nothing is expected and it did
    /// nothing that it has to say itself, its state isn't looked at.
    fn call<R>(
        &mut self,
        bus: &mut BusContext<'_>,
        now: u64,
        cause: u64,
        expects: Expects,
        body: impl FnOnce(&mut dyn PciDevice, &mut Context<'_>) -> R,
    ) -> R {
        let bus_master = self.config.u16(COMMAND) & COMMAND_BUS_MASTER != 0;
        self.causes.clear();
        let mut context = Context {
            now,
            late: 0,
            cause,
            bus_master: bus_master && self.capabilities.awake(&self.config),
            memory: bus.memory,
            timers: &mut self.timers,
            effects: &mut self.effects,
            repeated: &mut self.causes,
        };
        let result = body(&mut *self.device, &mut context);
        // So that they differ from what is pending now.
        self.interrupts.causes.remove_all(&self.causes);
        if expects == Expects::Changes || !self.causes.is_empty() || !self.effects.is_empty() {
            self.report(bus, now, cause);
        }
        result
    }
}
