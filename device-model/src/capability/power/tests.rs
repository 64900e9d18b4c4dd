use super::PowerSpec;
use crate::access_size::AccessSize::{Byte, Dword, Qword, Word};
use crate::capability::MsiSpec;
use crate::effect::{Decode, Effect};
use crate::fixture::Fixture;
use crate::probe::{CAUSES, Probe, REGISTERS, TIMER, VALUE};
use crate::{Region, Space};

const CAPABILITY: u64 = 0x40;
const CONTROL: u64 = CAPABILITY + 0x04;
const D3_HOT: u64 = 0b11;

fn mastering() -> Fixture {
    let mut fixture = Fixture::new(
        Probe::new().with_capabilities([PowerSpec::default().into(), MsiSpec::new(1).into()]).with_pin(),
    );
    fixture.config_write(0x10, Dword, 0xfe00_0000);
    fixture.enable_memory();
    fixture.enable_bus_master();
    fixture.take_effects();
    fixture
}

fn decode(from: bool, to: bool) -> Effect {
    let decode = Decode { space: Space::Memory, base: 0xfe00_0000, size: 0x1000 };
    Effect::Decode { region: Region::BAR0, from: from.then_some(decode), to: to.then_some(decode) }
}

#[test]
fn the_capability_offers_d0_and_d3hot_and_resets_on_waking() {
    let mut fixture = mastering();

    assert_eq!(fixture.capability(0x01), Some(CAPABILITY));
    assert_eq!(fixture.config_read(CAPABILITY + 0x02, Word), 0x0003);
    assert_eq!(fixture.config_read(CONTROL, Word), 0);
}

#[test]
fn in_d3hot_only_configuration_space_answers() {
    let mut fixture = mastering();

    fixture.config_write(CONTROL, Byte, D3_HOT);

    assert_eq!(fixture.take_effects(), [decode(true, false)]);
    assert_eq!(fixture.function().decoding(), []);
    assert_eq!(fixture.config_read(0x10, Dword), 0xfe00_0000);
    assert_eq!(fixture.config_read(CONTROL, Dword), 0x3);
}

#[test]
fn nothing_leaves_in_d3hot() {
    let mut fixture = mastering();
    fixture.write(REGISTERS, CAUSES, Qword, 1).unwrap();
    fixture.write(REGISTERS, TIMER, Qword, 100).unwrap();
    assert!(fixture.function().intx());

    fixture.config_write(CONTROL, Byte, D3_HOT);

    assert!(!fixture.function().intx());
    assert_eq!(fixture.config_read(0x06, Word) & 0x8, 0);
}

#[test]
fn the_states_that_it_lacks_are_not_taken() {
    let mut fixture = mastering();

    fixture.config_write(CONTROL, Byte, 0b01);
    assert_eq!(fixture.config_read(CONTROL, Byte), 0b00);
    fixture.config_write(CONTROL, Byte, D3_HOT);
    fixture.config_write(CONTROL, Byte, 0b10);
    assert_eq!(fixture.config_read(CONTROL, Byte), D3_HOT);
}

#[test]
fn waking_resets_the_function() {
    let mut fixture = mastering();
    fixture.write(REGISTERS, VALUE, Qword, 5).unwrap();
    fixture.config_write(CONTROL, Byte, D3_HOT);
    fixture.take_effects();

    fixture.config_write(CONTROL, Byte, 0);

    assert_eq!(fixture.config_read(0x10, Dword), 0);
    assert_eq!(fixture.config_read(0x04, Word), 0);
    let change = Effect::Change { region: REGISTERS, offset: VALUE, old: 5, new: 0 };
    assert_eq!(fixture.take_effects(), [change]);
    assert_eq!(fixture.function().next_deadline(), None);
}

#[test]
fn writing_d0_in_d0_resets_nothing() {
    let mut fixture = mastering();

    fixture.config_write(CONTROL, Word, 0);

    assert_eq!(fixture.config_read(0x10, Dword), 0xfe00_0000);
    assert_eq!(fixture.take_effects(), []);
}
