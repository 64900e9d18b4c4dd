//! Resizable BAR.
//!
//! PCI Express Base 5.0, section 7.8.6. Not modelled: resizing. Software can choose a size and reads it back, but
//! the BAR keeps the one in the header.

use serde::{Deserialize, Serialize};

use super::HEAD;
use crate::address::BarIndex;
use crate::bad_header::BadHeader;
use crate::bar::BarSpec;
use crate::capability::Layout;
use crate::config::ConfigSpace;
use crate::config::registers::register;
use crate::register::{Access, Field, Register};

/// Capability and Control registers of a BAR, 4 bytes each.
const ENTRY: usize = 8;
/// Capability: 1 MiB to 128 TiB in bits 31:4; 256 TiB to 8 EiB in bits 31:16 of Control.
const SIZES: u64 = (1 << 44) - 1;
const CONTROL_COUNT_SHIFT: u32 = 5;
const CONTROL_SIZE_SHIFT: u32 = 8;
const CONTROL_SIZE: u32 = 0x3f << CONTROL_SIZE_SHIFT;

const CONTROL_FIELDS: &[Field] = &[
    Field::new("BAR", 0, 3, ""),
    Field::new("COUNT", 5, 3, "BARs that can be resized; in the first such register"),
    Field::new("SIZE", 8, 6, "n for 2^n MiB"),
];

/// The Resizable BAR capability of a function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResizableBarSpec {
    /// One to six BARs that software can resize.
    pub bars: Vec<ResizableBar>,
}

/// The sizes that a BAR can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResizableBar {
    /// The BAR.
    pub bar: BarIndex,
    /// Sizes: bit n for 2^n MiB, up to bit 43.
    pub sizes: u64,
    /// The size after reset: n for 2^n MiB.
    pub size: u8,
}

impl Layout for ResizableBarSpec {
    fn id(&self) -> u16 {
        0x15
    }

    fn name(&self) -> &'static str {
        "Resizable BAR"
    }

    fn length(&self) -> usize {
        HEAD + ENTRY * self.bars.len()
    }

    fn check(&self, _: &[BarSpec]) -> Result<(), BadHeader> {
        let count = self.bars.len();
        BadHeader::unless(
            (1..=6).contains(&count),
            "Resizable BAR's number of BARs",
            count as u64,
            "1 to 6",
        )?;
        for bar in &self.bars {
            BadHeader::unless(bar.sizes & !SIZES == 0, "Resizable BAR's sizes", bar.sizes, "bits 43:0")?;
            BadHeader::unless(bar.size < 44, "Resizable BAR's size", bar.size, "0 to 43")?;
        }
        Ok(())
    }

    fn define(&self, config: &mut ConfigSpace, offset: usize) {
        for (index, bar) in self.bars.iter().enumerate() {
            let at = offset + HEAD + ENTRY * index;
            let count = if index == 0 { self.bars.len() as u32 } else { 0 };
            let control = u32::from(bar.bar.get())
                | count << CONTROL_COUNT_SHIFT
                | u32::from(bar.size) << CONTROL_SIZE_SHIFT
                | ((bar.sizes >> 28) as u32) << 16;
            config.define(at, &((bar.sizes << 4) as u32).to_le_bytes());
            config.define(at + 4, &control.to_le_bytes());
            config.make_writable(at + 4, &CONTROL_SIZE.to_le_bytes());
        }
    }

    fn registers(&self) -> Vec<Register> {
        let mut registers = vec![register(
            "REBAR",
            0,
            4,
            Access::ReadOnly,
            &[],
            "resizable BARs: identifier, next capability",
        )];
        for (index, bar) in self.bars.iter().enumerate() {
            let at = (HEAD + ENTRY * index) as u64;
            let mut sizes = register("", at, 4, Access::ReadOnly, &[], "sizes that the BAR can have");
            sizes.name = format!("REBAR_{}_SIZES", bar.bar).into();
            let mut control = register("", at + 4, 4, Access::ReadWrite, CONTROL_FIELDS, "");
            control.name = format!("REBAR_{}_CONTROL", bar.bar).into();
            registers.extend([sizes, control]);
        }
        registers
    }
}
