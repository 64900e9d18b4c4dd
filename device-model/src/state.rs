//! The state of a function, for snapshots.
//!
//! A [`State`] holds all that a function remembers, and serializes to any format; it holds no
//! configuration: it goes back into a function that was made with the same options
//! ([`PciFunction::restore`](crate::function::PciFunction::restore)).

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
pub use serde_json::Value;

use crate::capability::MsixState;
use crate::hex::Hex;
use crate::interrupt::Interrupts;
use crate::timer::Timers;

/// The version of the format. Raise it when a function of an earlier version couldn't take such a state, or this one not
/// theirs.
const VERSION: u32 = 1;

/// The state of a function, with the version of its format: a state of another version is kept as it is, and refused
/// when it is to be restored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// 0 where there is none: the format before versions.
    #[serde(default)]
    version: u32,
    /// A [`FunctionState`], of this version.
    #[serde(default)]
    function: Value,
}

impl State {
    pub(crate) fn new(function: &FunctionState) -> Self {
        Self { version: VERSION, function: encode(function) }
    }

    /// The state of this version that it holds.
    ///
    /// # Errors
    /// [`BadState::Version`], [`BadState::Malformed`].
    pub(crate) fn open(self) -> Result<FunctionState, BadState> {
        if self.version != VERSION {
            return Err(BadState::Version { found: self.version, expected: VERSION });
        }
        decode(self.function)
    }
}

/// All that a function remembers.
#[derive(Serialize, Deserialize)]
pub(crate) struct FunctionState {
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
    /// A state of another version of the format.
    #[error(
        "a state of version {found}, and this is version {expected}: restore it with a program of its version, or save it \
         anew"
    )]
    Version {
        /// The state's version; 0 for one from before there were versions.
        found: u32,
        /// The version that can be restored.
        expected: u32,
    },
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
