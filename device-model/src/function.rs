//! A PCI function: a device with the configuration space, timers and bookkeeping around it.

use std::mem;

use crate::address::Region;
use crate::config::{ConfigSpace, STATUS};
use crate::context::{Context, Cycle};
use crate::device::{PciDevice, Refused};
use crate::dma::DmaError;
use crate::effect::{Decode, Effect, Occurrence};
use crate::header::{COMMAND, COMMAND_BUS_MASTER, ConfigHeader, STATUS_RECEIVED_MASTER_ABORT};
use crate::msi::MsiCapability;
use crate::register::RegisterMap;
use crate::timer::Timers;

/// A type-0 function, as the dispatcher sees it.
///
/// It answers configuration accesses itself and hands the others to its device. Whatever else comes
/// of a call is added to the cycle's occurrences, in this order: transfers, register changes, the
/// rest. So a register that announces a transfer changes after it, and an interrupt leaves when the
/// register that explains it is set.
pub struct PciFunction {
    device: Box<dyn PciDevice>,
    header: ConfigHeader,
    config: ConfigSpace,
    msi: Option<MsiCapability>,
    timers: Timers,
    watched: Vec<Watched>,
    /// Empty between calls; kept for its allocation.
    effects: Vec<Effect>,
}

/// A register whose changes are reported.
struct Watched {
    region: Region,
    offset: u64,
    last: Option<u64>,
}

impl PciFunction {
    /// A function after reset: nothing is decoded, no bus mastering, no interrupts.
    ///
    /// # Panics
    /// If the device's header can't exist: a BAR's size is no power of two or out of range, BARs
    /// overlap or lie out of order, the class exceeds 24 bits, MSI vectors are no power of two up to 32.
    pub fn new(device: Box<dyn PciDevice>) -> Self {
        let header = device.header();
        let mut config = ConfigSpace::new();
        header.define(&mut config);
        let msi = (header.msi_vectors > 0).then(|| MsiCapability::add(&mut config, header.msi_vectors));
        let watched = device
            .register_maps()
            .iter()
            .flat_map(|map| map.registers.iter().map(|register| (map.region, register)))
            .filter(|(_, register)| !register.volatile && !register.memory)
            .map(|(region, register)| Watched { region, offset: register.offset, last: None })
            .collect();
        let timers = Timers::default();
        let mut function = Self { device, header, config, msi, timers, watched, effects: Vec::new() };
        function.changes().for_each(drop);
        function
    }

