//! The registers of a configuration space by name: those of every function's header, and those of the
//! capabilities that are listed in it.
//!
//! PCI Local Bus 3.0, sections 6.1, 6.2, 6.7 and 6.8; PCI Express Base 5.0, sections 7.5.3, 7.6 and 7.9.3; PCI Bus
//! Power Management Interface 1.2, section 3.2.

use std::borrow::Cow;

use super::CAPABILITIES_POINTER;
use crate::register::{Access, Field, Register};

/// Where the list of extended capabilities begins.
const EXTENDED: usize = 0x100;
/// No list has more members than fit.
const MOST: usize = 48;

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

const POWER_CONTROL: &[Field] = &[
    Field::new("STATE", 0, 2, "power state").with_values(&[
        (0, Cow::Borrowed("D0")),
        (1, Cow::Borrowed("D1")),
        (2, Cow::Borrowed("D2")),
        (3, Cow::Borrowed("D3HOT")),
    ]),
    Field::bit("NO_SOFT_RESET", 3, "it forgets nothing on its way from D3hot to D0"),
    Field::bit("PME_ENABLE", 8, ""),
    Field::bit("PME_STATUS", 15, ""),
];
const MSI_CONTROL: &[Field] = &[
    Field::bit("ENABLE", 0, "interrupts leave as messages"),
    Field::new("CAPABLE", 1, 3, "log2 of the vectors that the function has"),
    Field::new("ENABLED", 4, 3, "log2 of the vectors that software gave it"),
    Field::bit("WIDE", 7, "the address has 64 bits"),
    Field::bit("MASKING", 8, "vectors can be masked one by one"),
];
const MSIX_CONTROL: &[Field] = &[
    Field::new("LAST", 0, 11, "number of the last vector"),
    Field::bit("FUNCTION_MASK", 14, "all vectors are masked"),
    Field::bit("ENABLE", 15, "interrupts leave as messages"),
];
const MSIX_PLACE: &[Field] = &[Field::new("BAR", 0, 3, ""), Field::new("OFFSET", 3, 29, "in quadwords")];
const DEVICE_CONTROL: &[Field] = &[
    Field::new("ERROR_REPORTING", 0, 4, ""),
    Field::bit("RELAXED_ORDERING", 4, ""),
    Field::new("PAYLOAD", 5, 3, "log2 of 1/128 of the largest one, in bytes"),
    Field::bit("NO_SNOOP", 11, ""),
    Field::new("READ_REQUEST", 12, 3, "log2 of 1/128 of the largest one, in bytes"),
    Field::bit("INITIATE_FLR", 15, "resets the function"),
];
const DEVICE_CAPABILITIES: &[Field] = &[Field::bit("FLR", 28, "the function can be reset by itself")];
const DEVICE_STATUS: &[Field] = &[
    Field::new("ERRORS", 0, 4, "detected: correctable, non-fatal, fatal, unsupported"),
    Field::bit("PENDING", 5, "transactions are under way"),
];

/// Capabilities by identifier; offsets are within the capability.
const CAPABILITIES: &[(u8, &[Register])] = &[
    (
        0x01,
        &[
            register("PM", 0, 2, Access::ReadOnly, &[], "power management: identifier, next capability"),
            register("PM_CAPABILITIES", 2, 2, Access::ReadOnly, &[], ""),
            register("PM_CONTROL", 4, 2, Access::ReadWrite, POWER_CONTROL, "control and status"),
        ],
    ),
    (
        0x09,
        &[
            register("VENDOR", 0, 2, Access::ReadOnly, &[], "vendor-specific: identifier, next capability"),
            register("VENDOR_LENGTH", 2, 1, Access::ReadOnly, &[], "of the capability, in bytes"),
        ],
    ),
    (
        0x10,
        &[
            register("PCIE", 0, 2, Access::ReadOnly, &[], "PCI Express: identifier, next capability"),
            register("PCIE_CAPABILITIES", 2, 2, Access::ReadOnly, &[], ""),
            register("PCIE_DEVICE_CAPABILITIES", 4, 4, Access::ReadOnly, DEVICE_CAPABILITIES, ""),
            register("PCIE_DEVICE_CONTROL", 8, 2, Access::ReadWrite, DEVICE_CONTROL, ""),
            register("PCIE_DEVICE_STATUS", 0xa, 2, Access::WriteOneToClear, DEVICE_STATUS, ""),
        ],
    ),
    (
        0x11,
        &[
            register("MSIX", 0, 2, Access::ReadOnly, &[], "MSI-X: identifier, next capability"),
            register("MSIX_CONTROL", 2, 2, Access::ReadWrite, MSIX_CONTROL, ""),
            register("MSIX_TABLE", 4, 4, Access::ReadOnly, MSIX_PLACE, "where the table is"),
            register("MSIX_PENDING", 8, 4, Access::ReadOnly, MSIX_PLACE, "where the pending bits are"),
        ],
    ),
];

/// The MSI capability up to what depends on the address's width.
const MSI: &[Register] = &[
    register("MSI", 0, 2, Access::ReadOnly, &[], "MSI: identifier, next capability"),
    register("MSI_CONTROL", 2, 2, Access::ReadWrite, MSI_CONTROL, ""),
    register("MSI_ADDRESS", 4, 4, Access::ReadWrite, &[], ""),
];
const MSI_HIGH: &[Register] =
    &[register("MSI_ADDRESS_HIGH", 8, 4, Access::ReadWrite, &[], "bits 63:32 of the address")];
