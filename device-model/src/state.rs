//! The state of a function, for snapshots.
//!
//! A [`State`] holds all that a function remembers, and serializes to any format; it holds no
//! configuration: it goes back into a function that was made with the same options
//! ([`PciFunction::restore`](crate::function::PciFunction::restore)).

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::capability::MsixState;
use crate::hex::Hex;
use crate::interrupt::Interrupts;
use crate::timer::Timers;

/// The state of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The device's name.
    pub(crate) name: String,
    /// Configuration space.
    pub(crate) config: Hex,
    /// Table and pending bits of MSI-X.
    pub(crate) msix: Option<MsixState>,
    pub(crate) interrupts: Interrupts,
    pub(crate) timers: Timers,
    /// The device's own.
    pub(crate) device: Value,
}

/// A state that doesn't fit.
#[derive(Debug, thiserror::Error)]
pub enum BadState {
    /// A state of another device.
    #[error("a state of {found}, not of {expected}")]
    OtherDevice {
        /// The name in the state.
        found: String,
        /// The device's name.
        expected: String,
    },
    /// A state of the same device with other options.
    #[error("{0} was saved with other options")]
    OtherOptions(String),
    /// A malformed state.
    #[error("a malformed state of a device")]
    Malformed(#[from] serde_json::Error),
    /// The content of a device's memory is longer than the memory.
    #[error("more memory than the device has")]
    TooLong,
}

/// A device's state from what it keeps its registers in.
///
/// # Panics
/// If that has no representation in JSON (a map whose keys are no texts): a device's mistake.
pub fn encode(registers: &impl Serialize) -> Value {
    serde_json::to_value(registers).expect("registers are numbers, lists and texts")
}

/// The reverse of [`encode`].
///
/// # Errors
/// [`BadState::Malformed`].
pub fn decode<T: DeserializeOwned>(state: Value) -> Result<T, BadState> {
    Ok(serde_json::from_value(state)?)
}
