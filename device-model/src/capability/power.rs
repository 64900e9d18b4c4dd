//! Power management: D0, D1, D2 and D3hot.
//!
//! PCI Bus Power Management Interface 1.2, chapter 3. With No_Soft_Reset clear, the function forgets everything
//! on its way from D3hot back to D0, and a driver has to restore it. No function signals PME#: PME_Status is
//! there, and a device's state may hold it, but nothing sets it.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Layout;
use crate::bad_header::BadHeader;
use crate::bar::BarSpec;
use crate::config::ConfigSpace;
use crate::config::registers::register;
use crate::register::{Access, Field, Register};

const LENGTH: usize = 8;
/// Registers, as offsets in the capability.
const CAPABILITIES: usize = 0x02;
const CONTROL: usize = 0x04;
const BRIDGE_EXTENSIONS: usize = 0x06;

const CONTROL_STATE: u16 = 0b11;
const CONTROL_NO_SOFT_RESET: u16 = 1 << 3;
const CONTROL_PME_ENABLE: u16 = 1 << 8;
const CONTROL_DATA_SELECT: u16 = 0b1111 << 9;
const CONTROL_DATA_SCALE_SHIFT: u32 = 13;
const CONTROL_PME_STATUS: u16 = 1 << 15;
/// PME_Support: from D3cold.
const PME_D3_COLD: u8 = 1 << 4;

const CONTROL_FIELDS: &[Field] = &[
    Field::new("STATE", 0, 2, "power state").with_values(&[
        (0, Cow::Borrowed("D0")),
        (1, Cow::Borrowed("D1")),
        (2, Cow::Borrowed("D2")),
        (3, Cow::Borrowed("D3HOT")),
    ]),
    Field::bit("NO_SOFT_RESET", 3, "it forgets nothing on its way from D3hot to D0"),
    Field::bit("PME_ENABLE", 8, ""),
    Field::bit("PME_STATUS", 15, ""),
];

static REGISTERS: [Register; 3] = [
    register("PM", 0, 2, Access::ReadOnly, &[], "power management: identifier, next capability"),
    register("PM_CAPABILITIES", 2, 2, Access::ReadOnly, &[], ""),
    register("PM_CONTROL", 4, 2, Access::ReadWrite, CONTROL_FIELDS, "control and status"),
];
static DATA_REGISTER: [Register; 1] =
    [register("PM_DATA", 7, 1, Access::ReadOnly, &[], "a power or a temperature")];

/// The power management capability of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PowerSpec {
    /// Version of the interface, 3 bits: 3 for revision 1.2.
    pub version: u8,
    /// PME Clock: PME# needs the bus clock.
    pub pme_clock: bool,
    /// Immediate_Readiness_on_Return_to_D0.
    pub immediate_readiness: bool,
    /// Device Specific Initialization: a generic driver can't wake it.
    pub device_specific_initialization: bool,
    /// Current from the auxiliary supply, 3 bits.
    pub auxiliary_current: u8,
    /// Whether it can be in D1.
    pub d1: bool,
    /// Whether it can be in D2.
    pub d2: bool,
    /// States from which it can signal PME#, bit 0 for D0 to bit 4 for D3cold.
    pub pme_support: u8,
    /// Whether it keeps what it knows on its way from D3hot to D0.
    pub no_soft_reset: bool,
    /// The Data register, if it has one.
    pub data: Option<PowerData>,
    /// PMCSR_BSE, which only a bridge uses.
    pub bridge_extensions: u8,
}

/// The Data register of a function. What it reports does not depend on what software selects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PowerData {
    /// Data_Scale, 2 bits.
    pub scale: u8,
    /// Data.
    pub value: u8,
}

impl Default for PowerSpec {
    /// D0 and D3hot, without PME# and without No_Soft_Reset.
    fn default() -> Self {
        Self {
            version: 3,
            pme_clock: false,
            immediate_readiness: false,
            device_specific_initialization: false,
            auxiliary_current: 0,
            d1: false,
            d2: false,
            pme_support: 0,
            no_soft_reset: false,
            data: None,
            bridge_extensions: 0,
        }
    }
}

impl fmt::Display for PowerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (d1, d2) = (if self.d1 { "D1, " } else { "" }, if self.d2 { "D2, " } else { "" });
        write!(f, "power management (D0, {d1}{d2}D3hot)")
    }
}

impl Layout for PowerSpec {
    fn id(&self) -> u16 {
        0x01
    }

