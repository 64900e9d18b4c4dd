use super::*;
use crate::access_size::AccessSize::{self, Byte, Dword, Qword, Word};
use crate::context::{BusContext, Context};
use crate::dma::DmaError;
use crate::effect::Effect::{Busy, Change, Dma, InterruptLost};
use crate::effect::InterruptLoss;
use crate::effect::TimestampedEffect;
use crate::fixture::Fixture;
use crate::probe::{CAUSES, DMA_READ, DMA_WRITE, Probe, REGISTERS, TIMER, VALUE, VOLATILE};
use crate::refused::Refused;
use crate::state::BadState;
use crate::vector::VectorIndex;

const COMMAND_REGISTER: u64 = 0x04;
const STATUS_REGISTER: u64 = 0x06;

fn decoded() -> Fixture {
    let mut fixture = Fixture::new(Probe::new());
    fixture.enable_memory();
    fixture.take_effects();
    fixture
}

fn mastering() -> Fixture {
    let mut fixture = decoded();
    fixture.enable_bus_master();
    fixture
}

fn changed(old: u64, new: u64) -> Effect {
    Change { region: REGISTERS, offset: VALUE, old, new }
}

#[test]
fn the_header_identifies_the_function() {
    let mut fixture = Fixture::new(Probe::new());

    assert_eq!(fixture.config_read(0x00, Dword), 0xabcd_1234);
    assert_eq!(fixture.config_read(0x08, Dword), 0x0102_0307);
    assert_eq!(fixture.config_read(0x0e, Byte), 0x00);
    assert_eq!(fixture.config_read(0x2c, Dword), 0x9abc_5678);
}

#[test]
fn a_function_with_others_beside_it_says_so_even_after_reset() {
    let mut function = PciFunction::new(Box::new(Probe::new())).multi_function();
    assert_eq!(function.config.bytes()[0x0e], 0x80);
    function.reset();
    assert_eq!(function.config.bytes()[0x0e], 0x80);
    function.forget();
    assert_eq!(function.config.bytes()[0x0e], 0x80);
}

#[test]
fn configuration_space_is_read_at_any_width_and_alignment() {
    let mut fixture = Fixture::new(Probe::new());

    assert_eq!(fixture.config_read(0x03, Byte), 0xab);
    assert_eq!(fixture.config_read(0x01, Word), 0xcd12);
    assert_eq!(fixture.config_read(0x09, Dword), 0x0001_0203);
    assert_eq!(fixture.config_read(0x2a, Dword), 0x5678_0000);
}

#[test]
fn identity_is_read_only() {
    let mut fixture = Fixture::new(Probe::new());

    fixture.config_write(0x00, Dword, 0);
    fixture.config_write(0x08, Dword, 0);
    fixture.config_write(0x2c, Dword, 0);

    assert_eq!(fixture.config_read(0x00, Dword), 0xabcd_1234);
    assert_eq!(fixture.config_read(0x08, Dword), 0x0102_0307);
    assert_eq!(fixture.config_read(0x2c, Dword), 0x9abc_5678);
}

#[test]
fn only_the_cache_line_size_of_its_dword_is_kept() {
    let mut fixture = Fixture::new(Probe::new());

    fixture.config_write(0x0c, Dword, 0xffff_ffff);

    // Neither Latency Timer nor BIST: PCI Express has no use for the one, and few devices have the other.
    assert_eq!(fixture.config_read(0x0c, Dword), 0x0000_00ff);
}

#[test]
fn extended_space_without_capabilities_reads_as_zeros_up_to_its_end() {
    let mut fixture = Fixture::new(Probe::new());

    assert_eq!(fixture.config_read(0x100, Dword), 0);
    assert_eq!(fixture.config_read(0xffc, Dword), 0);
    assert_eq!(fixture.read(Region::Config, 0xffe, Dword), Err(Refused::Reserved));
    assert_eq!(fixture.read(Region::Config, u64::MAX, Dword), Err(Refused::Reserved));
}

#[test]
fn the_upper_command_byte_counts() {
    let mut fixture = decoded();

    fixture.config_write(COMMAND_REGISTER + 1, Byte, 0xff);

    // Interrupt Disable and SERR# Enable; Memory Space as it was.
    assert_eq!(fixture.config_read(COMMAND_REGISTER, Word), 0x0502);
}

#[test]
fn status_bits_are_cleared_by_ones_only() {
    let mut fixture = mastering();
    fixture.write(REGISTERS, DMA_READ, Qword, 0x1_0000).unwrap();
    assert_eq!(fixture.config_read(STATUS_REGISTER, Word), 0x2010);

    fixture.config_write(STATUS_REGISTER, Word, 0xdfff);
    assert_eq!(fixture.config_read(STATUS_REGISTER, Word), 0x2010);

    fixture.config_write(STATUS_REGISTER + 1, Byte, 0x20);
    assert_eq!(fixture.config_read(STATUS_REGISTER, Word), 0x0010);
}

