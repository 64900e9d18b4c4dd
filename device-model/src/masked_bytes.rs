//! Bytes of configuration space whose meaning is the device's driver's alone.

use serde::{Deserialize, Serialize};

use crate::bad_header::BadHeader;
use crate::config::ConfigSpace;
use crate::hex::Hex;

/// Bytes after reset, and which of their bits software can write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MaskedBytes {
    /// The bytes after reset.
    pub bytes: Hex,
    /// A byte for each of them, whose set bits can be written; those that are left out can't.
    #[serde(default, skip_serializing_if = "Hex::is_empty")]
    pub writable: Hex,
}

impl MaskedBytes {
    /// Bytes that never change.
    pub fn read_only(bytes: impl Into<Vec<u8>>) -> Self {
        Self { bytes: Hex(bytes.into()), writable: Hex::default() }
    }

    /// Bytes of which the bits in `writable` can be written.
    pub fn new(bytes: impl Into<Vec<u8>>, writable: impl Into<Vec<u8>>) -> Self {
        Self { bytes: Hex(bytes.into()), writable: Hex(writable.into()) }
    }

    /// Number of bytes.
    pub fn len(&self) -> usize {
        self.bytes.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn check(&self, what: &'static str) -> Result<(), BadHeader> {
        let (bytes, mask) = (self.len(), self.writable.0.len());
        if mask > bytes { Err(BadHeader::Mask { what, bytes, mask }) } else { Ok(()) }
    }

    pub(crate) fn define(&self, config: &mut ConfigSpace, offset: usize) {
        config.define(offset, &self.bytes.0);
        config.make_writable(offset, &self.writable.0);
    }
}

/// Bytes outside the header and all capabilities, as many functions have them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrivateBytes {
    /// Their offset in configuration space: from 0x40 on.
    pub offset: u16,
    /// The bytes.
    #[serde(flatten)]
    pub content: MaskedBytes,
}
