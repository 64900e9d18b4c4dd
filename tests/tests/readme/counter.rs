//! counter, 1234:1ab3: counts writes.

use std::borrow::Cow;

use barscope_device::state::{self, BadState};
use barscope_device::*;
use serde_json::Value;

/// Counts writes to its only register.
#[derive(Default, serde::Serialize, serde::Deserialize)]
pub struct Counter {
    writes: u32,
}

pub fn options() -> Vec<OptionSpec> {
    Vec::new()
}

static MAPS: [RegisterMap; 1] = [RegisterMap {
    region: Region::BAR0,
    registers: Cow::Borrowed(&[Register::new32("COUNT", 0, Access::ReadWrite, "writes so far")]),
}];

impl Counter {
    pub fn new(_: &Options) -> Self {
        Self::default()
    }
}

impl PciDevice for Counter {
    fn name(&self) -> &str {
        "counter"
    }

    fn header(&self) -> ConfigHeader {
        let bars = vec![BarSpec::memory32(BarIndex::BAR0, 4096)];
        ConfigHeader { vendor: 0x1234, device: 0x1ab3, class: 0xff_0000, bars, ..Default::default() }
    }

    fn register_maps(&self) -> &[RegisterMap] {
        &MAPS
    }

    fn read(&mut self, _: &mut Context<'_>, _: Region, at: u64, size: AccessSize) -> Result<u64, Refused> {
        MAPS[0].check_read(at, size)?;
        Ok(self.writes.into())
    }

    fn write(
        &mut self,
        _: &mut Context<'_>,
        _: Region,
        at: u64,
        size: AccessSize,
        _: u64,
    ) -> Result<(), Refused> {
        MAPS[0].check_write(at, size)?;
        self.writes += 1;
        Ok(())
    }

    fn peek(&self, _: Region, _: u64) -> Option<u64> {
        Some(self.writes.into())
    }

    fn reset(&mut self) {
        self.writes = 0;
    }

    fn save(&self) -> Value {
        state::encode(self)
    }

    fn restore(&mut self, state: Value) -> Result<(), BadState> {
        *self = state::decode(state)?;
        Ok(())
    }
}