#[test]
fn a_command_write_as_a_dword_of_zeros_leaves_status() {
    let mut fixture = mastering();
    fixture.write(REGISTERS, DMA_READ, Qword, 0x1_0000).unwrap();

    fixture.config_write(COMMAND_REGISTER, Dword, 0x0000_0002);

    assert_eq!(fixture.config_read(COMMAND_REGISTER, Dword), 0x2010_0002);
}

#[test]
fn a_write_that_changes_a_register_says_so_once() {
    let mut fixture = decoded();

    fixture.write(REGISTERS, VALUE, Qword, 5).unwrap();
    fixture.write(REGISTERS, VALUE, Qword, 5).unwrap();

    assert_eq!(fixture.take_effects(), [changed(0, 5)]);
}

#[test]
fn a_volatile_register_changes_without_a_word() {
    let mut fixture = decoded();

    assert_eq!(fixture.read(REGISTERS, VOLATILE, Qword), Ok(1));

    assert_eq!(fixture.take_effects(), []);
}

/// A device whose one register counts its reads, of a kind that a test chooses.
struct Counter([RegisterMap; 1], u64);

impl Counter {
    fn new(access: Access) -> Self {
        Self(
            [RegisterMap {
                region: REGISTERS,
                registers: vec![Register::new64("READS", 0, access, "")].into(),
            }],
            0,
        )
    }
}

impl PciDevice for Counter {
    fn name(&self) -> &str {
        "counter"
    }

    fn header(&self) -> ConfigHeader {
        Probe::new().header()
    }

    fn register_maps(&self) -> &[RegisterMap] {
        &self.0
    }

    fn read(&mut self, _: &mut Context<'_>, _: Region, _: u64, _: AccessSize) -> Result<u64, Refused> {
        self.1 += 1;
        Ok(self.1)
    }

    fn write(
        &mut self,
        _: &mut Context<'_>,
        _: Region,
        _: u64,
        _: AccessSize,
        _: u64,
    ) -> Result<(), Refused> {
        Ok(())
    }

    fn peek(&self, _: Region, _: u64) -> Option<u64> {
        Some(self.1)
    }

    fn reset(&mut self) {
        self.1 = 0;
    }

    fn save(&self) -> serde_json::Value {
        self.1.into()
    }

    fn restore(&mut self, _: serde_json::Value) -> Result<(), BadState> {
        Ok(())
    }
}

fn counter(access: Access) -> Fixture {
    let mut fixture = Fixture::new(Counter::new(access));
    fixture.enable_memory();
    fixture.take_effects();
    fixture
}

#[test]
fn a_read_with_a_side_effect_reports_what_it_changes() {
    let mut fixture = counter(Access::ReadSideEffect);

    assert_eq!(fixture.read(REGISTERS, VALUE, Qword), Ok(1));

    assert_eq!(fixture.take_effects(), [changed(0, 1)]);
}

#[test]
#[should_panic(expected = "a read at BAR0+0x0 changed BAR0+0x0 from 0x0 to 0x1, which the register map says")]
fn a_read_whose_side_effect_is_not_in_the_map_fails_its_test() {
    counter(Access::ReadOnly).read(REGISTERS, VALUE, Qword).ok();
}

#[test]
fn what_a_read_changed_against_its_map_is_reported_with_the_next_call() {
    let mut function = PciFunction::new(Box::new(Counter::new(Access::ReadWrite)));
    let fixture = decoded();
    let mut effects = Vec::new();
    let mut bus = BusContext { now: 5, cause: 7, memory: fixture.memory(), effects: &mut effects };
    assert_eq!(function.read(&mut bus, REGISTERS, VALUE, Qword), Ok(1));
    assert_eq!(*bus.effects, []);
    bus.cause = 8;
    function.write(&mut bus, REGISTERS, VALUE, Qword, 0).unwrap();
    assert_eq!(effects, [TimestampedEffect { at: 5, cause: 8, effect: changed(0, 1) }]);
}

#[test]
fn an_effect_bears_its_timestamp_and_the_access_that_led_to_it() {
    let mut fixture = Fixture::new(Probe::new());
    fixture.config_write(COMMAND_REGISTER, Word, 0x2);
    fixture.take_timestamped_effects();
    fixture.advance(70);

    fixture.write(REGISTERS, VALUE, Qword, 5).unwrap();

    assert_eq!(
        fixture.take_timestamped_effects(),
        [TimestampedEffect { at: 70, cause: 2, effect: changed(0, 5) }]
    );
}

#[test]
fn registers_change_before_the_interrupt_leaves() {
    let mut fixture = decoded();

    fixture.write(REGISTERS, CAUSES, Qword, 1).unwrap();

    let lost = InterruptLost { index: VectorIndex::ZERO, why: InterruptLoss::NothingEnabled };
    assert_eq!(fixture.take_effects(), [changed(0, 1), lost]);
}

