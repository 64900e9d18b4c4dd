//! Single Root I/O Virtualization.
//!
//! PCI Express Base 5.0, section 9.3.3. Not modelled: virtual functions. Software can size their BARs, choose
//! their number and enable them, and reads that back, but finds none on the bus.

use serde::{Deserialize, Serialize};

use crate::bad_header::BadHeader;
use crate::bar::{self, BarSpec};
use crate::capability::Layout;
use crate::config::ConfigSpace;
use crate::config::registers::register;
use crate::register::{Access, Field, Register};

/// Registers, as offsets in the capability.
const CAPABILITIES: usize = 0x04;
const CONTROL: usize = 0x08;
const STATUS: usize = 0x0a;
const INITIAL: usize = 0x0c;
const TOTAL: usize = 0x0e;
const COUNT: usize = 0x10;
const DEPENDENCY: usize = 0x12;
const FIRST: usize = 0x14;
const STRIDE: usize = 0x16;
const DEVICE: usize = 0x1a;
const PAGE_SIZES: usize = 0x1c;
const PAGE_SIZE: usize = 0x20;
const BARS: usize = 0x24;
const MIGRATION: usize = 0x3c;

/// VF Enable, migration enables, VF Memory Space Enable, ARI, 10-bit tags.
const CONTROL_WRITABLE: u16 = 0x003f;
/// VF Migration Status.
const STATUS_WRITE_ONE_TO_CLEAR: u16 = 1 << 0;
/// Pages of 4 KiB.
const PAGE_SIZE_RESET: u32 = 1;

const CONTROL_FIELDS: &[Field] = &[
    Field::bit("VF_ENABLE", 0, "there are virtual functions"),
    Field::bit("VF_MEMORY_SPACE", 3, "their memory BARs are decoded"),
    Field::bit("ARI_HIERARCHY", 4, ""),
];

static REGISTERS: [Register; 20] = [
    register("SRIOV", 0x00, 4, Access::ReadOnly, &[], "virtual functions: identifier, next capability"),
    register("SRIOV_CAPABILITIES", 0x04, 4, Access::ReadOnly, &[], ""),
    register("SRIOV_CONTROL", 0x08, 2, Access::ReadWrite, CONTROL_FIELDS, ""),
    register("SRIOV_STATUS", 0x0a, 2, Access::WriteOneToClear, &[], ""),
    register("SRIOV_INITIAL_VFS", 0x0c, 2, Access::ReadOnly, &[], ""),
    register("SRIOV_TOTAL_VFS", 0x0e, 2, Access::ReadOnly, &[], ""),
    register("SRIOV_NUM_VFS", 0x10, 2, Access::ReadWrite, &[], ""),
    register("SRIOV_DEPENDENCY", 0x12, 1, Access::ReadOnly, &[], ""),
    register(
        "SRIOV_FIRST_OFFSET",
        0x14,
        2,
        Access::ReadOnly,
        &[],
        "routing identifier of the first one, relative",
    ),
    register("SRIOV_STRIDE", 0x16, 2, Access::ReadOnly, &[], "distance of their routing identifiers"),
    register("SRIOV_DEVICE_ID", 0x1a, 2, Access::ReadOnly, &[], ""),
    register("SRIOV_PAGE_SIZES", 0x1c, 4, Access::ReadOnly, &[], "bit n for 2^(n + 12) bytes"),
    register("SRIOV_PAGE_SIZE", 0x20, 4, Access::ReadWrite, &[], ""),
    register("SRIOV_BAR0", 0x24, 4, Access::ReadWrite, &[], ""),
    register("SRIOV_BAR1", 0x28, 4, Access::ReadWrite, &[], ""),
    register("SRIOV_BAR2", 0x2c, 4, Access::ReadWrite, &[], ""),
    register("SRIOV_BAR3", 0x30, 4, Access::ReadWrite, &[], ""),
    register("SRIOV_BAR4", 0x34, 4, Access::ReadWrite, &[], ""),
    register("SRIOV_BAR5", 0x38, 4, Access::ReadWrite, &[], ""),
    register("SRIOV_MIGRATION", 0x3c, 4, Access::ReadOnly, &[], "where the migration states are"),
];

/// The SR-IOV capability of a physical function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SrIovSpec {
    /// Version of the capability, 4 bits.
    pub version: u8,
    /// SR-IOV Capabilities.
    pub capabilities: u32,
    /// InitialVFs: virtual functions after reset.
    pub initial: u16,
    /// TotalVFs: virtual functions that there can be.
    pub total: u16,
    /// Function Dependency Link.
    pub dependency: u8,
    /// First VF Offset: routing identifier of the first virtual function, relative to this one.
    pub first: u16,
    /// VF Stride: distance of their routing identifiers.
    pub stride: u16,
    /// VF Device ID.
    pub device: u16,
    /// Supported Page Sizes: bit n for 2^(n + 12) bytes.
    pub page_sizes: u32,
    /// BARs of each virtual function.
    pub bars: Vec<BarSpec>,
    /// VF Migration State Array Offset.
    pub migration: u32,
}

impl Default for SrIovSpec {
    /// No virtual functions and no BARs; the page sizes that the specification requires.
    fn default() -> Self {
        Self {
            version: 1,
            capabilities: 0,
            initial: 0,
            total: 0,
            dependency: 0,
            first: 0,
            stride: 0,
            device: 0,
            page_sizes: 0x0000_0553,
            bars: Vec::new(),
            migration: 0,
        }
    }
}

impl Layout for SrIovSpec {
    fn id(&self) -> u16 {
        0x10
    }

    fn name(&self) -> &'static str {
        "SR-IOV"
    }

    fn length(&self) -> usize {
        0x40
    }

    fn check(&self, _: &[BarSpec]) -> Result<(), BadHeader> {
        BadHeader::unless(self.version < 16, "SR-IOV's version", self.version, "4 bits")?;
        bar::check(&self.bars)
    }

    fn define(&self, config: &mut ConfigSpace, offset: usize) {
        config.define(offset + CAPABILITIES, &self.capabilities.to_le_bytes());
        config.make_writable(offset + CONTROL, &CONTROL_WRITABLE.to_le_bytes());
        config.make_write_one_to_clear(offset + STATUS, &STATUS_WRITE_ONE_TO_CLEAR.to_le_bytes());
        config.define(offset + INITIAL, &self.initial.to_le_bytes());
        config.define(offset + TOTAL, &self.total.to_le_bytes());
        config.make_writable(offset + COUNT, &u16::MAX.to_le_bytes());
        config.define(offset + DEPENDENCY, &[self.dependency]);
        config.define(offset + FIRST, &self.first.to_le_bytes());
        config.define(offset + STRIDE, &self.stride.to_le_bytes());
        config.define(offset + DEVICE, &self.device.to_le_bytes());
        config.define(offset + PAGE_SIZES, &self.page_sizes.to_le_bytes());
        config.define(offset + PAGE_SIZE, &PAGE_SIZE_RESET.to_le_bytes());
        config.make_writable(offset + PAGE_SIZE, &self.page_sizes.to_le_bytes());
        for bar in &self.bars {
            bar.define(config, offset + BARS);
        }
        config.define(offset + MIGRATION, &self.migration.to_le_bytes());
    }

    fn registers(&self) -> Vec<Register> {
        REGISTERS.to_vec()
    }
}