    /// The device's short name.
    pub fn name(&self) -> &'static str {
        self.device.name()
    }

    /// Identity, BARs and interrupt vectors.
    pub fn header(&self) -> &ConfigHeader {
        &self.header
    }

    /// The device's registers, one map a region.
    pub fn register_maps(&self) -> &'static [RegisterMap] {
        self.device.register_maps()
    }

    /// Reads `size` bytes at `offset` of a region that is decoded now. Timers that are due have been
    /// fired ([`PciFunction::advance`]).
    ///
    /// # Errors
    /// [`Refused`] if nothing answers: the guest sees all-ones.
    pub fn read(
        &mut self,
        cycle: &mut Cycle<'_>,
        region: Region,
        offset: u64,
        size: u8,
    ) -> Result<u64, Refused> {
        if region == Region::Config {
            return self.config.read(offset, size);
        }
        let (now, cause) = (cycle.now, cycle.cause);
        self.call(cycle, now, cause, |device, context| device.read(context, region, offset, size))
    }

    /// Writes the low `size` bytes of `value`; otherwise like [`PciFunction::read`].
    ///
    /// A configuration write adds an [`Effect::Decode`] for each region that is decoded differently
    /// from then on.
    ///
    /// # Errors
    /// [`Refused`] if the write is dropped.
    pub fn write(
        &mut self,
        cycle: &mut Cycle<'_>,
        region: Region,
        offset: u64,
        size: u8,
        value: u64,
    ) -> Result<(), Refused> {
        let (now, cause) = (cycle.now, cycle.cause);
        if region != Region::Config {
            return self.call(cycle, now, cause, |device, context| {
                device.write(context, region, offset, size, value)
            });
        }
        let before: Vec<Option<Decode>> = self.decodes().map(|(_, decode)| decode).collect();
        self.config.write(offset, size, value)?;
        let moved = self.decodes().zip(before).filter(|((_, to), from)| to != from);
        cycle.occurrences.extend(moved.map(|((region, to), from)| Occurrence {
            at: now,
            cause,
            effect: Effect::Decode { region, from, to },
        }));
        Ok(())
    }

    /// Fires the timers that are due at `cycle.now`, earliest first. What they do bears their own
    /// deadline and the access that set them.
    pub fn advance(&mut self, cycle: &mut Cycle<'_>) {
        while let Some(timer) = self.timers.take_due(cycle.now) {
            self.call(cycle, timer.deadline, timer.cause, |device, context| {
                device.timer(context, timer.index);
            });
        }
    }

    /// Device time in nanoseconds at which [`PciFunction::advance`] has something to do next.
    pub fn next_deadline(&self) -> Option<u64> {
        self.timers.next_deadline()
    }

    /// What is decoded now, in ascending order of BARs.
    pub fn decoding(&self) -> Vec<(Region, Decode)> {
        self.decodes().filter_map(|(region, decode)| Some((region, decode?))).collect()
    }

    /// Returns device and configuration space to their values after reset. Nothing is decoded then,
    /// and no occurrence says so: the caller resets everything else too.
    pub fn reset(&mut self) {
        self.device.reset();
        self.config.reset();
        self.timers.clear();
        self.changes().for_each(drop);
    }

    /// Calls the device at time `now` because of `cause`, and reports what it did.
    fn call<R>(
        &mut self,
        cycle: &mut Cycle<'_>,
        now: u64,
        cause: u64,
        body: impl FnOnce(&mut dyn PciDevice, &mut Context<'_>) -> R,
    ) -> R {
        let mut effects = mem::take(&mut self.effects);
        let mut context = Context {
            now,
            cause,
            msi: self.msi.as_ref().and_then(|msi| msi.target(&self.config)),
            bus_master: self.config.u16(COMMAND) & COMMAND_BUS_MASTER != 0,
            memory: cycle.memory,
            timers: &mut self.timers,
            effects: &mut effects,
        };
        let result = body(&mut *self.device, &mut context);

        if effects.iter().any(is_master_abort) {
            self.config.set_bits(STATUS, STATUS_RECEIVED_MASTER_ABORT);
        }
        effects.extend(self.changes());
        effects.sort_by_key(rank);
        cycle.occurrences.extend(effects.drain(..).map(|effect| Occurrence { at: now, cause, effect }));
        self.effects = effects;
        result
    }

    /// The registers that changed since the last call.
    fn changes(&mut self) -> impl Iterator<Item = Effect> + '_ {
        let device = &*self.device;
        self.watched.iter_mut().filter_map(move |watched| {
            let Watched { region, offset, .. } = *watched;
            let now = device.peek(region, offset);
            let before = mem::replace(&mut watched.last, now);
            let (old, new) = before.zip(now).filter(|(old, new)| old != new)?;
            Some(Effect::Change { region, offset, old, new })
        })
    }

    fn decodes(&self) -> impl Iterator<Item = (Region, Option<Decode>)> + '_ {
        self.header.bars.iter().map(|bar| (bar.region(), bar.decode(&self.config)))
    }
}

/// The order of what one call did; see [`PciFunction`].
fn rank(effect: &Effect) -> u8 {
    match effect {
        Effect::Dma { .. } => 0,
        Effect::Change { .. } => 1,
        _ => 2,
    }
}

fn is_master_abort(effect: &Effect) -> bool {
    matches!(effect, Effect::Dma { outcome: Err(DmaError::OutOfBounds), .. })
}

#[cfg(test)]
mod tests;
