//! Saving and restoring a function.

use super::PciFunction;
use crate::capability::msix::Msix;
use crate::hex::Hex;
use crate::state::{BadState, State};

impl PciFunction {
    /// All that it remembers.
    pub fn save(&self) -> State {
        State {
            name: self.name().to_owned(),
            config: Hex(self.config.bytes().to_vec()),
            msix: self.capabilities.msix.as_ref().map(Msix::state),
            interrupts: self.interrupts,
            timers: self.timers.clone(),
            device: self.device.save(),
        }
    }

    /// Takes back what [`PciFunction::save`] of an equal function gave. No occurrence says what is
    /// decoded, backed and asserted from then on: the caller asks for it.
    ///
    /// # Errors
    /// [`BadState`] if the state is of another device, of one with other options, or malformed. The
    /// function is reset then.
    pub fn restore(&mut self, state: State) -> Result<(), BadState> {
        let restored = self.take_back(state);
        if restored.is_err() {
            self.reset();
        }
        restored
    }

    fn take_back(&mut self, state: State) -> Result<(), BadState> {
        if state.name != self.name() {
            return Err(BadState::OtherDevice { found: state.name, expected: self.name() });
        }
        let msix = match (&mut self.capabilities.msix, state.msix) {
            (Some(msix), Some(saved)) => msix.restore(saved),
            (None, None) => true,
            _ => false,
        };
        if !msix || !self.config.restore(&state.config.0) {
            return Err(BadState::OtherOptions(self.name()));
        }
        self.device.restore(state.device)?;
        self.interrupts = state.interrupts;
        self.timers = state.timers;
        self.update_interrupts();
        self.compare();
        self.effects.clear();
        Ok(())
    }
}