    fn name(&self) -> &'static str {
        "power management"
    }

    fn length(&self) -> usize {
        LENGTH
    }

    fn check(&self, _: &[BarSpec]) -> Result<(), BadHeader> {
        let bits = |value: u8, bits: u32| value >> bits == 0;
        BadHeader::unless(bits(self.version, 3), "power management's version", self.version, "3 bits")?;
        let current = self.auxiliary_current;
        BadHeader::unless(bits(current, 3), "power management's auxiliary current", current, "3 bits")?;
        BadHeader::unless(bits(self.pme_support, 5), "PME_Support", self.pme_support, "5 bits")?;
        let scale = self.data.map_or(0, |data| data.scale);
        BadHeader::unless(bits(scale, 2), "power management's data scale", scale, "2 bits")
    }

    fn define(&self, config: &mut ConfigSpace, offset: usize) {
        let bit = |on: bool, bit: u32| u16::from(on) << bit;
        let capabilities = u16::from(self.version)
            | bit(self.pme_clock, 3)
            | bit(self.immediate_readiness, 4)
            | bit(self.device_specific_initialization, 5)
            | u16::from(self.auxiliary_current) << 6
            | bit(self.d1, 9)
            | bit(self.d2, 10)
            | u16::from(self.pme_support) << 11;
        config.define(offset + CAPABILITIES, &capabilities.to_le_bytes());
        let mut control = if self.no_soft_reset { CONTROL_NO_SOFT_RESET } else { 0 };
        let mut writable = CONTROL_STATE;
        if let Some(data) = self.data {
            control |= u16::from(data.scale) << CONTROL_DATA_SCALE_SHIFT;
            writable |= CONTROL_DATA_SELECT;
            config.define(offset + BRIDGE_EXTENSIONS + 1, &[data.value]);
        }
        if self.pme_support != 0 {
            writable |= CONTROL_PME_ENABLE;
            config.make_write_one_to_clear(offset + CONTROL, &CONTROL_PME_STATUS.to_le_bytes());
        }
        config.define(offset + CONTROL, &control.to_le_bytes());
        config.make_writable(offset + CONTROL, &writable.to_le_bytes());
        if self.pme_support & PME_D3_COLD != 0 {
            config.make_sticky(offset + CONTROL, &(CONTROL_PME_ENABLE | CONTROL_PME_STATUS).to_le_bytes());
        }
        config.define(offset + BRIDGE_EXTENSIONS, &[self.bridge_extensions]);
    }

    fn registers(&self) -> Vec<Register> {
        let data: &[Register] = if self.data.is_some() { &DATA_REGISTER } else { &[] };
        [&REGISTERS, data].concat()
    }
}

/// A power state that the function can be in, in ascending order of sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PowerState {
    /// On.
    D0,
    /// Asleep, lightly.
    D1,
    /// Asleep, less lightly.
    D2,
    /// Asleep; configuration space still answers, as in D1 and D2.
    D3Hot,
}

/// The capability, at an offset.
pub(crate) struct Power {
    offset: usize,
    d1: bool,
    d2: bool,
    no_soft_reset: bool,
}

impl Power {
    pub(super) fn new(spec: &PowerSpec, offset: usize) -> Self {
        Self { offset, d1: spec.d1, d2: spec.d2, no_soft_reset: spec.no_soft_reset }
    }

    /// The state that PowerState says.
    pub(super) fn state(&self, config: &ConfigSpace) -> PowerState {
        match config.u16(self.offset + CONTROL) & CONTROL_STATE {
            0 => PowerState::D0,
            1 => PowerState::D1,
            2 => PowerState::D2,
            _ => PowerState::D3Hot,
        }
    }

    /// Undoes a write of a state that the function doesn't have (section 3.2.4: such a write completes and
    /// changes nothing), or that doesn't lead to D0 or to a deeper sleep (section 2.2). Whether the function
    /// forgets everything, since the write woke it from D3hot.
    pub(super) fn take_wake(&self, config: &mut ConfigSpace, before: PowerState) -> bool {
        let written = self.state(config);
        let taken = match written {
            PowerState::D0 => true,
            PowerState::D1 => self.d1 && before <= written,
            PowerState::D2 => self.d2 && before <= written,
            PowerState::D3Hot => true,
        };
        if !taken {
            let state = (before as u16).to_le_bytes();
            config.assign(self.offset + CONTROL, CONTROL_STATE.to_le_bytes(), state);
        }
        written == PowerState::D0 && before == PowerState::D3Hot && !self.no_soft_reset
    }
}

#[cfg(test)]
mod tests;
