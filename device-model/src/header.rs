//! The type-0 configuration header: a function's identity, and its Command and Status registers.
//!
//! PCI Local Bus 3.0, section 6.1.

use crate::bar::{self, BarSpec};
use crate::capability::msi::MsiSpec;
use crate::capability::msix::MsixSpec;
use crate::config::{ConfigSpace, STATUS};
use crate::interrupt::InterruptPin;

/// Command register.
pub(crate) const COMMAND: usize = 0x04;
/// Command: respond to accesses of I/O BARs.
pub(crate) const COMMAND_IO_SPACE: u16 = 1 << 0;
/// Command: respond to accesses of memory BARs.
pub(crate) const COMMAND_MEMORY_SPACE: u16 = 1 << 1;
/// Command: the function may read and write memory by itself.
pub(crate) const COMMAND_BUS_MASTER: u16 = 1 << 2;
/// Command: don't assert the interrupt pin.
pub(crate) const COMMAND_INTERRUPT_DISABLE: u16 = 1 << 10;
/// Status: the function would assert its interrupt pin, were it not for Interrupt Disable.
pub(crate) const STATUS_INTERRUPT: u16 = 1 << 3;
/// Status: a transfer of the function ended because nobody claimed its address.
pub(crate) const STATUS_RECEIVED_MASTER_ABORT: u16 = 1 << 13;

/// I/O Space, Memory Space, Bus Master, Parity Error Response, SERR# Enable, Interrupt Disable.
const COMMAND_WRITABLE: u16 = 0x0547;
/// The error bits.
const STATUS_WRITE_ONE_TO_CLEAR: u16 = 0xf900;
const REVISION_AND_CLASS: usize = 0x08;
const CACHE_LINE_SIZE: usize = 0x0c;
/// Header Type: 0, for a function that is no bridge.
pub(crate) const HEADER_TYPE: usize = 0x0e;
/// Header Type: there are other functions at this device number.
pub(crate) const HEADER_TYPE_MULTI_FUNCTION: u8 = 1 << 7;
const SUBSYSTEM: usize = 0x2c;
const INTERRUPT_LINE: usize = 0x3c;
const INTERRUPT_PIN: usize = 0x3d;

/// What configuration space is built from: who a function is and what it has. Capabilities come in the
/// order of the fields.
///
/// `..ConfigHeader::default()` stands for nothing: no BARs, no interrupts, no capabilities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigHeader {
    /// Vendor ID.
    pub vendor: u16,
    /// Device ID.
    pub device: u16,
    /// Revision ID.
    pub revision: u8,
    /// Class code, 24 bits: base class in 23:16, subclass in 15:8, programming interface in 7:0.
    pub class: u32,
    /// Subsystem vendor ID.
    pub subsystem_vendor: u16,
    /// Subsystem ID.
    pub subsystem: u16,
    /// Base address registers, in ascending order of index.
    pub bars: Vec<BarSpec>,
    /// Size of the expansion ROM in bytes: a power of two from 2 KiB to 16 MiB.
    pub rom: Option<u32>,
    /// The INTx pin that it uses.
    pub interrupt_pin: Option<InterruptPin>,
    /// Whether it can be put to sleep: D0 and D3hot, without No_Soft_Reset.
    pub power_management: bool,
    /// Message-signalled interrupts.
    pub msi: Option<MsiSpec>,
    /// Message-signalled interrupts with a table in a BAR.
    pub msix: Option<MsixSpec>,
    /// Whether it is a PCI Express endpoint, with Function Level Reset.
    pub express: bool,
    /// Content of the vendor-specific capability; none if empty.
    pub vendor_specific: Vec<u8>,
    /// Device Serial Number, in extended configuration space.
    pub serial_number: Option<u64>,
}

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
