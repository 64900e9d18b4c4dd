//! What the ticker function holds. BAR 0, 16 bytes, has these registers of 32 bits:
//!
//! | offset | register | access | what                                      |
//! |--------|----------|--------|-------------------------------------------|
//! | 0x00   | PERIOD   | RW     | in ns of device time                      |
//! | 0x04   | CONTROL  | RW     | bit 0 ENABLE, bit 1 ONCE                  |
//! | 0x08   | STATUS   | W1C    | bit 0 TICK: asserts the pin               |
//!
//! Written down here on its own, as the lab's registers are.

/// Vendor in the low half, device in the high.
pub const PCI_ID: u32 = 0x1ab2_1234;
/// What PERIOD holds after reset.
pub const PERIOD_RESET: u32 = 1_000_000;

pub const PERIOD: u64 = 0x00;
pub const CONTROL: u64 = 0x04;
pub const STATUS: u64 = 0x08;
pub const CONTROL_ENABLE: u32 = 1 << 0;
pub const CONTROL_ONCE: u32 = 1 << 1;
pub const STATUS_TICK: u32 = 1 << 0;