#[test]
fn registers_change_before_a_message_goes_to_memory() {
    let mut fixture = mastering();
    fixture.program_msi(0x800, 0x31);
    fixture.take_effects();

    fixture.write(REGISTERS, CAUSES, Qword, 1).unwrap();

    let lost = InterruptLost { index: VectorIndex::ZERO, why: InterruptLoss::MemoryWrite };
    let written = Dma { to_memory: true, address: 0x800, length: 4, outcome: Ok(()) };
    assert_eq!(fixture.take_effects(), [changed(0, 1), lost, written]);
}

#[test]
fn a_transfer_comes_before_the_change_that_announces_it() {
    let mut fixture = mastering();
    fixture.write(REGISTERS, VALUE, Qword, 0x1122_3344_5566_7788).unwrap();
    fixture.take_effects();

    fixture.write(REGISTERS, DMA_WRITE, Qword, 0x800).unwrap();

    let transfer = Dma { to_memory: true, address: 0x800, length: 8, outcome: Ok(()) };
    assert_eq!(fixture.take_effects(), [transfer, changed(0x1122_3344_5566_7788, 0x1122_3344_5566_7789)]);
    let mut bytes = [0; 8];
    fixture.memory().read(0x800, &mut bytes).unwrap();
    assert_eq!(bytes, [0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11]);
}

#[test]
fn dma_goes_nowhere_without_bus_mastering() {
    let mut fixture = decoded();

    fixture.write(REGISTERS, DMA_READ, Qword, 0x800).unwrap();

    let outcome = Err(DmaError::BusMasterOff);
    assert_eq!(fixture.take_effects(), [Dma { to_memory: false, address: 0x800, length: 8, outcome }]);
    assert_eq!(fixture.config_read(STATUS_REGISTER, Word), 0x0010);
}

#[test]
fn dma_checks_start_length_and_their_sum() {
    // The fixture has 64 KiB.
    for address in [0x1_0000, 0xfff9, u64::MAX, u64::MAX - 7] {
        let mut fixture = mastering();

        fixture.write(REGISTERS, DMA_READ, Qword, address).unwrap();

        let outcome = Err(DmaError::OutOfBounds);
        assert_eq!(fixture.take_effects(), [Dma { to_memory: false, address, length: 8, outcome }]);
    }
    let mut fixture = mastering();
    fixture.memory().write(0xfff8, &[1, 0, 0, 0, 0, 0, 0, 0]).unwrap();

    fixture.write(REGISTERS, DMA_READ, Qword, 0xfff8).unwrap();

    let transfer = Dma { to_memory: false, address: 0xfff8, length: 8, outcome: Ok(()) };
    assert_eq!(fixture.take_effects(), [transfer, changed(0, 1)]);
}

#[test]
fn timers_fire_in_order_at_their_deadlines_for_the_access_that_set_them() {
    const SECOND_TIMER: u64 = 1 << 63;
    let mut fixture = Fixture::new(Probe::new());
    fixture.enable_memory(); // accesses 1 and 2
    fixture.take_effects();
    fixture.write(REGISTERS, TIMER, Qword, 500).unwrap();
    fixture.write(REGISTERS, TIMER, Qword, SECOND_TIMER | 300).unwrap();
    assert_eq!(fixture.function().next_deadline(), Some(300));
    assert_eq!(fixture.take_effects(), [Busy { until: 500 }, Busy { until: 300 }]);

    fixture.advance(299);
    assert_eq!(fixture.take_timestamped_effects(), []);
    fixture.advance(1000);

    assert_eq!(
        fixture.take_timestamped_effects(),
        [
            TimestampedEffect { at: 300, cause: 4, effect: changed(0, 1) },
            TimestampedEffect { at: 500, cause: 3, effect: changed(1, 2) },
        ]
    );
    assert_eq!(fixture.function().next_deadline(), None);
}

#[test]
fn a_delay_beyond_the_end_of_time_saturates() {
    let mut fixture = decoded();
    fixture.advance(1000);

    fixture.write(REGISTERS, TIMER, Qword, u64::MAX >> 1).unwrap();
    fixture.write(REGISTERS, TIMER, Qword, 0).unwrap();

    assert_eq!(fixture.take_effects(), [Busy { until: 0x8000_0000_0000_03e7 }, Busy { until: 1001 }]);
}

#[test]
fn reset_returns_device_and_configuration_space() {
    let mut fixture = mastering();
    fixture.config_write(0x10, Dword, 0xfe00_0000);
    fixture.write(REGISTERS, VALUE, Qword, 5).unwrap();
    fixture.write(REGISTERS, TIMER, Qword, 500).unwrap();
    fixture.take_effects();

    fixture.function().reset();

    assert_eq!(fixture.config_read(COMMAND_REGISTER, Word), 0);
    assert_eq!(fixture.config_read(0x10, Dword), 0);
    assert_eq!(fixture.function().decoding(), []);
    assert_eq!(fixture.function().next_deadline(), None);
    fixture.enable_memory();
    fixture.take_effects();
    assert_eq!(fixture.read(REGISTERS, VALUE, Qword), Ok(0));
    assert_eq!(fixture.take_effects(), []);
}
