//! The capabilities of a function that do something, found in its header's list.

use super::Capability;
use super::advanced_features::AdvancedFeatures;
use super::express::Express;
use super::messages::Messages;
use super::msi::Msi;
use super::msix::Msix;
use super::power::{Power, PowerState};
use crate::config::ConfigSpace;

/// See the module. A function has one of each at most.
#[derive(Default)]
pub(crate) struct ActiveCapabilities {
    power: Option<Power>,
    msi: Option<Msi>,
    pub(crate) msix: Option<Msix>,
    express: Option<Express>,
    advanced_features: Option<AdvancedFeatures>,
}

impl ActiveCapabilities {
    /// Those among `capabilities`, which lie at these offsets.
    pub(crate) fn new<'a>(capabilities: impl Iterator<Item = (usize, &'a Capability)>) -> Self {
        let mut active = Self::default();
        for (offset, capability) in capabilities {
            match capability {
                Capability::PowerManagement(spec) => active.power = Some(Power::new(spec, offset)),
                Capability::Msi(spec) => active.msi = Some(Msi::new(*spec, offset)),
                Capability::Msix(spec) => active.msix = Some(Msix::new(*spec, offset)),
                Capability::Express(_) => active.express = Some(Express::new(offset)),
                Capability::AdvancedFeatures(_) => {
                    active.advanced_features = Some(AdvancedFeatures::new(offset));
                }
                Capability::Vendor(_) | Capability::Other(_) => {}
            }
        }
        active
    }

    /// Whether the function is in D0. Otherwise only configuration space answers.
    pub(crate) fn awake(&self, config: &ConfigSpace) -> bool {
        self.power_state(config) == PowerState::D0
    }

    /// The power state, to be given back to [`ActiveCapabilities::take_reset`] after a write.
    pub(crate) fn power_state(&self, config: &ConfigSpace) -> PowerState {
        self.power.as_ref().map_or(PowerState::D0, |power| power.state(config))
    }

    /// Looks at what a write to configuration space asked for; whether the function has to be reset:
    /// by a Function Level Reset, or because it left D3hot. `before` is the power state before the write.
    pub(crate) fn take_reset(&self, config: &mut ConfigSpace, before: PowerState) -> bool {
        let woken = self.power.as_ref().is_some_and(|power| power.take_wake(config, before));
        let told = self.express.as_ref().is_some_and(|express| express.take_reset(config));
        let features = self.advanced_features.as_ref();
        let asked = features.is_some_and(|features| features.take_reset(config));
        woken || told || asked
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
