//! `ticker`, 1234:1ab2: interrupts every so often, by INTA# only, as a conventional PCI function that
//! shares its line with others.
//!
//! BAR0, 16 bytes, 32-bit: registers, for aligned accesses of 4 bytes.
//!
//! | offset | bits | name    | access | reset   | meaning |
//! |---|---|---|---|---|---|
//! | 0x00   | 31:0 | PERIOD  | RW     | 0xf4240 | in ns, from 1000 up |
//! | 0x04   | 31:0 | CONTROL | RW     | 0x0     | starts and stops |
//! |        | 0    | ENABLE  |        |         | ticks come |
//! |        | 1    | ONCE    |        |         | the first tick is the last |
//! | 0x08   | 31:0 | STATUS  | W1C    | 0x0     | what happened |
//! |        | 0    | TICK    |        |         | a tick came; asserts the pin |
//! |        | 1    | OVERRUN |        |         | a tick came before the last one was acknowledged |
//! | 0x0c   | 31:0 | TICKS   | RC     | 0x0     | ticks since the last read |
//!
//! While ENABLE is set, a tick comes every PERIOD nanoseconds of device time: TICKS counts it, and
//! TICK is set in STATUS, which asserts the pin until it is acknowledged. A tick that finds TICK still set
//! sets OVERRUN as well; so does one that comes so late that others were due before it, which TICKS counts
//! too: one interrupt stands for all of them. With ONCE set, the first tick clears ENABLE. Setting ENABLE begins a new period,
//! whether it was set or not; PERIOD takes effect with the next one.

use std::borrow::Cow;
use std::mem;

use barscope_device::{
    Access, AccessSize, BadState, BarIndex, BarSpec, ConfigHeader, Context, Field, InterruptPin,
    InterruptSet, OptionSpec, Options, PciDevice, Refused, Region, Register, RegisterMap, state,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const REGISTERS: Region = Region::BAR0;
const PERIOD: u64 = 0x00;
const CONTROL: u64 = 0x04;
const STATUS: u64 = 0x08;
const TICKS: u64 = 0x0c;

const PERIOD_RESET: u32 = 1_000_000;
/// A shorter period is lengthened to this, so that ticks leave time for something else.
const SHORTEST_PERIOD: u32 = 1_000;
const CONTROL_ENABLE: u32 = 1 << 0;
const CONTROL_ONCE: u32 = 1 << 1;
const STATUS_TICK: u32 = 1 << 0;
const STATUS_OVERRUN: u32 = 1 << 1;

/// Options: none.
pub fn options() -> Vec<OptionSpec> {
    Vec::new()
}

const CONTROL_FIELDS: &[Field] =
    &[Field::bit("ENABLE", 0, "ticks come"), Field::bit("ONCE", 1, "the first tick is the last")];
const STATUS_FIELDS: &[Field] = &[
    Field::bit("TICK", 0, "a tick came; asserts the pin"),
    Field::bit("OVERRUN", 1, "a tick came before the last one was acknowledged"),
];

static REGISTER_MAPS: [RegisterMap; 1] = [RegisterMap {
    region: REGISTERS,
    registers: Cow::Borrowed(&[
        Register::new32("PERIOD", PERIOD, Access::ReadWrite, "in ns, from 1000 up")
            .reset_to(PERIOD_RESET as u64),
        Register::new32("CONTROL", CONTROL, Access::ReadWrite, "starts and stops")
            .with_fields(CONTROL_FIELDS),
        Register::new32("STATUS", STATUS, Access::WriteOneToClear, "what happened")
            .with_fields(STATUS_FIELDS),
        Register::new32("TICKS", TICKS, Access::ReadSideEffect, "ticks since the last read").volatile(),
    ]),
}];

/// The device; see the module.
#[derive(Serialize, Deserialize)]
pub struct Ticker {
    period: u32,
    control: u32,
    status: u32,
    ticks: u32,
}

impl Default for Ticker {
    fn default() -> Self {
        Self { period: PERIOD_RESET, control: 0, status: 0, ticks: 0 }
    }
}

impl Ticker {
    /// The device.
    pub fn new(_: &Options) -> Self {
        Self::default()
    }

    fn begin_period(&self, context: &mut Context<'_>) {
        // Ticks keep their distance, however late one is.
        context.set_timer(0, u64::from(self.period) - context.late() % u64::from(self.period));
    }
}

impl PciDevice for Ticker {
    fn name(&self) -> &str {
        "ticker"
    }

    fn header(&self) -> ConfigHeader {
        ConfigHeader {
            vendor: 0x1234,
            device: 0x1ab2,
            revision: 1,
            class: 0x08_80_00,
            bars: vec![BarSpec::memory32(BarIndex::BAR0, 0x10)],
            interrupt_pin: Some(InterruptPin::A),
            ..ConfigHeader::default()
        }
    }

    fn register_maps(&self) -> &[RegisterMap] {
        &REGISTER_MAPS
    }

    fn read(
        &mut self,
        _: &mut Context<'_>,
        region: Region,
        offset: u64,
        size: AccessSize,
    ) -> Result<u64, Refused> {
        REGISTER_MAPS[0].check_read(offset, size)?;
        match offset {
            TICKS => Ok(mem::take(&mut self.ticks).into()),
            _ => self.peek(region, offset).ok_or(Refused::Reserved),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        _: Region,
        offset: u64,
        size: AccessSize,
        value: u64,
    ) -> Result<(), Refused> {
        REGISTER_MAPS[0].check_write(offset, size)?;
        let value = value as u32;
        match offset {
            PERIOD => self.period = value.max(SHORTEST_PERIOD),
            CONTROL => {
                self.control = value & (CONTROL_ENABLE | CONTROL_ONCE);
                if value & CONTROL_ENABLE != 0 {
                    self.begin_period(context);
                } else {
                    context.cancel_timer(0);
                }
            }
            STATUS => self.status &= !value,
            _ => return Err(Refused::Reserved),
        }
        Ok(())
    }

    fn timer(&mut self, context: &mut Context<'_>, _: u8) {
        let once = self.control & CONTROL_ONCE != 0;
        let missed = if once { 0 } else { context.late() / u64::from(self.period) };
        if self.status & STATUS_TICK != 0 || missed != 0 {
            self.status |= STATUS_OVERRUN;
        }
        self.status |= STATUS_TICK;
        self.ticks = self.ticks.saturating_add(u32::try_from(missed).unwrap_or(u32::MAX)).saturating_add(1);
        if once {
            self.control &= !CONTROL_ENABLE;
        } else {
            self.begin_period(context);
        }
    }

    fn interrupts(&self, pending: &mut InterruptSet) {
        pending.insert_mask((self.status & STATUS_TICK).into());
    }

    fn peek(&self, _: Region, offset: u64) -> Option<u64> {
        match offset {
            PERIOD => Some(self.period.into()),
            CONTROL => Some(self.control.into()),
            STATUS => Some(self.status.into()),
            TICKS => Some(self.ticks.into()),
            _ => None,
        }
    }

    fn reset(&mut self) {
        *self = Self::default();
    }

    fn save(&self) -> Value {
        state::encode(self)
    }

    fn restore(&mut self, state: Value) -> Result<(), BadState> {
        *self = state::decode(state)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
