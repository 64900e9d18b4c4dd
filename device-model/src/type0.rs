//! The type-0 header in configuration space: identity, Command and Status registers, BARs.
//!
//! PCI Local Bus 3.0, section 6.1.

use crate::bar;
use crate::config::{COMMAND, ConfigSpace, STATUS, STATUS_INTERRUPT};
use crate::header::ConfigHeader;

/// I/O Space, Memory Space, Bus Master, Parity Error Response, SERR# Enable, Interrupt Disable.
const COMMAND_WRITABLE: u16 = 0x0547;
/// The error bits.
const STATUS_WRITE_ONE_TO_CLEAR: u16 = 0xf900;
const REVISION_AND_CLASS: usize = 0x08;
const CACHE_LINE_SIZE: usize = 0x0c;
const SUBSYSTEM: usize = 0x2c;
const INTERRUPT_LINE: usize = 0x3c;
const INTERRUPT_PIN: usize = 0x3d;

impl ConfigHeader {
    /// Lays out the header and its BARs, with everything off, as after reset.
    ///
    /// # Panics
    /// If the class code exceeds 24 bits or a BAR can't exist ([`BarSpec`]).
    pub(crate) fn define(&self, config: &mut ConfigSpace) {
        assert!(self.class < 1 << 24, "class code {:#x} exceeds 24 bits", self.class);
        config.define(0x00, &self.vendor.to_le_bytes());
        config.define(0x02, &self.device.to_le_bytes());
        config.make_writable(COMMAND, &COMMAND_WRITABLE.to_le_bytes());
        config.make_write_one_to_clear(STATUS, &STATUS_WRITE_ONE_TO_CLEAR.to_le_bytes());
        config.define(REVISION_AND_CLASS, &(self.class << 8 | u32::from(self.revision)).to_le_bytes());
        config.make_writable(CACHE_LINE_SIZE, &[0xff]);
        config.define(SUBSYSTEM, &self.subsystem_vendor.to_le_bytes());
        config.define(SUBSYSTEM + 2, &self.subsystem.to_le_bytes());
        // For firmware to note a line, pin or no pin.
        config.make_writable(INTERRUPT_LINE, &[0xff]);
        config.define(INTERRUPT_PIN, &[self.interrupt_pin.map_or(0, |pin| pin as u8)]);
        config.make_reported(STATUS, &STATUS_INTERRUPT.to_le_bytes());
        bar::check(&self.bars);
        for bar in &self.bars {
            bar.define(config);
        }
    }
}
