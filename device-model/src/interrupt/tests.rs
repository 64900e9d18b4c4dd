use crate::access_size::AccessSize::{Byte, Qword, Word};
use crate::effect::{Effect, InterruptLoss};
use crate::fixture::Fixture;
use crate::header::InterruptPin;
use crate::probe::vector;
use crate::probe::{CAUSES, Probe, REGISTERS};
use crate::vector::VectorIndex;

const COMMAND: u64 = 0x04;
const STATUS: u64 = 0x06;
const INTERRUPT_STATUS: u64 = 0x0008;
const MEMORY_SPACE: u64 = 0x0002;
const INTERRUPT_DISABLE: u64 = 0x0400;

fn with_pin() -> Fixture {
    let mut fixture = Fixture::new(Probe::new().with_pin());
    fixture.enable_memory();
    fixture.take_effects();
    fixture
}

fn pending(fixture: &mut Fixture, causes: u64) -> Vec<Effect> {
    fixture.write(REGISTERS, CAUSES, Qword, causes).unwrap();
    others(fixture)
}

fn command(fixture: &mut Fixture, value: u64) -> Vec<Effect> {
    fixture.config_write(COMMAND, Word, value);
    others(fixture)
}

fn others(fixture: &mut Fixture) -> Vec<Effect> {
    let mut effects = fixture.take_effects();
    effects.retain(|effect| !matches!(effect, Effect::Change { .. }));
    effects
}

fn interrupt_status(fixture: &mut Fixture) -> bool {
    fixture.config_read(STATUS, Word) & INTERRUPT_STATUS != 0
}

#[test]
fn the_header_names_the_pin_and_keeps_a_line() {
    let mut fixture = with_pin();

    fixture.config_write(0x3c, Word, 0xff0b);

    assert_eq!(fixture.config_read(0x3c, Word), 0x010b);
    assert_eq!(Fixture::new(Probe::new()).config_read(0x3d, Byte), 0);
}

#[test]
fn each_of_the_four_pins_has_its_number() {
    for (pin, number) in
        [(InterruptPin::A, 1), (InterruptPin::B, 2), (InterruptPin::C, 3), (InterruptPin::D, 4)]
    {
        let mut probe = Probe::new();
        probe.header.interrupt_pin = Some(pin);

        assert_eq!(Fixture::new(probe).config_read(0x3d, Byte), number);
    }
}

#[test]
fn the_pin_is_a_level_that_lasts_until_the_acknowledgement() {
    let mut fixture = with_pin();

    assert_eq!(pending(&mut fixture, 0b01), [Effect::Intx { asserted: true }]);
    assert!(interrupt_status(&mut fixture));
    assert_eq!(pending(&mut fixture, 0b11), []);
    assert_eq!(pending(&mut fixture, 0b10), []);
    assert_eq!(pending(&mut fixture, 0b00), [Effect::Intx { asserted: false }]);
    assert!(!interrupt_status(&mut fixture));
}

#[test]
fn interrupt_disable_holds_the_pin_back_but_not_the_cause() {
    let mut fixture = with_pin();
    command(&mut fixture, MEMORY_SPACE | INTERRUPT_DISABLE);

    assert_eq!(pending(&mut fixture, 0b1), [Effect::InterruptMasked { index: VectorIndex::ZERO }]);
    assert!(interrupt_status(&mut fixture));
    assert!(!fixture.function().intx());

    assert_eq!(command(&mut fixture, MEMORY_SPACE), [Effect::Intx { asserted: true }]);
    assert_eq!(command(&mut fixture, MEMORY_SPACE | INTERRUPT_DISABLE), [Effect::Intx { asserted: false }]);
    assert!(interrupt_status(&mut fixture));
}

#[test]
fn interrupt_disable_is_in_the_upper_command_byte() {
    let mut fixture = with_pin();
    pending(&mut fixture, 0b1);

    fixture.config_write(COMMAND + 1, Byte, 0x04);

    assert_eq!(others(&mut fixture), [Effect::Intx { asserted: false }]);
}

#[test]
fn the_pin_needs_no_bus_mastering_and_software_can_not_clear_the_status() {
    let mut fixture = with_pin();
    pending(&mut fixture, 0b1);

    fixture.config_write(STATUS, Word, 0xffff);

    assert!(interrupt_status(&mut fixture));
}

#[test]
fn enabling_msi_releases_the_pin() {
    let mut fixture = with_pin();
    fixture.enable_bus_master();
    pending(&mut fixture, 0b1);

    fixture.program_msi(0xfee0_0000, 0x31);

    assert_eq!(others(&mut fixture), [Effect::Intx { asserted: false }]);
    assert!(!interrupt_status(&mut fixture));
}

#[test]
fn a_function_without_a_pin_loses_what_no_message_carries() {
    let mut fixture = Fixture::new(Probe::new());
    fixture.enable_memory();
    fixture.take_effects();

    let lost = Effect::InterruptLost { index: vector(31), why: InterruptLoss::NothingEnabled };
    assert_eq!(pending(&mut fixture, 1 << 31), [lost]);
    assert!(!interrupt_status(&mut fixture));
}
