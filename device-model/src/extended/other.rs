//! An extended capability that is not modelled, given by its bytes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::HEAD;
use crate::bad_header::BadHeader;
use crate::bar::BarSpec;
use crate::capability::Layout;
use crate::config::ConfigSpace;
use crate::config::registers::register;
use crate::masked_bytes::MaskedBytes;
use crate::register::{Access, Register};

/// Identifiers of the types beside this one.
const TYPED: [(u16, &str); 5] = [
    (0x01, "Advanced Error Reporting"),
    (0x03, "serial number"),
    (0x0f, "Address Translation Services"),
    (0x10, "SR-IOV"),
    (0x15, "Resizable BAR"),
];

/// An extended capability with any identifier, as bytes with a writable mask. A function may have several of
/// one identifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtherExtendedSpec {
    /// Its identifier; 0 for a null capability, which only links to the next one.
    pub id: u16,
    /// Its version, 4 bits.
    pub version: u8,
    /// Bytes behind the four of its head.
    pub content: MaskedBytes,
}

impl fmt::Display for OtherExtendedSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "extended capability {:#06x} ({} bytes)", self.id, self.length())
    }
}

impl Layout for OtherExtendedSpec {
    fn id(&self) -> u16 {
        self.id
    }

    fn name(&self) -> &'static str {
        "an extended capability that is not modelled"
    }

    fn length(&self) -> usize {
        HEAD + self.content.len()
    }

    fn is_unique(&self) -> bool {
        false
    }

    fn check(&self, _: &[BarSpec]) -> Result<(), BadHeader> {
        if let Some(&(id, name)) = TYPED.iter().find(|(id, _)| *id == self.id) {
            return Err(BadHeader::Typed { id, name });
        }
        let version = self.version;
        BadHeader::unless(version < 16, "an extended capability's version", version, "4 bits")?;
        self.content.check(self.name())
    }

    fn define(&self, config: &mut ConfigSpace, offset: usize) {
        self.content.define(config, offset + HEAD);
    }

    fn registers(&self) -> Vec<Register> {
        let mut head = register("", 0, 4, Access::ReadOnly, &[], "identifier, version, next capability");
        head.name = format!("EXTENDED_{:04X}", self.id).into();
        vec![head]
    }
}
