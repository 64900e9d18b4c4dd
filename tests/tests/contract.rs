//! What is written down twice, in the guest and outside, held against each other.

use std::mem::offset_of;

use barscope_device::{BarIndex, Field, PciDevice, Region, Register, RegisterMap};
use barscope_devices::lab::Lab;
use barscope_devices::ticker::Ticker;

#[path = "../../guest-driver/test-kernel/src/lab/registers.rs"]
mod guest;

#[path = "../../guest-driver/test-kernel/src/ticker/registers.rs"]
mod ticker;

fn registers() -> RegisterMap {
    lab_map(guest::REGISTERS_BAR)
}

fn lab_map(bar: usize) -> RegisterMap {
    let region = Region::Bar(BarIndex::new(bar as u8).expect("a function has six BARs"));
    let lab = Lab::default();
    let map = lab.register_maps().iter().find(|map| map.region == region);
    map.expect("the BAR has registers").clone()
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
    let size = |index| header.bars.iter().find(|bar| usize::from(bar.index.get()) == index).unwrap().size;
    assert_eq!(size(guest::MEMORY_BAR), u64::from(guest::MEMORY_SIZE));
    assert_eq!(size(guest::DOORBELLS_BAR), 0x100);
    assert_eq!(header.msix().map(|msix| usize::from(msix.table.bar.get())), Some(guest::MESSAGES_BAR));
    assert_eq!(header.msi().map(|msi| msi.vectors), Some(8));
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
        ("DMA_ADDRESS", guest::DMA_ADDRESS),
        ("DMA_OFFSET", guest::DMA_OFFSET),
        ("DMA_LENGTH", guest::DMA_LENGTH),
        ("DMA_CONTROL", guest::DMA_CONTROL),
        ("DMA_STATUS", guest::DMA_STATUS),
        ("COUNTER", guest::COUNTER),
        ("EVENTS", guest::EVENTS),
        ("TRIGGER", guest::TRIGGER),
        ("FIFO_DATA", guest::FIFO_DATA),
        ("FIFO_STATUS", guest::FIFO_STATUS),
        ("FIFO_THRESHOLD", guest::FIFO_THRESHOLD),
        ("DOORBELL_COUNT", guest::DOORBELL_COUNT),
    ];
    // A driver need not know every register of its device.
    for (name, offset) in guest {
        let register = registers().named(name).cloned().unwrap_or_else(|| panic!("no register {name}"));
        let size = if matches!(name, "DMA_ADDRESS" | "COUNTER") { 8 } else { 4 };
        assert_eq!((register.offset, register.size), (offset, size), "{name}");
    }
    assert!(registers().at(guest::RESERVED).is_none());
    let window = lab_map(guest::WINDOW_BAR);
    assert_eq!(window.named("INDEX").unwrap().offset, guest::WINDOW_INDEX);
    assert_eq!(window.named("DATA").unwrap().offset, guest::WINDOW_DATA);
}

#[test]
fn guest_and_model_give_the_ticker_one_identity_and_the_same_registers() {
    let device = Ticker::default();
    let header = device.header();

    assert_eq!(ticker::PCI_ID & 0xffff, u32::from(header.vendor));
    assert_eq!(ticker::PCI_ID >> 16, u32::from(header.device));
    let map = &device.register_maps()[0];
    let registers = [("PERIOD", ticker::PERIOD), ("CONTROL", ticker::CONTROL), ("STATUS", ticker::STATUS)];
    for (name, offset) in registers {
        assert_eq!(map.named(name).unwrap().offset, offset, "{name}");
    }
    assert_eq!(map.named("PERIOD").unwrap().reset, u64::from(ticker::PERIOD_RESET));
    let bit = |register: &str, field: &str| {
        map.named(register).unwrap().fields.iter().find(|known| known.name == field).unwrap().mask()
    };
    assert_eq!(bit("CONTROL", "ENABLE"), u64::from(ticker::CONTROL_ENABLE));
    assert_eq!(bit("CONTROL", "ONCE"), u64::from(ticker::CONTROL_ONCE));
    assert_eq!(bit("STATUS", "TICK"), u64::from(ticker::STATUS_TICK));
}

