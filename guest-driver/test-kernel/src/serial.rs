//! The first serial port, for what a person must read: a 16550 at its reset settings.

use crate::port;

const DATA: u16 = 0x3f8;
const LINE_STATUS: u16 = DATA + 5;
const TRANSMITTER_EMPTY: u8 = 1 << 5;

/// Writes `bytes`.
pub fn write(bytes: &[u8]) {
    for &byte in bytes {
        while port::read8(LINE_STATUS) & TRANSMITTER_EMPTY == 0 {}
        port::write8(DATA, byte);
    }
}

/// Writes `text`.
pub fn print(text: &str) {
    write(text.as_bytes());
}
