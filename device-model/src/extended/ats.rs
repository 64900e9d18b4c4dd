//! Address Translation Services.
//!
//! PCI Express Base 5.0, section 10.5.1. Not modelled: translation. A function with the capability enabled
//! does its transfers with untranslated addresses, as one may that has nothing cached.

use serde::{Deserialize, Serialize};

use super::HEAD;
use crate::bad_header::BadHeader;
use crate::bar::BarSpec;
use crate::capability::Layout;
use crate::config::ConfigSpace;
use crate::config::registers::register;
use crate::register::{Access, Register};

/// Control, as an offset in the capability.
const CONTROL: usize = 0x06;
const PAGE_ALIGNED: u16 = 1 << 5;
const GLOBAL_INVALIDATE: u16 = 1 << 6;
const RELAXED_ORDERING: u16 = 1 << 7;
/// Smallest Translation Unit, and Enable.
const CONTROL_WRITABLE: u16 = 0x801f;

static REGISTERS: [Register; 3] = [
    register("ATS", 0, 4, Access::ReadOnly, &[], "address translation: identifier, next capability"),
    register("ATS_CAPABILITIES", 4, 2, Access::ReadOnly, &[], ""),
    register("ATS_CONTROL", 6, 2, Access::ReadWrite, &[], ""),
];

/// The Address Translation Services capability of a function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AtsSpec {
    /// Invalidate requests that it takes at once, 5 bits; 0 for 32.
    pub queue_depth: u8,
    /// Whether untranslated addresses are always aligned to a page.
    pub page_aligned: bool,
    /// Whether it supports Global Invalidate.
    pub global_invalidate: bool,
    /// Whether translation requests may be relaxed in their order.
    pub relaxed_ordering: bool,
}

impl Layout for AtsSpec {
    fn id(&self) -> u16 {
        0x0f
    }

    fn name(&self) -> &'static str {
        "Address Translation Services"
    }

    fn length(&self) -> usize {
        0x08
    }

    fn check(&self, _: &[BarSpec]) -> Result<(), BadHeader> {
        let depth = self.queue_depth;
        BadHeader::unless(depth < 32, "ATS's invalidate queue depth", depth, "5 bits")
    }

    fn define(&self, config: &mut ConfigSpace, offset: usize) {
        let bit = |on: bool, bit: u16| if on { bit } else { 0 };
        let capabilities = u16::from(self.queue_depth)
            | bit(self.page_aligned, PAGE_ALIGNED)
            | bit(self.global_invalidate, GLOBAL_INVALIDATE)
            | bit(self.relaxed_ordering, RELAXED_ORDERING);
        config.define(offset + HEAD, &capabilities.to_le_bytes());
        config.make_writable(offset + CONTROL, &CONTROL_WRITABLE.to_le_bytes());
    }

    fn registers(&self) -> Vec<Register> {
        REGISTERS.to_vec()
    }
}
