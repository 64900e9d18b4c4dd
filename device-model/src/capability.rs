//! Capabilities: what a function can do beyond its header, a file each.
//!
//! Each lays out its registers in configuration space and reads them back from there. PCI Local Bus 3.0,
//! section 6.7.

mod express;
pub(crate) mod messages;
mod msi;
pub(crate) mod msix;
mod power;
mod serial_number;
mod vendor;

use crate::capability::messages::Messages;
use crate::config::ConfigSpace;
use crate::header::ConfigHeader;

use express::Express;
use msi::Msi;
use msix::Msix;
use power::{Power, PowerState};

/// The capabilities of a function that do something.
pub(crate) struct Capabilities {
    power: Option<Power>,
    msi: Option<Msi>,
    pub(crate) msix: Option<Msix>,
    express: Option<Express>,
}

impl Capabilities {
    /// Lays out what `header` asks for, in the order of its fields.
    ///
    /// # Panics
    /// If one can't exist.
    pub(crate) fn define(header: &ConfigHeader, config: &mut ConfigSpace) -> Self {
        let capabilities = Self {
            power: header.power_management.then(|| Power::define(config)),
            msi: header.msi.map(|spec| Msi::define(spec, config)),
            msix: header.msix.map(|spec| Msix::define(spec, &header.bars, config)),
            express: header.express.then(|| Express::define(config)),
        };
        if !header.vendor_specific.is_empty() {
            vendor::define(&header.vendor_specific, config);
        }
        if let Some(number) = header.serial_number {
            serial_number::define(number, config);
        }
        capabilities
    }

    /// Whether the function is in D0. Otherwise only configuration space answers.
    pub(crate) fn awake(&self, config: &ConfigSpace) -> bool {
        self.power_state(config) == PowerState::D0
    }

    /// The power state, to be given back to [`Capabilities::take_reset`] after a write.
    pub(crate) fn power_state(&self, config: &ConfigSpace) -> PowerState {
        self.power.as_ref().map_or(PowerState::D0, |power| power.state(config))
    }

    /// Looks at what a write to configuration space asked for; whether the function has to be reset:
    /// by a Function Level Reset, or because it left D3hot. `before` is the power state before the write.
    pub(crate) fn take_reset(&self, config: &mut ConfigSpace, before: PowerState) -> bool {
        let woken = self.power.as_ref().is_some_and(|power| power.take_wake(config, before));
        let told = self.express.as_ref().is_some_and(|express| express.take_reset(config));
        woken || told
    }

    /// The kind of messages that carries interrupts now: MSI-X, else MSI.
    pub(crate) fn messages(&mut self, config: &ConfigSpace) -> Option<&mut dyn Messages> {
        match (&mut self.msix, &mut self.msi) {
            (Some(msix), _) if msix.enabled(config) => Some(msix),
            (_, Some(msi)) if msi.enabled(config) => Some(msi),
            _ => None,
        }
    }

    /// Returns what is kept outside configuration space to its value after reset.
    pub(crate) fn reset(&mut self) {
        if let Some(msix) = &mut self.msix {
            msix.reset();
        }
    }
}
