use barscope_device::AccessSize::{Byte, Dword};
use barscope_device::{Effect, Fixture};

use super::*;

/// Decoded, with a period of 5 us.
fn fixture() -> Fixture {
    let mut fixture = Fixture::new(Ticker::default());
    fixture.enable_memory();
    fixture.write32(REGISTERS, PERIOD, 5_000);
    fixture.take_effects();
    fixture
}

fn pin(fixture: &mut Fixture) -> Vec<Effect> {
    let mut effects = fixture.take_effects();
    effects.retain(|effect| matches!(effect, Effect::Intx { .. }));
    effects
}

#[test]
fn it_is_a_conventional_function_with_a_pin() {
    let mut fixture = fixture();

    assert_eq!(fixture.config_read(0x00, Dword), 0x1ab2_1234);
    assert_eq!(fixture.config_read(0x08, Dword), 0x0880_0001);
    assert_eq!(fixture.config_read(0x3d, Byte), 0x01);
    assert_eq!(fixture.config_read(0x34, Byte), 0x00);
}

#[test]
fn ticks_come_every_period_until_they_are_stopped() {
    let mut fixture = fixture();
    fixture.write32(REGISTERS, CONTROL, 0x1);

    fixture.advance(5_000);
    assert_eq!(pin(&mut fixture), [Effect::Intx { asserted: true }]);
    fixture.write32(REGISTERS, STATUS, 0x1);
    assert_eq!(pin(&mut fixture), [Effect::Intx { asserted: false }]);
    fixture.advance(15_000);
    assert_eq!(fixture.read32(REGISTERS, TICKS), 4);
    assert_eq!(fixture.read32(REGISTERS, TICKS), 0);

    fixture.write32(REGISTERS, CONTROL, 0x0);
    fixture.advance(100_000);
    assert_eq!(fixture.read32(REGISTERS, TICKS), 0);
}

#[test]
fn a_tick_that_nobody_acknowledged_is_overrun_by_the_next() {
    let mut fixture = fixture();
    fixture.write32(REGISTERS, CONTROL, 0x1);

    fixture.advance(10_000);

    assert_eq!(fixture.read32(REGISTERS, STATUS), 0x3);
    fixture.write32(REGISTERS, STATUS, 0x3);
    assert_eq!(fixture.read32(REGISTERS, STATUS), 0x0);
}

#[test]
fn ticks_that_nobody_had_time_for_are_counted_and_come_as_one() {
    let mut fixture = fixture();
    fixture.write32(REGISTERS, CONTROL, 0x1);

    fixture.advance_late(6_000_000_002_000);

    assert_eq!(pin(&mut fixture), [Effect::Intx { asserted: true }]);
    assert_eq!(fixture.read32(REGISTERS, STATUS), 0x3);
    assert_eq!(fixture.read32(REGISTERS, TICKS), 1_200_000_000);
    // The next one is where it would have been.
    assert_eq!(fixture.function().next_deadline(), Some(6_000_000_005_000));
}

#[test]
fn once_means_one_tick() {
    let mut fixture = fixture();
    fixture.write32(REGISTERS, CONTROL, 0x3);

    fixture.advance(50_000);

    assert_eq!(fixture.read32(REGISTERS, TICKS), 1);
    assert_eq!(fixture.read32(REGISTERS, CONTROL), 0x2);
    assert_eq!(fixture.function().next_deadline(), None);
}

#[test]
fn a_period_has_a_lower_bound() {
    let mut fixture = fixture();

    fixture.write32(REGISTERS, PERIOD, 1);

    assert_eq!(fixture.read32(REGISTERS, PERIOD), 1_000);
}
