//! PCI Express, version 2, as a Root Complex Integrated Endpoint has it: the registers of links, slots
//! and root ports are hardwired to zero. Its use here is Function Level Reset.
//!
//! PCI Express Base 5.0, sections 7.5.3 and 6.6.2.

use crate::config::ConfigSpace;

const CAPABILITY_ID: u8 = 0x10;
const LENGTH: usize = 0x3c;
/// Registers, as offsets in the capability.
const CAPABILITIES: usize = 0x02;
const DEVICE_CAPABILITIES: usize = 0x04;
const DEVICE_CONTROL: usize = 0x08;
const DEVICE_STATUS: usize = 0x0a;

/// Version 2; Root Complex Integrated Endpoint.
const CAPABILITIES_VALUE: u16 = 0x0092;
/// Payloads of 128 bytes, role-based error reporting, Function Level Reset.
const DEVICE_CAPABILITIES_VALUE: u32 = 1 << 28 | 1 << 15;
/// Relaxed ordering and no-snoop allowed, read requests of 512 bytes.
const DEVICE_CONTROL_RESET: u16 = 0x2810;
/// Error reporting, relaxed ordering, no-snoop, read request size, Initiate Function Level Reset.
const DEVICE_CONTROL_WRITABLE: u16 = 0xf81f;
/// Reads as zero.
const INITIATE_RESET: u16 = 1 << 15;
/// The four kinds of detected errors.
const DEVICE_STATUS_WRITE_ONE_TO_CLEAR: u8 = 0x0f;

/// The capability, at an offset.
pub(crate) struct Express(usize);

impl Express {
    /// Adds it to configuration space.
    pub(crate) fn define(config: &mut ConfigSpace) -> Self {
        let offset = config.add_capability(CAPABILITY_ID, LENGTH);
        config.define(offset + CAPABILITIES, &CAPABILITIES_VALUE.to_le_bytes());
        config.define(offset + DEVICE_CAPABILITIES, &DEVICE_CAPABILITIES_VALUE.to_le_bytes());
        config.define(offset + DEVICE_CONTROL, &DEVICE_CONTROL_RESET.to_le_bytes());
        config.make_writable(offset + DEVICE_CONTROL, &DEVICE_CONTROL_WRITABLE.to_le_bytes());
        config.make_write_one_to_clear(offset + DEVICE_STATUS, &[DEVICE_STATUS_WRITE_ONE_TO_CLEAR]);
        Self(offset)
    }

    /// Takes back Initiate Function Level Reset; whether it was set.
    pub(crate) fn take_reset(&self, config: &mut ConfigSpace) -> bool {
        let told = config.u16(self.0 + DEVICE_CONTROL) & INITIATE_RESET != 0;
        config.assign(self.0 + DEVICE_CONTROL, INITIATE_RESET.to_le_bytes(), [0; 2]);
        told
    }
}

#[cfg(test)]
mod tests;
