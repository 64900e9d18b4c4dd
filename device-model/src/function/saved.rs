//! Saving and restoring a function.

use super::PciFunction;
use crate::capability::Msix;
use crate::context::BusContext;
use crate::hex::Hex;
use crate::interrupt::Interrupts;
use crate::state::{BadState, State};

impl PciFunction {
    /// Everything that it remembers, as a value that serializes.
    pub fn save(&self) -> State {
        State {
            name: self.name().to_owned(),
            config: Hex(self.config.bytes().to_vec()),
            msix: self.capabilities.msix.as_ref().map(Msix::state),
            interrupts: self.interrupts.clone(),
            timers: self.timers.clone(),
            device: self.device.save(),
        }
    }

    /// Takes back what [`PciFunction::save`] of an equal function gave.
    ///
    /// Effects say what differs from before, as those of a write do: registers, regions that are decoded
    /// or backed otherwise, the level of the interrupt pin. A message that was sent before the function
    /// was saved isn't sent again. Timers run on in the device time of the saved function: the caller asks
    /// for [`PciFunction::next_deadline`].
    ///
    /// # Errors
    /// [`BadState`] if the state is of another device, of one with other options, or malformed. The
    /// function is reset then, which effects say as well.
    pub fn restore(&mut self, bus: &mut BusContext<'_>, state: State) -> Result<(), BadState> {
        let before = self.decoding();
        let restored = self.take_back(state);
        if restored.is_err() {
            self.forget();
            self.config.reset();
        }
        self.report_moves(&before);
        self.update_interrupts();
        self.report(bus, bus.now, bus.cause);
        restored
    }

    fn take_back(&mut self, state: State) -> Result<(), BadState> {
        if state.name != self.name() {
            return Err(BadState::OtherDevice { found: state.name, expected: self.name().to_owned() });
        }
        let msix = match (&mut self.capabilities.msix, state.msix) {
            (Some(msix), Some(saved)) => msix.restore(saved),
            (None, None) => true,
            _ => false,
        };
        if !msix || !self.config.restore(&state.config.0) {
            return Err(BadState::OtherOptions(self.name().to_owned()));
        }
        self.device.restore(state.device)?;
        // The pin's level, as the machine knows it, changes by an effect only.
        self.interrupts = Interrupts { asserted: self.interrupts.asserted, ..state.interrupts };
        self.timers = state.timers;
        Ok(())
    }
}
