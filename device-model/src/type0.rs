//! The type-0 header in configuration space: identity, Command and Status registers, BARs.
//!
//! PCI Local Bus 3.0, section 6.1.

use crate::config::{COMMAND, ConfigSpace, STATUS, STATUS_INTERRUPT};
use crate::header::ConfigHeader;

/// The error bits.
const STATUS_WRITE_ONE_TO_CLEAR: u16 = 0xf900;
const STATUS_MHZ66: u32 = 5;
const STATUS_USER_DEFINABLE: u32 = 6;
const STATUS_FAST_BACK_TO_BACK: u32 = 7;
const STATUS_DEVSEL: u32 = 9;
const REVISION_AND_CLASS: usize = 0x08;
const CACHE_LINE_SIZE: usize = 0x0c;
const LATENCY_TIMER: usize = 0x0d;
const SELF_TEST: usize = 0x0f;
const SELF_TEST_CAPABLE: u8 = 1 << 7;
const BARS: usize = 0x10;
const CARDBUS_CIS: usize = 0x28;
const SUBSYSTEM: usize = 0x2c;
const INTERRUPT_LINE: usize = 0x3c;
const INTERRUPT_PIN: usize = 0x3d;
const MIN_GRANT: usize = 0x3e;
const MAX_LATENCY: usize = 0x3f;

impl ConfigHeader {
    /// Lays out the header and its BARs, with everything off, as after reset.
    pub(crate) fn define(&self, config: &mut ConfigSpace) {
        let conventional = &self.conventional;
        config.define(0x00, &self.vendor.to_le_bytes());
        config.define(0x02, &self.device.to_le_bytes());
        config.define(COMMAND, &self.command.reset.to_le_bytes());
        config.make_writable(COMMAND, &self.command.writable.to_le_bytes());
        let status = u16::from(conventional.mhz66) << STATUS_MHZ66
            | u16::from(conventional.user_definable) << STATUS_USER_DEFINABLE
            | u16::from(conventional.fast_back_to_back) << STATUS_FAST_BACK_TO_BACK
            | (conventional.devsel as u16) << STATUS_DEVSEL;
        config.define(STATUS, &status.to_le_bytes());
        config.make_write_one_to_clear(STATUS, &STATUS_WRITE_ONE_TO_CLEAR.to_le_bytes());
        config.define(REVISION_AND_CLASS, &(self.class << 8 | u32::from(self.revision)).to_le_bytes());
        config.make_writable(CACHE_LINE_SIZE, &[0xff]);
        config.make_writable(LATENCY_TIMER, &[conventional.latency_timer]);
        config.define(SELF_TEST, &[self.self_test.map_or(0, |code| SELF_TEST_CAPABLE | code)]);
        config.define(CARDBUS_CIS, &conventional.cardbus_cis.to_le_bytes());
        config.define(SUBSYSTEM, &self.subsystem_vendor.to_le_bytes());
        config.define(SUBSYSTEM + 2, &self.subsystem.to_le_bytes());
        // For firmware to note a line, pin or no pin.
        config.make_writable(INTERRUPT_LINE, &[0xff]);
        config.define(INTERRUPT_PIN, &[self.interrupt_pin.map_or(0, |pin| pin as u8)]);
        config.define(MIN_GRANT, &[conventional.min_grant]);
        config.define(MAX_LATENCY, &[conventional.max_latency]);
        config.make_reported(STATUS, &STATUS_INTERRUPT.to_le_bytes());
        for bar in &self.bars {
            bar.define(config, BARS);
        }
    }
}
