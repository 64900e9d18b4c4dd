//! The power management timer: a counter of 32 bits that advances at 3.579545 MHz (ACPI 6.5, section 4.8.3.3).

use crate::layout::PM_TIMER_PORT;

const FREQUENCY_HZ: u128 = 3_579_545;
const NS_PER_S: u128 = 1_000_000_000;

/// Which byte of the register a port is.
pub(super) fn offset(port: u16) -> Option<u16> {
    port.checked_sub(PM_TIMER_PORT).filter(|offset| *offset < 4)
}

/// The counter from byte `offset` on at device time `now`, in nanoseconds.
pub(super) fn value(now: u64, offset: u16) -> u32 {
    ((u128::from(now) * FREQUENCY_HZ / NS_PER_S) as u32) >> (8 * u32::from(offset))
}
