//! Reading little-endian registers, and saying why a function can't be expressed.

use std::fmt;

/// The reason why a function's header can't be made from a dump: where, and what.
#[derive(Clone, Debug, PartialEq)]
pub struct Inexpressible(pub String);

impl fmt::Display for Inexpressible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub type Expressed<T> = Result<T, Inexpressible>;

/// Fails unless `holds`.
pub fn expect(holds: bool, why: impl FnOnce() -> String) -> Expressed<()> {
    if holds { Ok(()) } else { Err(Inexpressible(why())) }
}

/// A whole configuration space; what was not dumped is zeros.
pub struct Space(pub [u8; 4096]);

impl Space {
    pub fn u8(&self, at: usize) -> u8 {
        self.0[at]
    }

    pub fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.0[at], self.0[at + 1]])
    }

    pub fn u32(&self, at: usize) -> u32 {
        u32::from(self.u16(at)) | u32::from(self.u16(at + 2)) << 16
    }

    pub fn u64(&self, at: usize) -> u64 {
        u64::from(self.u32(at)) | u64::from(self.u32(at + 4)) << 32
    }

    /// Fails unless the bits of `mask` in the register of 4 bytes at `at` are clear, as they are in one that our types
    /// describe.
    pub fn expect_clear(&self, at: usize, mask: u32, what: &str) -> Expressed<()> {
        let found = self.u32(at) & mask;
        expect(found == 0, || format!("{what}, at {at:#x}: bits {found:#010x} are set that our type hasn't"))
    }
}
