//! The capability's registers by name.

use crate::config::registers::register;
use crate::register::{Access, Field, Register};

const DEVICE_CONTROL_FIELDS: &[Field] = &[
    Field::new("ERROR_REPORTING", 0, 4, ""),
    Field::bit("RELAXED_ORDERING", 4, ""),
    Field::new("PAYLOAD", 5, 3, "log2 of 1/128 of the largest one, in bytes"),
    Field::bit("NO_SNOOP", 11, ""),
    Field::new("READ_REQUEST", 12, 3, "log2 of 1/128 of the largest one, in bytes"),
    Field::bit("INITIATE_FLR", 15, "resets the function"),
];
const DEVICE_CAPABILITIES_FIELDS: &[Field] = &[Field::bit("FLR", 28, "the function can be reset by itself")];
const DEVICE_STATUS_FIELDS: &[Field] = &[
    Field::new("ERRORS", 0, 4, "detected: correctable, non-fatal, fatal, unsupported"),
    Field::bit("PENDING", 5, "transactions are under way"),
];

const LINK_CAPABILITIES_FIELDS: &[Field] = &[
    Field::new("SPEED", 0, 4, "the highest one"),
    Field::new("WIDTH", 4, 6, "in lanes, the largest one"),
    Field::new("ASPM", 10, 2, "L0s, L1"),
    Field::new("PORT", 24, 8, "its number"),
];
const LINK_CONTROL_FIELDS: &[Field] = &[
    Field::new("ASPM", 0, 2, "L0s, L1"),
    Field::bit("READ_COMPLETION_BOUNDARY", 3, "128 bytes, not 64"),
    Field::bit("COMMON_CLOCK", 6, ""),
    Field::bit("EXTENDED_SYNCH", 7, ""),
    Field::bit("CLOCK_POWER_MANAGEMENT", 8, ""),
    Field::bit("NO_AUTONOMOUS_WIDTH", 9, ""),
];
const LINK_STATUS_FIELDS: &[Field] = &[
    Field::new("SPEED", 0, 4, ""),
    Field::new("WIDTH", 4, 6, "in lanes"),
    Field::bit("SLOT_CLOCK", 12, "it uses the connector's clock"),
];

/// Of every function.
pub(super) static DEVICE: [Register; 5] = [
    register("PCIE", 0, 2, Access::ReadOnly, &[], "PCI Express: identifier, next capability"),
    register("PCIE_CAPABILITIES", 2, 2, Access::ReadOnly, &[], ""),
    register("PCIE_DEVICE_CAPABILITIES", 4, 4, Access::ReadOnly, DEVICE_CAPABILITIES_FIELDS, ""),
    register("PCIE_DEVICE_CONTROL", 8, 2, Access::ReadWrite, DEVICE_CONTROL_FIELDS, ""),
    register("PCIE_DEVICE_STATUS", 0xa, 2, Access::WriteOneToClear, DEVICE_STATUS_FIELDS, ""),
];
/// Of a function with a link.
pub(super) static LINK: [Register; 3] = [
    register("PCIE_LINK_CAPABILITIES", 0xc, 4, Access::ReadOnly, LINK_CAPABILITIES_FIELDS, ""),
    register("PCIE_LINK_CONTROL", 0x10, 2, Access::ReadWrite, LINK_CONTROL_FIELDS, ""),
    register("PCIE_LINK_STATUS", 0x12, 2, Access::ReadOnly, LINK_STATUS_FIELDS, ""),
];
/// Of a function with registers of a slot.
pub(super) static SLOT: [Register; 3] = [
    register("PCIE_SLOT_CAPABILITIES", 0x14, 4, Access::ReadOnly, &[], ""),
    register("PCIE_SLOT_CONTROL", 0x18, 2, Access::ReadWrite, &[], ""),
    register("PCIE_SLOT_STATUS", 0x1a, 2, Access::WriteOneToClear, &[], ""),
];
/// Of a root port or an event collector.
pub(super) static ROOT: [Register; 3] = [
    register("PCIE_ROOT_CONTROL", 0x1c, 2, Access::ReadWrite, &[], ""),
    register("PCIE_ROOT_CAPABILITIES", 0x1e, 2, Access::ReadOnly, &[], ""),
    register("PCIE_ROOT_STATUS", 0x20, 4, Access::WriteOneToClear, &[], ""),
];
/// Of a function that says something there.
pub(super) static DEVICE_2: [Register; 2] = [
    register("PCIE_DEVICE_CAPABILITIES_2", 0x24, 4, Access::ReadOnly, &[], ""),
    register("PCIE_DEVICE_CONTROL_2", 0x28, 2, Access::ReadWrite, &[], ""),
];
/// Of a function with a link, from version 2 on.
pub(super) static LINK_2: [Register; 3] = [
    register("PCIE_LINK_CAPABILITIES_2", 0x2c, 4, Access::ReadOnly, &[], ""),
    register("PCIE_LINK_CONTROL_2", 0x30, 2, Access::ReadWrite, &[], ""),
    register("PCIE_LINK_STATUS_2", 0x32, 2, Access::WriteOneToClear, &[], ""),
];
