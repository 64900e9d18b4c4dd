//! Device Serial Number.
//!
//! PCI Express Base 5.0, section 7.9.3.

use serde::{Deserialize, Serialize};

use super::HEAD;
use crate::bad_header::BadHeader;
use crate::bar::BarSpec;
use crate::capability::Layout;
use crate::config::ConfigSpace;
use crate::config::registers::register;
use crate::register::{Access, Register};

static REGISTERS: [Register; 2] = [
    register("SERIAL", 0, 4, Access::ReadOnly, &[], "device serial number: identifier, next capability"),
    register("SERIAL_NUMBER", 4, 8, Access::ReadOnly, &[], ""),
];

/// The Device Serial Number of a function: an EUI-64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SerialNumberSpec {
    /// The number.
    pub number: u64,
}

impl Layout for SerialNumberSpec {
    fn id(&self) -> u16 {
        0x03
    }

    fn name(&self) -> &'static str {
        "serial number"
    }

    fn length(&self) -> usize {
        0x0c
    }

    fn check(&self, _: &[BarSpec]) -> Result<(), BadHeader> {
        Ok(())
    }

    fn define(&self, config: &mut ConfigSpace, offset: usize) {
        config.define(offset + HEAD, &self.number.to_le_bytes());
    }

    fn registers(&self) -> Vec<Register> {
        REGISTERS.to_vec()
    }
}
