//! A PCI function: a device with the configuration space, timers and bookkeeping around it.

mod access;
mod report;
mod saved;

use self::report::{Backed, Watched};
use crate::address::Region;
use crate::backing::{Backing, Doorbell};
use crate::bar::BarSpec;
use crate::capability::ActiveCapabilities;
use crate::config::{ConfigSpace, HEADER_TYPE, HEADER_TYPE_MULTI_FUNCTION};
use crate::device::PciDevice;
use crate::effect::{Decode, Effect};
use crate::header::ConfigHeader;
use crate::interrupt::Interrupts;
use crate::interrupt_set::InterruptSet;
use crate::memory::DeviceMemory;
use crate::register::{self, Access, Register, RegisterMap};
use crate::rom::Rom;
use crate::timer::Timers;

/// A type-0 function, as the dispatcher sees it.
///
/// It answers configuration accesses and those to the MSI-X table itself and hands the others to its
/// device. A call's effects are added to its context in this order: the device's
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
    capabilities: ActiveCapabilities,
    interrupts: Interrupts,
    timers: Timers,
    watched: Vec<Watched>,
    backings: Vec<Backed>,
    untrapped: Vec<Region>,
    /// Interrupt causes of a call; means nothing between calls.
    causes: InterruptSet,
    /// Empty between calls; kept for its allocation.
    effects: Vec<Effect>,
}

impl PciFunction {
    /// A function after reset: nothing is decoded, no bus mastering, no interrupts.
    ///
    /// # Panics
    /// If the device's header can't exist: see [`ConfigHeader::check`]. If a register map can't hold: see
    /// [`RegisterMap::check`].
    pub fn new(mut device: Box<dyn PciDevice>) -> Self {
        let header = device.header();
        let laid = match header.lay_out() {
            Ok(laid) => laid,
            Err(error) => panic!("{}: {error}", device.name()),
        };
        let mut config = ConfigSpace::new();
        header.define(&mut config);
        laid.define(&mut config);
        let capabilities = ActiveCapabilities::new(laid.capabilities());
        let rom = header.rom.map(|size| Rom::define(size, &mut config));
        let watched = device
            .register_maps()
            .iter()
            .flat_map(|map| map.registers.iter().map(|register| (map.region, register)))
            .filter(|(_, register)| !register.volatile && !register.memory && register.access.readable())
            .map(|(region, register)| Watched { region, offset: register.offset, last: None })
            .collect();
        let backings = header.bars.iter().map(|bar| Backed::trapped(bar.region())).collect();
        let regions = header.bars.iter().map(BarSpec::region);
        let untrapped = regions
            .filter(|region| {
                device.memory(*region).is_some()
                    || device.doorbells(*region).is_some()
                    || device.backing(*region) != Backing::Trapped
            })
            .collect();
        let register_maps = header.with_msix_registers(device.register_maps().to_vec());
        if let Err(error) = register::check(&register_maps, |region| header.region_size(region)) {
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
            causes: InterruptSet::EMPTY,
            effects: Vec::new(),
        };
        function.compare();
        function.effects.clear();
        function
    }

    /// Says in its header that its device number has functions beside this one. Software looks at function 0's
    /// header, and without that bit for function 0 only; the others have it as well. Functions share nothing else:
    /// each has configuration space, decoding and interrupts of its own, and a pin that it chooses.
    ///
    /// PCI Local Bus 3.0, section 6.2.1, Header Type.
    #[must_use]
    pub fn multi_function(mut self) -> Self {
        self.config.define(HEADER_TYPE, &[HEADER_TYPE_MULTI_FUNCTION]);
        self
    }

    /// The device's short name.
    pub fn name(&self) -> &str {
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
        self.header.lay_out().map(|laid| laid.registers()).unwrap_or_default()
    }

    /// Regions whose backing may be other than [`Backing::Trapped`], now or later.
    pub fn untrapped(&self) -> &[Region] {
        &self.untrapped
    }

    /// The backing that `region` is to have now.
    pub fn backing(&self, region: Region) -> Backing {
        let known = self.backings.iter().find(|known| known.region == region);
        known.map_or(Backing::Trapped, |known| known.backing)
    }

    /// The doorbells while `region` is [`Backing::Doorbell`].
    pub fn doorbells(&self, region: Region) -> Vec<Doorbell> {
        if let Some(doorbells) = self.device.doorbells(region) {
            return doorbells.to_vec();
        }
        let registers = self.register_maps.iter().filter(|map| map.region == region);
        let registers = registers.flat_map(|map| map.registers.iter());
        let write_only = registers.filter(|register| register.access == Access::WriteOnly);
        write_only.map(|register| Doorbell::any(register.offset)).collect()
    }

    /// The content of `region`, if it can be [`Backing::Direct`].
    pub fn memory(&mut self, region: Region) -> Option<&mut DeviceMemory> {
        self.device.memory(region)
    }

    /// Whether the interrupt pin is asserted.
    pub fn intx(&self) -> bool {
        self.interrupts.asserted
    }

    /// Regions that are decoded now, with their addresses, in ascending order of BARs, the ROM last.
    pub fn decoding(&self) -> Vec<(Region, Decode)> {
        self.decodes().filter_map(|(region, decode)| Some((region, decode?))).collect()
    }

    /// Returns device and configuration space to their values after reset. Nothing is decoded then,
    /// and no effect says so: the caller resets everything else too.
    pub fn reset(&mut self) {
        self.forget();
        self.config.reset();
        self.update_interrupts();
        self.compare();
        self.effects.clear();
    }

    /// Function Level Reset, and waking from D3hot: the same, but sticky bits of configuration space stay, and what
    /// it undoes is reported.
    fn forget(&mut self) {
        self.device.reset();
        self.config.reset_function();
        self.capabilities.reset();
        self.timers.clear();
    }

    fn decodes(&self) -> impl Iterator<Item = (Region, Option<Decode>)> + '_ {
        let awake = self.capabilities.awake(&self.config);
        let bars = self.header.bars.iter().map(|bar| (bar.region(), bar.decode(&self.config)));
        let rom = self.rom.iter().map(|rom| (Region::Rom, rom.decode(&self.config)));
        bars.chain(rom).map(move |(region, decode)| (region, decode.filter(|_| awake)))
    }
}

#[cfg(test)]
mod tests;
