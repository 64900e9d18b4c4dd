mod regions;
mod registers;
mod transfer;

use barscope_device::AccessSize::{Byte, Dword, Qword, Word};
use barscope_device::{Doorbell, Effect, Fixture, InterruptLoss, VectorIndex};

use super::*;

const INTERRUPT: Effect = Effect::Msi { index: VectorIndex::ZERO, address: 0xfee0_0000, data: 0x31 };

/// Decoded, enabled, with MSI set up and nothing masked.
fn enabled() -> Fixture {
    let mut fixture = decoded();
    fixture.enable_bus_master();
    fixture.program_msi(0xfee0_0000, 0x31);
    fixture.write32(REGISTERS, 0x0c, 0x1);
    fixture.write32(REGISTERS, 0x18, 0x3);
    fixture.take_effects();
    fixture
}

fn decoded() -> Fixture {
    let mut fixture = Fixture::new(Lab::default());
    fixture.enable_memory();
    fixture.take_effects();
    fixture
}

fn start(fixture: &mut Fixture, opcode: u32, operand: u32) {
    fixture.write32(REGISTERS, 0x20, operand);
    fixture.write32(REGISTERS, 0x24, opcode);
}

fn changed(offset: u64, old: u64, new: u64) -> Effect {
    Effect::Change { region: REGISTERS, offset, old, new }
}

#[test]
fn configuration_space_identifies_it() {
    let mut fixture = Fixture::new(Lab::default());

    assert_eq!(fixture.config_read(0x00, Dword), 0x1ab0_1234);
    assert_eq!(fixture.config_read(0x08, Dword), 0xff00_0001);
    assert_eq!(fixture.config_read(0x2c, Dword), 0x1ab0_1234);
    assert_eq!(fixture.config_read(0x10, Dword), 0x0000_0000);
    assert_eq!(fixture.config_read(0x18, Dword), 0x0000_000c);
}

#[test]
fn registers_hold_their_reset_values() {
    let mut fixture = decoded();

    assert_eq!(fixture.read32(REGISTERS, 0x00), 0x3142_414c);
    assert_eq!(fixture.read32(REGISTERS, 0x04), 0x0001_0000);
    for offset in [0x08, 0x0c, 0x10, 0x14, 0x18, 0x20, 0x24, 0x28] {
        assert_eq!(fixture.read32(REGISTERS, offset), 0, "{offset:#x}");
    }
}

#[test]
fn scratch_holds_what_is_written() {
    let mut fixture = decoded();

    fixture.write32(REGISTERS, 0x08, 0xc0ff_ee01);

    assert_eq!(fixture.read32(REGISTERS, 0x08), 0xc0ff_ee01);
    assert_eq!(fixture.take_effects(), [changed(0x08, 0, 0xc0ff_ee01)]);
}

#[test]
fn reserved_bits_of_control_and_mask_stay_zero() {
    let mut fixture = decoded();

    fixture.write32(REGISTERS, 0x0c, 0xffff_fff9);
    fixture.write32(REGISTERS, 0x18, 0xffff_ffff);

    assert_eq!(fixture.read32(REGISTERS, 0x0c), 0x1);
    assert_eq!(fixture.read32(REGISTERS, 0x18), 0x1f);
}

#[test]
fn registers_take_4_bytes_only() {
    let mut fixture = decoded();

    for size in [Byte, Word, Qword] {
        assert_eq!(fixture.read(REGISTERS, 0x08, size), Err(Refused::Width), "{size}");
        assert_eq!(fixture.write(REGISTERS, 0x08, size, 1), Err(Refused::Width), "{size}");
    }
    assert_eq!(fixture.read32(REGISTERS, 0x08), 0);
}

#[test]
fn registers_take_aligned_accesses_only() {
    let mut fixture = decoded();

    assert_eq!(fixture.read(REGISTERS, 0x09, Dword), Err(Refused::Alignment));
    assert_eq!(fixture.write(REGISTERS, 0x0a, Dword, 1), Err(Refused::Alignment));
    assert_eq!(fixture.read(REGISTERS, 0x2b, Dword), Err(Refused::Alignment));
}

#[test]
fn nothing_lies_between_and_behind_the_registers() {
    let mut fixture = decoded();

    for offset in [0x1c, 0x2c, 0x3c, 0x58, 0x7c, 0x84, 0xffc] {
        assert_eq!(fixture.read(REGISTERS, offset, Dword), Err(Refused::Reserved), "{offset:#x}");
        assert_eq!(fixture.write(REGISTERS, offset, Dword, 1), Err(Refused::Reserved), "{offset:#x}");
    }
}

