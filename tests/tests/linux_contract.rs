//! The Linux driver's headers, the programs' constants and the device's model, held against each other.

use std::collections::HashMap;

use barscope_device::{PciDevice, Region};
use barscope_devices::lab::Lab;

#[path = "../../guest-driver/init/src/lab/abi.rs"]
#[expect(dead_code, reason = "a program has more constants than a test compares")]
mod program;

const REGISTERS: &str = include_str!("../../guest-driver/linux/lab_regs.h");
const UAPI: &str = include_str!("../../guest-driver/linux/uapi/lab.h");

/// What a header defines: the text after each name.
fn definitions(header: &'static str) -> HashMap<&'static str, &'static str> {
    header
        .lines()
        .filter_map(|line| {
            let (name, value) = line.strip_prefix("#define ")?.split_once(char::is_whitespace)?;
            let value = value.split("/*").next().unwrap_or(value);
            Some((name, value.trim()))
        })
        .collect()
}

fn number(definitions: &HashMap<&str, &str>, name: &str) -> u64 {
    let text = definitions.get(name).unwrap_or_else(|| panic!("no {name}"));
    let hexadecimal = text.strip_prefix("0x");
    hexadecimal.map_or_else(|| text.parse(), |digits| u64::from_str_radix(digits, 16)).expect("a number")
}

/// Size in bytes of a structure of the header.
fn size(name: &str) -> u32 {
    let start = UAPI.find(&format!("struct {name} {{")).unwrap_or_else(|| panic!("no struct {name}"));
    let body = UAPI[start..].split('}').next().expect("a body");
    let words = body.matches("__u32 ").count() + body.matches("__u32\t").count();
    let long_words = body.matches("__u64 ").count() + body.matches("__u64\t").count();
    (words * 4 + long_words * 8) as u32
}

#[test]
fn the_drivers_registers_are_those_of_the_model() {
    let header = definitions(REGISTERS);
    let lab = Lab::default();
    let identity = lab.header();
    assert_eq!(number(&header, "LAB_VENDOR"), u64::from(identity.vendor));
    assert_eq!(number(&header, "LAB_DEVICE"), u64::from(identity.device));
    let map = lab.register_maps().iter().find(|map| map.region == Region::BAR0).unwrap();
    let registers = [
        "ID",
        "VERSION",
        "SCRATCH",
        "CONTROL",
        "STATUS",
        "INT_STATUS",
        "INT_MASK",
        "OPERAND",
        "OPCODE",
        "RESULT",
        "DMA_ADDRESS",
        "DMA_OFFSET",
        "DMA_LENGTH",
        "DMA_CONTROL",
        "DMA_STATUS",
    ];
    for name in registers {
        let offset = map.named(name).unwrap_or_else(|| panic!("the model has no {name}")).offset;
        assert_eq!(number(&header, &format!("LAB_{name}")), offset, "{name}");
    }
    assert_eq!(number(&header, "LAB_ID_VALUE"), map.named("ID").unwrap().reset);
    let fields = [
        ("CONTROL", "ENABLE"),
        ("CONTROL", "RESET"),
        ("STATUS", "BUSY"),
        ("STATUS", "DONE"),
        ("STATUS", "ERROR"),
        ("DMA_STATUS", "BUSY"),
        ("DMA_STATUS", "DONE"),
    ];
    let mask = |register: &str, field: &str| {
        let fields = &map.named(register).unwrap().fields;
        fields.iter().find(|known| known.name == field).unwrap_or_else(|| panic!("no {field}")).mask()
    };
    for (register, field) in fields {
        let short = register.trim_end_matches("_STATUS");
        let name =
            if short == "DMA" { format!("LAB_DMA_{field}") } else { format!("LAB_{register}_{field}") };
        assert_eq!(number(&header, &name), mask(register, field), "{name}");
    }
    for field in ["DONE", "ERROR", "DMA", "DOORBELL", "FIFO"] {
        assert_eq!(number(&header, &format!("LAB_INT_{field}")), mask("INT_STATUS", field), "{field}");
    }
    assert_eq!(number(&header, "LAB_DMA_START"), mask("DMA_CONTROL", "START"));
    assert_eq!(number(&header, "LAB_DMA_TO_MEMORY"), mask("DMA_CONTROL", "TO_MEMORY"));
}

#[test]
fn programs_know_the_same_registers() {
    let header = definitions(REGISTERS);
    let registers = [
        ("LAB_ID", program::ID),
        ("LAB_SCRATCH", program::SCRATCH),
        ("LAB_INT_STATUS", program::INT_STATUS),
        ("LAB_OPERAND", program::OPERAND),
        ("LAB_OPCODE", program::OPCODE),
        ("LAB_RESULT", program::RESULT),
    ];
    for (name, offset) in registers {
        assert_eq!(number(&header, name), offset as u64, "{name}");
    }
    assert_eq!(number(&header, "LAB_ID_VALUE"), u64::from(program::ID_VALUE));
    assert_eq!(number(&header, "LAB_INT_DONE"), u64::from(program::INT_DONE));
    assert_eq!(number(&header, "LAB_INT_DOORBELL"), u64::from(program::INT_DOORBELL));
    assert_eq!(number(&header, "LAB_INT_FIFO"), u64::from(program::INT_FIFO));
    assert_eq!((program::VENDOR, program::DEVICE), (0x1234, 0x1ab0));
}

#[test]
fn programs_and_driver_agree_on_requests_and_windows() {
    let header = definitions(UAPI);
    let windows = [
        ("LAB_MMAP_REGISTERS", program::MMAP_REGISTERS),
        ("LAB_MMAP_MEMORY", program::MMAP_MEMORY),
        ("LAB_MMAP_ON_FAULT", program::MMAP_ON_FAULT),
        ("LAB_MMAP_DOORBELLS", program::MMAP_DOORBELLS),
    ];
    for (name, offset) in windows {
        assert_eq!(number(&header, name), offset, "{name}");
    }
    for (name, kind) in [("INTX", program::IRQ_INTX), ("MSI", program::IRQ_MSI), ("MSIX", program::IRQ_MSIX)]
    {
        assert_eq!(number(&header, &format!("LAB_IRQ_{name}")), u64::from(kind), "{name}");
    }
    let requests = [
        ("LAB_READ", program::LAB_READ),
        ("LAB_WRITE", program::LAB_WRITE),
        ("LAB_COMPUTE", program::LAB_COMPUTE),
        ("LAB_DMA", program::LAB_DMA),
        ("LAB_INFO", program::LAB_INFO),
        ("LAB_TAKE", program::LAB_TAKE),
        ("LAB_IOREMAP", program::LAB_IOREMAP),
    ];
    for (name, request) in requests {
        // `_IOWR('L', 1, struct lab_register)`
        let (kind, rest) = header[name].split_once('(').unwrap();
        let parts: Vec<_> = rest.trim_end_matches(')').split(", ").collect();
        let direction = match kind {
            "_IOW" => 1,
            "_IOR" => 2,
            _ => 3,
        };
        let bytes = parts[2].strip_prefix("struct ").map_or(4, size);
        let number: u32 = parts[1].parse().unwrap();
        assert_eq!(request, direction << 30 | bytes << 16 | u32::from(b'L') << 8 | number, "{name}");
    }
    assert_eq!(size("lab_register"), size_of::<program::Register>() as u32);
    assert_eq!(size("lab_dma"), size_of::<program::Dma>() as u32);
}
