//! Power management: D0 and D3hot.
//!
//! PCI Bus Power Management Interface 1.2, chapter 3. No_Soft_Reset is clear: on its way from D3hot back
//! to D0 the function forgets everything, and a driver has to restore it.

use crate::config::ConfigSpace;

const CAPABILITY_ID: u8 = 0x01;
const LENGTH: usize = 8;
/// Registers, as offsets in the capability.
const CAPABILITIES: usize = 0x02;
const CONTROL: usize = 0x04;

/// Version 3 of the interface; neither D1, D2 nor PME#.
const CAPABILITIES_VALUE: u16 = 0x0003;
const CONTROL_STATE: u8 = 0b11;

/// A power state that the function can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PowerState {
    /// On.
    D0,
    /// Asleep; configuration space still answers.
    D3Hot,
}

/// The capability, at an offset.
pub(crate) struct Power(usize);

impl Power {
    /// Adds it to configuration space, in D0.
    pub(crate) fn define(config: &mut ConfigSpace) -> Self {
        let offset = config.add_capability(CAPABILITY_ID, LENGTH);
        config.define(offset + CAPABILITIES, &CAPABILITIES_VALUE.to_le_bytes());
        config.make_writable(offset + CONTROL, &[CONTROL_STATE]);
        Self(offset)
    }

    /// The state that PowerState says.
    pub(crate) fn state(&self, config: &ConfigSpace) -> PowerState {
        if self.written_state(config) == CONTROL_STATE { PowerState::D3Hot } else { PowerState::D0 }
    }

    /// Undoes a write of D1 or D2, which the function doesn't have (section 3.2.4: such a write
    /// completes and changes nothing). Whether the write woke it from D3hot.
    pub(crate) fn take_wake(&self, config: &mut ConfigSpace, before: PowerState) -> bool {
        let state = match self.written_state(config) {
            0 => return before == PowerState::D3Hot,
            CONTROL_STATE => CONTROL_STATE,
            _ if before == PowerState::D3Hot => CONTROL_STATE,
            _ => 0,
        };
        config.assign(self.0 + CONTROL, [CONTROL_STATE], [state]);
        false
    }

    fn written_state(&self, config: &ConfigSpace) -> u8 {
        config.u16(self.0 + CONTROL) as u8 & CONTROL_STATE
    }
}

#[cfg(test)]
mod tests;