/// From there on.
const MSI_DATA: &[Register] = &[register("MSI_DATA", 0, 2, Access::ReadWrite, &[], "low byte: the vector")];
const MSI_MASKING: &[Register] = &[
    register("MSI_MASK", 4, 4, Access::ReadWrite, &[], "a bit for each vector that is held back"),
    register("MSI_PENDING", 8, 4, Access::ReadOnly, &[], "a bit for each vector that waits"),
];
const SERIAL_NUMBER: &[Register] = &[
    register("SERIAL", 0, 4, Access::ReadOnly, &[], "device serial number: identifier, next capability"),
    register("SERIAL_NUMBER", 4, 8, Access::ReadOnly, &[], ""),
];

const fn register(
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

/// All registers with a name of a configuration space that holds `bytes`, in ascending order. What the lists of
/// capabilities say is followed as far as it makes sense.
pub(crate) fn registers(bytes: &[u8]) -> Vec<Register> {
    let mut found = header_registers().to_vec();
    let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
    let mut at = usize::from(byte(CAPABILITIES_POINTER));
    for _ in 0..MOST {
        if at < 0x40 {
            break;
        }
        let mut add = |registers: &[Register], from: usize| found.extend(placed(registers, at + from));
        match byte(at) {
            0x05 => {
                let (wide, masking) = (byte(at + 2) & 1 << 7 != 0, byte(at + 3) & 1 != 0);
                let data = if wide { 0xc } else { 8 };
                add(MSI, 0);
                add(if wide { MSI_HIGH } else { &[] }, 0);
                add(MSI_DATA, data);
                add(if masking { MSI_MASKING } else { &[] }, data);
            }
            id => {
                let known = CAPABILITIES.iter().find(|(known, _)| *known == id);
                add(known.map_or(&[], |(_, registers)| registers), 0);
            }
        }
        at = usize::from(byte(at + 1) & !3);
    }
    if (byte(EXTENDED), byte(EXTENDED + 1)) == (0x03, 0) {
        found.extend(placed(SERIAL_NUMBER, EXTENDED));
    }
    found.sort_by_key(|register| register.offset);
    found.dedup_by_key(|register| register.offset);
    found
}

/// Registers of a capability at offset `at`.
fn placed(registers: &[Register], at: usize) -> impl Iterator<Item = Register> {
    registers.iter().map(move |register| {
        let mut register = register.clone();
        register.offset += at as u64;
        register
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::PciFunction;
    use crate::probe::Probe;

    fn names(registers: &[Register]) -> Vec<(u64, u64, &str)> {
        registers.iter().map(|register| (register.offset, register.size, &*register.name)).collect()
    }

    #[test]
    fn registers_of_the_capabilities_that_a_function_has_come_after_its_header() {
        let registers = PciFunction::new(Box::new(Probe::with_every_capability())).configuration_registers();
        let named = names(&registers);
        assert_eq!(
            named[..4],
            [(0, 2, "VENDOR_ID"), (2, 2, "DEVICE_ID"), (4, 2, "COMMAND"), (6, 2, "STATUS")]
        );
        assert_eq!(
            named[27..],
            [
                (0x40, 2, "PM"),
                (0x42, 2, "PM_CAPABILITIES"),
                (0x44, 2, "PM_CONTROL"),
                (0x48, 2, "MSI"),
                (0x4a, 2, "MSI_CONTROL"),
                (0x4c, 4, "MSI_ADDRESS"),
                (0x50, 4, "MSI_ADDRESS_HIGH"),
                (0x54, 2, "MSI_DATA"),
                (0x58, 4, "MSI_MASK"),
                (0x5c, 4, "MSI_PENDING"),
                (0x60, 2, "MSIX"),
                (0x62, 2, "MSIX_CONTROL"),
                (0x64, 4, "MSIX_TABLE"),
                (0x68, 4, "MSIX_PENDING"),
                (0x6c, 2, "PCIE"),
                (0x6e, 2, "PCIE_CAPABILITIES"),
                (0x70, 4, "PCIE_DEVICE_CAPABILITIES"),
                (0x74, 2, "PCIE_DEVICE_CONTROL"),
                (0x76, 2, "PCIE_DEVICE_STATUS"),
                (0xa8, 2, "VENDOR"),
                (0xaa, 1, "VENDOR_LENGTH"),
                (0x100, 4, "SERIAL"),
                (0x104, 8, "SERIAL_NUMBER"),
            ]
        );
    }

    #[test]
    fn a_list_that_leads_in_circles_or_nowhere_ends() {
        let mut bytes = vec![0; 4096];
        assert_eq!(registers(&bytes).len(), 27);
        bytes[0x34] = 0x40;
        (bytes[0x40], bytes[0x41]) = (0x01, 0x50);
        (bytes[0x50], bytes[0x51]) = (0x77, 0x40);
        assert_eq!(
            names(&registers(&bytes))[27..],
            [(0x40, 2, "PM"), (0x42, 2, "PM_CAPABILITIES"), (0x44, 2, "PM_CONTROL"),]
        );
        bytes[0x34] = 0xff;
        assert_eq!(registers(&bytes).len(), 27);
        assert_eq!(registers(&[]).len(), 27);
    }
}