#[test]
fn read_only_registers_drop_writes() {
    let mut fixture = decoded();

    for offset in [0x00, 0x04, 0x10, 0x28] {
        assert_eq!(
            fixture.write(REGISTERS, offset, Dword, 0xffff_ffff),
            Err(Refused::ReadOnly),
            "{offset:#x}"
        );
    }
    assert_eq!(fixture.take_effects(), []);
}

#[test]
fn a_computation_takes_20_us_of_device_time() {
    let mut fixture = enabled();
    fixture.write32(REGISTERS, 0x20, 5);
    fixture.take_effects();

    fixture.write32(REGISTERS, 0x24, 1);
    assert_eq!(
        fixture.take_effects(),
        [changed(0x10, 0, 0b001), changed(0x24, 0, 1), Effect::Busy { until: 20_000 }]
    );

    fixture.advance(19_999);
    assert_eq!(fixture.read32(REGISTERS, 0x10), 0b001);
    assert_eq!(fixture.take_effects(), []);

    fixture.advance(1);
    assert_eq!(
        fixture.take_effects(),
        [changed(0x10, 0b001, 0b010), changed(0x14, 0, 0b01), changed(0x28, 0, 120), INTERRUPT]
    );
    assert_eq!(fixture.read32(REGISTERS, 0x28), 120);
}

#[test]
fn results_are_modulo_2_to_the_32() {
    for (opcode, operand, result) in [
        (1, 0, 1),
        (1, 12, 479_001_600),
        (1, 13, 1_932_053_504),
        (1, 33, 0x8000_0000),
        (1, 34, 0),
        (1, 0xffff_ffff, 0),
        (2, 12, 144),
        (2, 0x0001_0001, 0x0002_0001),
        (3, 0xf0f0_0001, 9),
    ] {
        let mut fixture = enabled();
        start(&mut fixture, opcode, operand);
        fixture.advance(20_000);
        assert_eq!(fixture.read32(REGISTERS, 0x28), result, "opcode {opcode} of {operand:#x}");
    }
}

#[test]
fn operand_and_opcode_are_ignored_while_busy() {
    let mut fixture = enabled();
    start(&mut fixture, 2, 12);

    assert_eq!(fixture.write(REGISTERS, 0x20, Dword, 7), Err(Refused::Busy));
    assert_eq!(fixture.write(REGISTERS, 0x24, Dword, 1), Err(Refused::Busy));

    fixture.advance(20_000);
    assert_eq!(fixture.read32(REGISTERS, 0x28), 144);
}

#[test]
fn starting_while_disabled_is_an_error_at_once() {
    let mut fixture = enabled();
    fixture.write32(REGISTERS, 0x0c, 0x0);
    fixture.take_effects();

    fixture.write32(REGISTERS, 0x24, 1);

    assert_eq!(
        fixture.take_effects(),
        [changed(0x10, 0, 0b100), changed(0x14, 0, 0b10), changed(0x24, 0, 1), INTERRUPT]
    );
}

#[test]
fn an_unknown_opcode_is_an_error_at_once() {
    for opcode in [0, 4, 0xffff_ffff] {
        let mut fixture = enabled();

        fixture.write32(REGISTERS, 0x24, opcode);

        assert_eq!(fixture.read32(REGISTERS, 0x10), 0b100, "{opcode:#x}");
        assert_eq!(fixture.read32(REGISTERS, 0x14), 0b10, "{opcode:#x}");
        assert_eq!(fixture.read32(REGISTERS, 0x24), opcode);
    }
}

#[test]
fn a_new_computation_takes_back_done_and_error() {
    let mut fixture = enabled();
    fixture.write32(REGISTERS, 0x24, 0);

    start(&mut fixture, 2, 3);

    assert_eq!(fixture.read32(REGISTERS, 0x10), 0b001);
    assert_eq!(fixture.read32(REGISTERS, 0x14), 0b10);
}

#[test]
fn clearing_enable_lets_a_computation_end() {
    let mut fixture = enabled();
    start(&mut fixture, 2, 3);

    fixture.write32(REGISTERS, 0x0c, 0x0);
    fixture.advance(20_000);

    assert_eq!(fixture.read32(REGISTERS, 0x28), 9);
}

#[test]
fn a_masked_cause_interrupts_when_the_mask_opens() {
    let mut fixture = enabled();
    fixture.write32(REGISTERS, 0x18, 0x2);
    start(&mut fixture, 2, 3);
    fixture.advance(20_000);
    assert!(!fixture.take_effects().contains(&INTERRUPT));

    fixture.write32(REGISTERS, 0x18, 0x3);

    assert_eq!(fixture.take_effects(), [changed(0x18, 0x2, 0x3), INTERRUPT]);
}

