//! A PCI function: a device with the configuration space, timers and bookkeeping around it.

mod saved;

use std::mem;

use crate::access_size::AccessSize;
use crate::address::Region;
use crate::backing::Backing;
use crate::bar::BarSpec;
use crate::capability::Capabilities;
use crate::config::{self, ConfigSpace, STATUS};
use crate::context::{Context, Cycle};
use crate::device::{PciDevice, Refused};
use crate::dma::DmaError;
use crate::effect::{Decode, Effect, Occurrence};
use crate::header::{
    COMMAND, COMMAND_BUS_MASTER, ConfigHeader, HEADER_TYPE, HEADER_TYPE_MULTI_FUNCTION,
    STATUS_RECEIVED_MASTER_ABORT,
};
use crate::interrupt::{self, Interrupts};
use crate::memory::DeviceMemory;
use crate::register::{self, Access, Register, RegisterMap};
use crate::rom::Rom;
use crate::timer::Timers;

/// A type-0 function, as the dispatcher sees it.
///
/// It answers configuration accesses and those to the MSI-X table itself and hands the others to its
/// device. Whatever else comes of a call is added to the cycle's occurrences, in this order: the device's
/// transfers, register changes, the rest. So a register that announces a transfer changes after it, and an
/// interrupt leaves when the register that explains it is set; a message that goes to memory is written
/// then, too.
///
/// Nothing that follows from a state is reported by whoever changes that state: the function compares
/// what is decoded, how regions are backed and which interrupt causes are pending before and after each
/// call. So a reset reports all that it undoes.
pub struct PciFunction {
    device: Box<dyn PciDevice>,
    header: ConfigHeader,
    register_maps: Vec<RegisterMap>,
    config: ConfigSpace,
    rom: Option<Rom>,
    capabilities: Capabilities,
    interrupts: Interrupts,
    timers: Timers,
    watched: Vec<Watched>,
    backings: Vec<(Region, Backing)>,
    untrapped: Vec<Region>,
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
    /// overlap or lie out of order, the class exceeds 24 bits, a capability does not fit. If a register map
    /// can't hold: see [`RegisterMap::check`].
    pub fn new(mut device: Box<dyn PciDevice>) -> Self {
        let header = device.header();
        let mut config = ConfigSpace::new();
        header.define(&mut config);
        let rom = header.rom.map(|size| Rom::define(size, &mut config));
        let capabilities = Capabilities::define(&header, &mut config);
        let watched = device
            .register_maps()
            .iter()
            .flat_map(|map| map.registers.iter().map(|register| (map.region, register)))
            .filter(|(_, register)| !register.volatile && !register.memory && register.access.readable())
            .map(|(region, register)| Watched { region, offset: register.offset, last: None })
            .collect();
        let backings = header.bars.iter().map(|bar| (bar.region(), Backing::Trapped)).collect();
        let regions = header.bars.iter().map(BarSpec::region);
        let untrapped = regions
            .filter(|region| device.memory(*region).is_some() || device.backing(*region) != Backing::Trapped)
            .collect();
        let register_maps = register_maps(&*device, &header);
        if let Err(error) = register::check(&register_maps, &header) {
            panic!("{}: {error}", device.name());
        }
        let mut function = Self {
            register_maps,
            device,
            header,
            config,
            rom,
            capabilities,
            interrupts: Interrupts::default(),
            timers: Timers::default(),
            watched,
            backings,
            untrapped,
            effects: Vec::new(),
        };
        function.compare();
        function.effects.clear();
        function
    }

    /// Says in its header that its device number has functions beside this one: without that, software
    /// looks for function 0 only.
    ///
    /// PCI Local Bus 3.0, section 6.2.1, Header Type.
    #[must_use]
    pub fn multi_function(mut self) -> Self {
        self.config.define(HEADER_TYPE, &[HEADER_TYPE_MULTI_FUNCTION]);
        self
    }

