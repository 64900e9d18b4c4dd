//! The registers of every function's header by name. Those of a capability are its own.
//!
//! PCI Local Bus 3.0, sections 6.1 and 6.2.

use crate::register::{Access, Field, Register};

const COMMAND: &[Field] = &[
    Field::bit("IO_SPACE", 0, "I/O BARs are decoded"),
    Field::bit("MEMORY_SPACE", 1, "memory BARs are decoded"),
    Field::bit("BUS_MASTER", 2, "DMA and messages leave the function"),
    Field::bit("PARITY_RESPONSE", 6, ""),
    Field::bit("SERR", 8, ""),
    Field::bit("INTERRUPT_DISABLE", 10, "the interrupt pin stays deasserted"),
];
const STATUS: &[Field] = &[
    Field::bit("INTERRUPT", 3, "an interrupt is pending on the pin"),
    Field::bit("CAPABILITIES", 4, "there is a list of capabilities"),
    Field::bit("PARITY_ERROR", 8, "of a transfer that it made"),
    Field::bit("SIGNALLED_ABORT", 11, "as a target"),
    Field::bit("RECEIVED_ABORT", 12, "from a target"),
    Field::bit("MASTER_ABORT", 13, "nobody answered it"),
    Field::bit("SYSTEM_ERROR", 14, ""),
    Field::bit("DETECTED_PARITY", 15, ""),
];
const HEADER_TYPE: &[Field] = &[Field::new("LAYOUT", 0, 7, ""), Field::bit("MULTI_FUNCTION", 7, "")];
const ROM: &[Field] = &[Field::bit("ENABLE", 0, "the expansion ROM is decoded")];

/// The header of a function that is no bridge.
static HEADER: [Register; 27] = [
    register("VENDOR_ID", 0x00, 2, Access::ReadOnly, &[], "all-ones where there is no function"),
    register("DEVICE_ID", 0x02, 2, Access::ReadOnly, &[], ""),
    register("COMMAND", 0x04, 2, Access::ReadWrite, COMMAND, "what the function may do"),
    register("STATUS", 0x06, 2, Access::WriteOneToClear, STATUS, "what it has, and what went wrong"),
    register("REVISION_ID", 0x08, 1, Access::ReadOnly, &[], ""),
    register("PROG_IF", 0x09, 1, Access::ReadOnly, &[], "programming interface within the subclass"),
    register("SUBCLASS", 0x0a, 1, Access::ReadOnly, &[], ""),
    register("CLASS", 0x0b, 1, Access::ReadOnly, &[], "what kind of device it is"),
    register("CACHE_LINE_SIZE", 0x0c, 1, Access::ReadWrite, &[], ""),
    register("LATENCY_TIMER", 0x0d, 1, Access::ReadWrite, &[], ""),
    register("HEADER_TYPE", 0x0e, 1, Access::ReadOnly, HEADER_TYPE, ""),
    register("BIST", 0x0f, 1, Access::ReadWrite, &[], "self-test"),
    register("BAR0", 0x10, 4, Access::ReadWrite, &[], ""),
    register("BAR1", 0x14, 4, Access::ReadWrite, &[], ""),
    register("BAR2", 0x18, 4, Access::ReadWrite, &[], ""),
    register("BAR3", 0x1c, 4, Access::ReadWrite, &[], ""),
    register("BAR4", 0x20, 4, Access::ReadWrite, &[], ""),
    register("BAR5", 0x24, 4, Access::ReadWrite, &[], ""),
    register("CARDBUS_CIS", 0x28, 4, Access::ReadOnly, &[], ""),
    register("SUBSYSTEM_VENDOR_ID", 0x2c, 2, Access::ReadOnly, &[], ""),
    register("SUBSYSTEM_ID", 0x2e, 2, Access::ReadOnly, &[], ""),
    register("ROM", 0x30, 4, Access::ReadWrite, ROM, "expansion ROM base address"),
    register("CAPABILITIES", 0x34, 1, Access::ReadOnly, &[], "offset of the first capability"),
    register("INTERRUPT_LINE", 0x3c, 1, Access::ReadWrite, &[], "means something to software alone"),
    register("INTERRUPT_PIN", 0x3d, 1, Access::ReadOnly, &[], "1 for INTA#"),
    register("MIN_GNT", 0x3e, 1, Access::ReadOnly, &[], ""),
    register("MAX_LAT", 0x3f, 1, Access::ReadOnly, &[], ""),
];

/// A register of `size` bytes in configuration space.
pub(crate) const fn register(
    name: &'static str,
    offset: u64,
    size: u64,
    access: Access,
    fields: &'static [Field],
    doc: &'static str,
) -> Register {
    let mut register = Register::new32(name, offset, access, doc).with_fields(fields);
    register.size = size;
    register
}

/// The registers of every function's header, whether there is a function or not.
pub fn header_registers() -> &'static [Register] {
    &HEADER
}
