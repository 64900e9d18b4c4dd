//! Saving and restoring a function.

use super::PciFunction;
use crate::capability::{Msix, PowerState};
use crate::config::HEADER_TYPE;
use crate::context::BusContext;
use crate::effect::Effect;
use crate::hex::Hex;
use crate::interrupt::Interrupts;
use crate::interrupt_set::InterruptSet;
use crate::state::{BadState, FunctionState, State};

impl PciFunction {
    /// Everything that it remembers, as a value that serializes.
    pub fn save(&self) -> State {
        State::new(&FunctionState {
            name: self.name().to_owned(),
            config: Hex(self.config.bytes().to_vec()),
            msix: self.capabilities.msix.as_ref().map(Msix::state),
            interrupts: self.interrupts.clone(),
            timers: self.timers.clone(),
            device: self.device.save(),
        })
    }

    /// Takes back what [`PciFunction::save`] of an equal function gave.
    ///
    /// Effects say what differs from before, as those of the writes do that would lead there: registers, regions
    /// that are decoded or backed otherwise, the level of the interrupt pin, interrupts that are held back, timers.
    /// What happened once doesn't happen again: no message that was sent, no transfer, no interrupt that was
    /// lost. Timers run on in the device time of the saved function: the caller asks for
    /// [`PciFunction::next_deadline`].
    ///
    /// # Errors
    /// [`BadState`] if the state is of another version, of another device, of one with other options, or
    /// malformed. The function is reset then, which effects say as well.
    pub fn restore(&mut self, bus: &mut BusContext<'_>, state: State) -> Result<(), BadState> {
        let before = self.decoding();
        let (held_back, timers) = (self.held_back(), self.timers.clone());
        let restored = state.open().and_then(|state| self.take_back(state));
        if restored.is_err() {
            self.forget();
            self.config.reset();
        }
        self.report_moves(&before);
        self.update_interrupts();
        let newly = self.held_back().difference(&held_back);
        self.effects.extend(newly.iter().map(|index| Effect::InterruptMasked { index }));
        let set = self.timers.running().filter(|timer| !timers.running().any(|before| before == *timer));
        self.effects.extend(set.map(|timer| Effect::Busy { until: timer.deadline }));
        self.report(bus, bus.now, bus.cause);
        restored
    }

    fn held_back(&mut self) -> InterruptSet {
        self.interrupts.held_back(self.header.interrupt_pin, &mut self.capabilities, &self.config)
    }

    fn take_back(&mut self, mut state: FunctionState) -> Result<(), BadState> {
        if state.name != self.name() {
            return Err(BadState::OtherDevice { found: state.name, expected: self.name().to_owned() });
        }
        // Whether there are functions beside it is a matter of its place, not of its state.
        if let Some(header_type) = state.config.0.get_mut(HEADER_TYPE) {
            *header_type = self.config.bytes()[HEADER_TYPE];
        }
        let msix = match (&mut self.capabilities.msix, state.msix) {
            (Some(msix), Some(saved)) => msix.restore(saved),
            (None, None) => true,
            _ => false,
        };
        if !msix || !self.config.restore(&state.config.0) {
            return Err(BadState::OtherOptions(self.name().to_owned()));
        }
        // What a write would take back at once, no function ever holds.
        let told = self.capabilities.take_reset(&mut self.config, PowerState::D0);
        if told || self.config.bytes() != state.config.0 {
            return Err(BadState::OtherOptions(self.name().to_owned()));
        }
        self.device.restore(state.device)?;
        // The pin's level, as the machine knows it, changes by an effect only.
        self.interrupts = Interrupts { asserted: self.interrupts.asserted, ..state.interrupts };
        self.timers = state.timers;
        Ok(())
    }
}