    /// The device's short name.
    pub fn name(&self) -> &'static str {
        self.device.name()
    }

    /// Identity, BARs, interrupts and capabilities.
    pub fn header(&self) -> &ConfigHeader {
        &self.header
    }

    /// The registers, one map a region: the device's, and those of MSI-X.
    pub fn register_maps(&self) -> &[RegisterMap] {
        &self.register_maps
    }

    /// The registers of its configuration space: those of its header and of the capabilities that it has.
    pub fn configuration_registers(&self) -> Vec<Register> {
        config::registers::registers(self.config.bytes())
    }

    /// Regions that may be served otherwise than [`Backing::Trapped`], now or later.
    pub fn untrapped(&self) -> &[Region] {
        &self.untrapped
    }

    /// How accesses to `region` are to be served now.
    pub fn backing(&self, region: Region) -> Backing {
        let known = self.backings.iter().find(|(known, _)| *known == region);
        known.map_or(Backing::Trapped, |(_, backing)| *backing)
    }

    /// The registers that are doorbells while `region` is [`Backing::Doorbell`]: offset and size in bytes
    /// of each.
    pub fn doorbells(&self, region: Region) -> impl Iterator<Item = (u64, u64)> + '_ {
        let registers = self.register_maps.iter().filter(move |map| map.region == region);
        registers
            .flat_map(|map| map.registers.iter())
            .filter(|register| register.access == Access::WriteOnly)
            .map(|register| (register.offset, register.size))
    }

    /// The content of `region`, if it can be [`Backing::Direct`].
    pub fn memory(&mut self, region: Region) -> Option<&mut DeviceMemory> {
        self.device.memory(region)
    }

    /// Whether the interrupt pin is asserted.
    pub fn intx(&self) -> bool {
        self.interrupts.asserted
    }

    /// Reads `size` bytes at `offset` of a region that is decoded now. Timers that are due have been
    /// fired ([`PciFunction::advance`]).
    ///
    /// # Errors
    /// [`Refused`] if nothing answers: the guest sees what [`PciFunction::refused_read`] says.
    pub fn read(
        &mut self,
        cycle: &mut Cycle<'_>,
        region: Region,
        offset: u64,
        size: AccessSize,
    ) -> Result<u64, Refused> {
        if region == Region::Config {
            return self.config.read(offset, size);
        }
        if let Some(msix) = self.capabilities.msix.as_ref().filter(|msix| msix.claims(region, offset)) {
            return msix.read(offset, size);
        }
        let (now, cause) = (cycle.now, cycle.cause);
        self.call(cycle, now, cause, |device, context| device.read(context, region, offset, size))
    }

    /// What the guest sees of a read that [`PciFunction::read`] refused; its low `size` bytes count.
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
        size: AccessSize,
        value: u64,
    ) -> Result<(), Refused> {
        let (now, cause) = (cycle.now, cycle.cause);
        if region == Region::Config {
            self.write_config(offset, size, value)?;
            self.update_interrupts();
            self.report(cycle, now, cause);
            return Ok(());
        }
        if let Some(msix) = self.capabilities.msix.as_mut().filter(|msix| msix.claims(region, offset)) {
            msix.write(offset, size, value)?;
            self.update_interrupts();
            self.report(cycle, now, cause);
            return Ok(());
        }
        self.call(cycle, now, cause, |device, context| device.write(context, region, offset, size, value))
    }

    /// The doorbell at `offset` of a region that is [`Backing::Doorbell`] was written `count` times.
    pub fn doorbell(&mut self, cycle: &mut Cycle<'_>, region: Region, offset: u64, count: u64) {
        let (now, cause) = (cycle.now, cycle.cause);
        self.call(cycle, now, cause, |device, context| device.doorbell(context, region, offset, count));
    }

    /// Fires the timers that are due at `cycle.now`, earliest first. What they do happens at that time, because of
    /// the access that set them; how late they are, the device is told.
    pub fn advance(&mut self, cycle: &mut Cycle<'_>) {
        let now = cycle.now;
        // One that is set again comes after `now`.
        while let Some(timer) = self.timers.take_due(now) {
            self.call(cycle, now, timer.cause, |device, context| {
                context.late = now - timer.deadline;
                device.timer(context, timer.index);
            });
        }
    }

    /// Device time in nanoseconds at which [`PciFunction::advance`] has something to do next.
    pub fn next_deadline(&self) -> Option<u64> {
        self.timers.next_deadline()
    }

    /// What is decoded now, in ascending order of BARs, the ROM last.
    pub fn decoding(&self) -> Vec<(Region, Decode)> {
        self.decodes().filter_map(|(region, decode)| Some((region, decode?))).collect()
    }

    /// Returns device and configuration space to their values after reset. Nothing is decoded then,
    /// and no occurrence says so: the caller resets everything else too.
    pub fn reset(&mut self) {
        self.forget();
        self.update_interrupts();
        self.compare();
        self.effects.clear();
    }

    /// Function Level Reset, and waking from D3hot: the same, but what it undoes is reported.
    fn forget(&mut self) {
        self.device.reset();
        self.config.reset();
        self.capabilities.reset();
        self.timers.clear();
    }

    fn write_config(&mut self, offset: u64, size: AccessSize, value: u64) -> Result<(), Refused> {
        let before: Vec<Option<Decode>> = self.decodes().map(|(_, decode)| decode).collect();
        let power = self.capabilities.power_state(&self.config);
        self.config.write(offset, size, value)?;
        if self.capabilities.take_reset(&mut self.config, power) {
            self.forget();
        }
        let moved = self.decodes().zip(before).filter(|((_, to), from)| to != from);
        let moved: Vec<Effect> =
            moved.map(|((region, to), from)| Effect::Decode { region, from, to }).collect();
        self.effects.extend(moved);
        Ok(())
    }

    /// Calls the device at time `now` because of `cause`, and reports what it did.
    fn call<R>(
        &mut self,
        cycle: &mut Cycle<'_>,
        now: u64,
        cause: u64,
        body: impl FnOnce(&mut dyn PciDevice, &mut Context<'_>) -> R,
    ) -> R {
        let bus_master = self.config.u16(COMMAND) & COMMAND_BUS_MASTER != 0;
        let mut context = Context {
            now,
            late: 0,
            cause,
            bus_master: bus_master && self.capabilities.awake(&self.config),
            memory: cycle.memory,
            timers: &mut self.timers,
            effects: &mut self.effects,
            repeated: 0,
        };
        let result = body(&mut *self.device, &mut context);
        // So that they differ from what is pending now.
        self.interrupts.causes &= !context.repeated;
        self.report(cycle, now, cause);
        result
    }

    /// Adds what happened, and what follows from it, to the cycle's occurrences.
    fn report(&mut self, cycle: &mut Cycle<'_>, now: u64, cause: u64) {
        self.compare();
        self.effects.sort_by_key(rank);
        interrupt::write_messages(&mut self.effects, cycle.memory);
        if self.effects.iter().any(is_master_abort) {
            let bit = STATUS_RECEIVED_MASTER_ABORT.to_le_bytes();
            self.config.assign(STATUS, bit, bit);
        }
        let effects = self.effects.drain(..);
        cycle.occurrences.extend(effects.map(|effect| Occurrence { at: now, cause, effect }));
    }

    /// Adds what differs from the last call to the effects.
    fn compare(&mut self) {
        let device = &*self.device;
        for watched in &mut self.watched {
            let Watched { region, offset, .. } = *watched;
            let now = device.peek(region, offset);
            let before = mem::replace(&mut watched.last, now);
            if let Some((old, new)) = before.zip(now).filter(|(old, new)| old != new) {
                self.effects.push(Effect::Change { region, offset, old, new });
            }
        }
        for (region, last) in &mut self.backings {
            let backing = device.backing(*region);
            if mem::replace(last, backing) != backing {
                self.effects.push(Effect::Backing { region: *region, backing });
            }
        }
        // What else interrupts depend on changes by writes only, which update them.
        if device.interrupts() != self.interrupts.causes {
            self.update_interrupts();
        }
    }

    /// Adds what interrupt causes lead to now to the effects.
    fn update_interrupts(&mut self) {
        self.interrupts.update(
            self.device.interrupts(),
            self.header.interrupt_pin,
            &mut self.capabilities,
            &mut self.config,
            &mut self.effects,
        );
    }

    fn decodes(&self) -> impl Iterator<Item = (Region, Option<Decode>)> + '_ {
        let awake = self.capabilities.awake(&self.config);
        let bars = self.header.bars.iter().map(|bar| (bar.region(), bar.decode(&self.config)));
        let rom = self.rom.iter().map(|rom| (Region::Rom, rom.decode(&self.config)));
        bars.chain(rom).map(move |(region, decode)| (region, decode.filter(|_| awake)))
    }
}

/// The device's maps, with the registers of MSI-X in the map of their BAR.
fn register_maps(device: &dyn PciDevice, header: &ConfigHeader) -> Vec<RegisterMap> {
    let mut maps = device.register_maps().to_vec();
    let Some(msix) = header.msix else { return maps };
    let region = Region::Bar(msix.bar);
    let index = maps.iter().position(|map| map.region == region).unwrap_or_else(|| {
        maps.push(RegisterMap { region, registers: Vec::new().into() });
        maps.len() - 1
    });
    let registers = maps[index].registers.to_mut();
    registers.extend(msix.registers());
    registers.sort_by_key(|register| register.offset);
    maps
}

/// The order of what one call did; see [`PciFunction`].
fn rank(effect: &Effect) -> u8 {
    match effect {
        Effect::AddressCut { .. } | Effect::Dma { .. } => 0,
        Effect::Change { .. } => 1,
        _ => 2,
    }
}

fn is_master_abort(effect: &Effect) -> bool {
    matches!(effect, Effect::Dma { outcome: Err(DmaError::OutOfBounds), .. })
}

#[cfg(test)]
mod tests;
