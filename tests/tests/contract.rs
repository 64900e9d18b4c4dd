//! What is written down twice, in the guest and outside, held against each other.

use std::mem::offset_of;

use device_model::devices::lab::Lab;
use device_model::{PciDevice, Region, Register, RegisterMap};

#[path = "../../guest-driver/test-kernel/src/lab/registers.rs"]
mod guest;

fn registers() -> RegisterMap {
    let region = Region::Bar(guest::REGISTERS_BAR as u8);
    Lab::default()
        .register_maps()
        .iter()
        .find(|map| map.region == region)
        .expect("the BAR has registers")
        .clone()
}

/// Mask of a register's field.
fn mask(register: &str, field: &str) -> u64 {
    let map = registers();
    let register: &Register = map.named(register).expect("the model has the register");
    register.fields.iter().find(|known| known.name == field).expect("the model has the field").mask()
}

#[test]
fn guest_and_model_give_the_lab_function_one_identity() {
    let header = Lab::default().header();

    assert_eq!(guest::PCI_ID & 0xffff, u32::from(header.vendor));
    assert_eq!(guest::PCI_ID >> 16, u32::from(header.device));
    let bar = header.bars.iter().find(|bar| bar.region() == registers().region).unwrap();
    assert_eq!(bar.size, 0x1000);
    let memory = header.bars.iter().find(|bar| usize::from(bar.index) == guest::MEMORY_BAR).unwrap();
    assert!(memory.size >= 0x2000 && memory.prefetchable);
}

#[test]
fn guest_and_model_put_the_registers_at_the_same_offsets() {
    let guest = [
        ("ID", guest::ID),
        ("VERSION", guest::VERSION),
        ("SCRATCH", guest::SCRATCH),
        ("CONTROL", guest::CONTROL),
        ("STATUS", guest::STATUS),
        ("INT_STATUS", guest::INT_STATUS),
        ("INT_MASK", guest::INT_MASK),
        ("OPERAND", guest::OPERAND),
        ("OPCODE", guest::OPCODE),
        ("RESULT", guest::RESULT),
    ];
    // A driver need not know every register of its device.
    for (name, offset) in guest {
        let register = registers().named(name).cloned().unwrap_or_else(|| panic!("no register {name}"));
        assert_eq!((register.offset, register.size), (offset, 4), "{name}");
    }
}

#[test]
fn guest_and_model_agree_on_bits_and_values() {
    assert_eq!(u64::from(guest::CONTROL_ENABLE), mask("CONTROL", "ENABLE"));
    assert_eq!(u64::from(guest::STATUS_DONE), mask("STATUS", "DONE"));
    assert_eq!(u64::from(guest::INT_DONE), mask("INT_STATUS", "DONE"));
    assert_eq!(u64::from(guest::INT_DONE), mask("INT_MASK", "DONE"));

    let map = registers();
    assert_eq!(u64::from(guest::ID_VALUE), map.named("ID").unwrap().reset);
    assert_eq!(u64::from(guest::VERSION_VALUE), map.named("VERSION").unwrap().reset);
    let opcode = &map.named("OPCODE").unwrap().fields[0];
    assert_eq!(opcode.value_name(guest::OPCODE_FACTORIAL.into()), Some("FACTORIAL"));
}

/// Offset, in words, of each field of a structure.
macro_rules! words {
    ($structure:ident: $($field:ident),+) => {
        [$(offset_of!(protocol::$structure, $field) / 8),+]
    };
}

/// The host reads a request word by word, and C has its own declarations: the layout can't change alone.
#[test]
fn requests_are_laid_out_as_the_host_reads_them() {
    assert_eq!(words!(Bytes: address, length), [0, 1]);
    assert_eq!(words!(Mark: text), [0]);
    assert_eq!(
        words!(Map: id, kind, virtual_address, physical_address, length, address_space, on_fault, who, call),
        [0, 1, 2, 3, 4, 5, 6, 7, 9]
    );
    assert_eq!(words!(Unmap: id), [0]);
    assert_eq!(words!(Image: name, elf, address_space), [0, 2, 4]);
    assert_eq!(words!(ScenarioEnd: passed, summary), [0, 1]);
    assert_eq!(words!(Count: what, value, address, error_code, rip), [0, 1, 2, 3, 4]);
    assert_eq!(words!(Exit: status), [0]);
    assert_eq!(words!(Isr: vector), [0]);
}

#[test]
fn requests_have_the_sizes_that_the_host_insists_on() {
    assert_eq!(size_of::<protocol::Mark>(), 16);
    assert_eq!(size_of::<protocol::Map>(), 88);
    assert_eq!(size_of::<protocol::Unmap>(), 8);
    assert_eq!(size_of::<protocol::Image>(), 40);
    assert_eq!(size_of::<protocol::ScenarioEnd>(), 24);
    assert_eq!(size_of::<protocol::Count>(), 40);
    assert_eq!(size_of::<protocol::Exit>(), 8);
    assert_eq!(size_of::<protocol::Isr>(), 8);
}

#[test]
fn numbers_that_a_guest_binary_holds_do_not_change() {
    use protocol::{counted, path, request};

    assert_eq!((protocol::PORT, protocol::SIGNATURE), (0x0b5c, 0x3143_5342));
    assert_eq!([request::MARK, request::MAP, request::UNMAP, request::IMAGE], [1, 2, 3, 4]);
    assert_eq!([request::SCENARIO_BEGIN, request::SCENARIO_END, request::COUNT], [5, 6, 7]);
    assert_eq!([request::IDLE, request::EXIT, request::ISR_ENTER, request::ISR_EXIT], [8, 9, 10, 11]);
    assert_eq!([path::IOREMAP, path::MMAP, path::SYSFS, path::DEV_MEM, path::DIRECT_MAP], [1, 2, 3, 4, 5]);
    assert_eq!([counted::KERNEL_ENTRIES, counted::FAULT_RESOLVED, counted::FAULT_FATAL], [1, 2, 3]);
}