#[test]
fn guest_and_model_agree_on_bits_and_values() {
    assert_eq!(u64::from(guest::CONTROL_ENABLE), mask("CONTROL", "ENABLE"));
    assert_eq!(u64::from(guest::CONTROL_FLIP), mask("CONTROL", "FLIP"));
    assert_eq!(u64::from(guest::STATUS_DONE), mask("STATUS", "DONE"));
    assert_eq!(u64::from(guest::STATUS_ERROR), mask("STATUS", "ERROR"));
    for register in ["INT_STATUS", "INT_MASK", "TRIGGER"] {
        assert_eq!(u64::from(guest::INT_DONE), mask(register, "DONE"));
        assert_eq!(u64::from(guest::INT_ERROR), mask(register, "ERROR"));
        assert_eq!(u64::from(guest::INT_DMA), mask(register, "DMA"));
        assert_eq!(u64::from(guest::INT_FIFO), mask(register, "FIFO"));
        let all: u64 = registers().named(register).unwrap().fields.iter().map(Field::mask).sum();
        assert_eq!(u64::from(guest::INT_ALL), all);
    }
    assert_eq!(u64::from(guest::DMA_START), mask("DMA_CONTROL", "START"));
    assert_eq!(u64::from(guest::DMA_TO_MEMORY), mask("DMA_CONTROL", "TO_MEMORY"));
    assert_eq!(u64::from(guest::DMA_BUSY), mask("DMA_STATUS", "BUSY"));
    assert_eq!(u64::from(guest::DMA_DONE), mask("DMA_STATUS", "DONE"));
    assert_eq!(u64::from(guest::DMA_ERROR), mask("DMA_STATUS", "ERROR"));
    assert_eq!(0xf << guest::DMA_REASON_SHIFT, mask("DMA_STATUS", "REASON"));
    assert_eq!(u64::from(guest::FIFO_EMPTY), mask("FIFO_STATUS", "EMPTY"));
    assert_eq!(u64::from(guest::FIFO_FULL), mask("FIFO_STATUS", "FULL"));
    assert_eq!(u64::from(guest::FIFO_OVERFLOW), mask("FIFO_STATUS", "OVERFLOW"));
    assert_eq!(u64::from(guest::FIFO_UNDERFLOW), mask("FIFO_STATUS", "UNDERFLOW"));
    assert!(mask("FIFO_STATUS", "LEVEL") >= guest::FIFO_DEPTH.into());

    let map = registers();
    assert_eq!(u64::from(guest::ID_VALUE), map.named("ID").unwrap().reset);
    assert_eq!(u64::from(guest::VERSION_VALUE), map.named("VERSION").unwrap().reset);
    let reasons = [
        (guest::DMA_DISABLED, "DISABLED"),
        (guest::DMA_BAD_LENGTH, "LENGTH"),
        (guest::DMA_BAD_OFFSET, "OFFSET"),
        (guest::DMA_NOT_MASTER, "MASTERING"),
        (guest::DMA_BAD_ADDRESS, "ADDRESS"),
    ];
    let reason = &map.named("DMA_STATUS").unwrap().fields[3];
    assert!(reasons.iter().all(|(value, name)| reason.value_name((*value).into()) == Some(name)));
    let opcode = &map.named("OPCODE").unwrap().fields[0];
    assert_eq!(opcode.value_name(guest::OPCODE_FACTORIAL.into()), Some("FACTORIAL"));
}

/// Offset, in words, of each field of a structure.
macro_rules! words {
    ($structure:ident: $($field:ident),+) => {
        [$(offset_of!(barscope_guest_abi::$structure, $field) / 8),+]
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
    assert_eq!(words!(Symbols: lines, linked), [0, 2]);
    assert_eq!(words!(Module: name, elf, sections), [0, 2, 4]);
    assert_eq!(words!(Process: pid, name), [0, 1]);
}

#[test]
fn requests_have_the_sizes_that_the_host_insists_on() {
    assert_eq!(size_of::<barscope_guest_abi::Mark>(), 16);
    assert_eq!(size_of::<barscope_guest_abi::Map>(), 112);
    assert_eq!(size_of::<barscope_guest_abi::Unmap>(), 8);
    assert_eq!(size_of::<barscope_guest_abi::Image>(), 40);
    assert_eq!(size_of::<barscope_guest_abi::ScenarioEnd>(), 24);
    assert_eq!(size_of::<barscope_guest_abi::Count>(), 40);
    assert_eq!(size_of::<barscope_guest_abi::Exit>(), 8);
    assert_eq!(size_of::<barscope_guest_abi::Isr>(), 8);
    assert_eq!(size_of::<barscope_guest_abi::Symbols>(), 32);
    assert_eq!(size_of::<barscope_guest_abi::Module>(), 48);
    assert_eq!(size_of::<barscope_guest_abi::Process>(), 24);
    assert_eq!(size_of::<barscope_guest_abi::File>(), 48);
    assert_eq!(size_of::<barscope_guest_abi::Maps>(), 48);
}

#[test]
fn numbers_that_a_guest_binary_holds_do_not_change() {
    use barscope_guest_abi::{counted, path, request};

    assert_eq!((barscope_guest_abi::PORT, barscope_guest_abi::SIGNATURE), (0x0b5c, 0x3143_5342));
    assert_eq!([request::MARK, request::MAP, request::UNMAP, request::IMAGE], [1, 2, 3, 4]);
    assert_eq!([request::SCENARIO_BEGIN, request::SCENARIO_END, request::COUNT], [5, 6, 7]);
    assert_eq!([request::IDLE, request::EXIT, request::ISR_ENTER, request::ISR_EXIT], [8, 9, 10, 11]);
    assert_eq!([request::SYMBOLS, request::MODULE, request::PROCESS], [12, 13, 14]);
    assert_eq!([request::FILE, request::MAPS, request::WARNING], [15, 16, 17]);
    assert_eq!([path::IOREMAP, path::MMAP, path::SYSFS, path::DEV_MEM, path::DIRECT_MAP], [1, 2, 3, 4, 5]);
    assert_eq!([path::IOREMAP_WC, path::SYSFS_WC, path::UIO], [6, 7, 8]);
    assert_eq!([request::FETCH, request::TURN_END, request::TIDY, request::ENTRIES], [18, 19, 20, 21]);
    assert_eq!([counted::KERNEL_ENTRIES, counted::FAULT_RESOLVED, counted::FAULT_FATAL], [1, 2, 3]);
}