#[test]
fn a_second_cause_sends_no_message_before_the_first_is_acknowledged() {
    let mut fixture = enabled();
    start(&mut fixture, 2, 3);
    fixture.advance(20_000);
    fixture.take_effects();

    fixture.write32(REGISTERS, 0x24, 0);
    assert!(!fixture.take_effects().contains(&INTERRUPT));

    // One of the two is acknowledged: what is left is no new rise.
    fixture.write32(REGISTERS, 0x14, 0b01);
    assert_eq!(fixture.take_effects(), [changed(0x14, 0b11, 0b10)]);

    fixture.write32(REGISTERS, 0x14, 0b10);
    fixture.write32(REGISTERS, 0x24, 0);
    assert!(fixture.take_effects().contains(&INTERRUPT));
}

#[test]
fn zeros_acknowledge_nothing() {
    let mut fixture = enabled();
    fixture.write32(REGISTERS, 0x24, 0);

    fixture.write32(REGISTERS, 0x14, 0b01);

    assert_eq!(fixture.read32(REGISTERS, 0x14), 0b10);
}

#[test]
fn reset_returns_registers_and_stops_the_computation_but_leaves_memory() {
    let mut fixture = enabled();
    fixture.write32(REGISTERS, 0x08, 0xc0ff_ee01);
    fixture.write32(MEMORY, 0x10, 0x1234_5678);
    start(&mut fixture, 1, 5);

    fixture.write32(REGISTERS, 0x0c, 0x3);
    fixture.advance(20_000);

    for offset in [0x08, 0x0c, 0x10, 0x14, 0x18, 0x20, 0x24, 0x28] {
        assert_eq!(fixture.read32(REGISTERS, offset), 0, "{offset:#x}");
    }
    assert_eq!(fixture.function().next_deadline(), None);
    assert_eq!(fixture.read32(MEMORY, 0x10), 0x1234_5678);
}

#[test]
fn memory_takes_any_width_at_any_alignment() {
    let mut fixture = decoded();

    fixture.write(MEMORY, 0x101, Qword, 0x1122_3344_5566_7788).unwrap();
    fixture.write(MEMORY, 0x103, Byte, 0xff).unwrap();
    fixture.write(MEMORY, 0xf_fffe, Word, 0xabcd).unwrap();

    assert_eq!(fixture.read(MEMORY, 0x101, Qword), Ok(0x1122_3344_55ff_7788));
    assert_eq!(fixture.read(MEMORY, 0x102, Dword), Ok(0x4455_ff77));
    assert_eq!(fixture.read(MEMORY, 0x107, Word), Ok(0x1122));
    assert_eq!(fixture.read(MEMORY, 0xf_ffff, Byte), Ok(0xab));
    assert_eq!(fixture.take_effects(), []);
}

#[test]
fn memory_ends_with_its_bar() {
    let mut fixture = decoded();

    assert_eq!(fixture.read(MEMORY, 0xf_fffd, Dword), Err(Refused::Reserved));
    assert_eq!(fixture.write(MEMORY, 0xf_fff9, Qword, u64::MAX), Err(Refused::Reserved));
    assert_eq!(fixture.read(MEMORY, u64::MAX, Qword), Err(Refused::Reserved));

    assert_eq!(fixture.read(MEMORY, 0xf_fff8, Qword), Ok(0));
}

#[test]
fn opcodes_have_names() {
    let opcode = REGISTER_MAPS[0].named("OPCODE").unwrap();
    assert_eq!(opcode.fields[0].value_name(1), Some("FACTORIAL"));
    assert_eq!(opcode.fields[0].value_name(4), None);
}

#[test]
fn an_interrupt_of_a_function_in_d3hot_is_lost_because_of_that() {
    let mut fixture = Fixture::new(Lab::default());
    fixture.enable_memory();
    fixture.enable_bus_master();
    fixture.program_msi(0xfee0_0000, 0x31);
    fixture.write32(REGISTERS, 0x0c, 1); // CONTROL.ENABLE
    fixture.write32(REGISTERS, 0x18, 1); // INT_MASK.DONE
    fixture.write32(REGISTERS, 0x24, 1); // OPCODE: FACTORIAL
    let power = fixture.capability(0x01).unwrap();
    fixture.config_write(power + 4, Byte, 0b11); // D3hot
    fixture.take_effects();

    fixture.advance(20_000);

    let lost = Effect::InterruptLost { index: VectorIndex::ZERO, why: InterruptLoss::Asleep };
    assert!(fixture.take_effects().contains(&lost));
}
