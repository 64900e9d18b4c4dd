use super::*;
use crate::access_size::AccessSize::{Byte, Dword, Qword, Word};
use crate::address::BarIndex;
use crate::address::Region;
use crate::effect::Effect;
use crate::fixture::Fixture;
use crate::probe::Probe;

const BAR0: u64 = 0x10;
const BAR1: u64 = 0x14;
const BAR2: u64 = 0x18;
const COMMAND_REGISTER: u64 = 0x04;

fn with(bar: BarSpec) -> Fixture {
    Fixture::new(Probe::with_bars(&[bar]))
}

fn moved(from: Option<u64>, to: Option<u64>, size: u64) -> Effect {
    let decode = |base| Decode { space: Space::Memory, base, size };
    Effect::Decode { region: Region::BAR0, from: from.map(decode), to: to.map(decode) }
}

#[test]
fn sizing_a_32_bit_bar_reports_its_size() {
    let mut fixture = with(BarSpec::memory32(BarIndex::BAR0, 0x1000));

    fixture.config_write(BAR0, Dword, 0xffff_ffff);

    assert_eq!(fixture.config_read(BAR0, Dword), 0xffff_f000);
}

#[test]
fn sizing_needs_no_more_than_the_address_bits() {
    let mut fixture = with(BarSpec::memory32(BarIndex::BAR0, 0x1000));

    fixture.config_write(BAR0, Dword, 0xffff_f800);

    assert_eq!(fixture.config_read(BAR0, Dword), 0xffff_f000);
}

#[test]
fn type_bits_survive_a_sizing_write_and_a_zero() {
    let mut fixture = with(BarSpec::memory64(BarIndex::BAR0, 0x10_0000).with_prefetch());
    assert_eq!(fixture.config_read(BAR0, Dword), 0x0000_000c);

    fixture.config_write(BAR0, Dword, 0xffff_ffff);
    assert_eq!(fixture.config_read(BAR0, Dword), 0xfff0_000c);

    fixture.config_write(BAR0, Dword, 0);
    assert_eq!(fixture.config_read(BAR0, Dword), 0x0000_000c);
}

#[test]
fn low_bits_tell_width_and_prefetching_apart() {
    let low_bits = |bar| with(bar).config_read(BAR0, Dword);

    assert_eq!(low_bits(BarSpec::memory32(BarIndex::BAR0, 0x1000)), 0x0);
    assert_eq!(low_bits(BarSpec::memory32(BarIndex::BAR0, 0x1000).with_prefetch()), 0x8);
    assert_eq!(low_bits(BarSpec::memory64(BarIndex::BAR0, 0x1000)), 0x4);
    assert_eq!(low_bits(BarSpec::memory64(BarIndex::BAR0, 0x1000).with_prefetch()), 0xc);
    assert_eq!(low_bits(BarSpec::io(BarIndex::BAR0, 0x10)), 0x1);
}

#[test]
fn sizing_a_64_bit_bar_reports_both_halves() {
    let mut fixture = with(BarSpec::memory64(BarIndex::BAR0, 0x10_0000));

    fixture.config_write(BAR0, Dword, 0xffff_ffff);
    fixture.config_write(BAR1, Dword, 0xffff_ffff);

    assert_eq!(fixture.config_read(BAR0, Dword), 0xfff0_0004);
    assert_eq!(fixture.config_read(BAR1, Dword), 0xffff_ffff);
}

#[test]
fn sizing_a_bar_above_4_gib_shows_in_its_upper_half() {
    let mut fixture = with(BarSpec::memory64(BarIndex::BAR0, 0x4_0000_0000));

    fixture.config_write(BAR0, Qword, u64::MAX);

    assert_eq!(fixture.config_read(BAR0, Dword), 0x0000_0004);
    assert_eq!(fixture.config_read(BAR1, Dword), 0xffff_fffc);
}

#[test]
fn halves_of_a_64_bit_bar_are_written_apart_in_either_order() {
    for order in [[(BAR0, 0x0010_0000), (BAR1, 8)], [(BAR1, 8), (BAR0, 0x0010_0000)]] {
        let mut fixture = with(BarSpec::memory64(BarIndex::BAR0, 0x10_0000));
        for (register, value) in order {
            fixture.config_write(register, Dword, value);
        }
        fixture.enable_memory();

        assert_eq!(fixture.take_effects(), [moved(None, Some(0x8_0010_0000), 0x10_0000)]);
    }
}

#[test]
fn halves_written_while_decoded_move_the_bar_twice() {
    let mut fixture = with(BarSpec::memory64(BarIndex::BAR0, 0x10_0000));
    fixture.enable_memory();
    fixture.take_effects();

    fixture.config_write(BAR0, Dword, 0xfe00_0000);
    fixture.config_write(BAR1, Dword, 0x8);

    assert_eq!(
        fixture.take_effects(),
        [
            moved(Some(0), Some(0xfe00_0000), 0x10_0000),
            moved(Some(0xfe00_0000), Some(0x8_fe00_0000), 0x10_0000),
        ]
    );
}

#[test]
fn a_register_written_in_bytes_holds_the_whole_address() {
    let mut fixture = with(BarSpec::memory32(BarIndex::BAR0, 0x1000));

    fixture.config_write(BAR0, Byte, 0xff);
    fixture.config_write(BAR0 + 1, Byte, 0xff);
    fixture.config_write(BAR0 + 2, Word, 0xfe12);

    assert_eq!(fixture.config_read(BAR0, Dword), 0xfe12_f000);
}

#[test]
fn nothing_is_decoded_after_reset() {
    let mut fixture = with(BarSpec::memory32(BarIndex::BAR0, 0x1000));
    assert_eq!(fixture.config_read(COMMAND_REGISTER, Word), 0);

    fixture.config_write(BAR0, Dword, 0xfe00_0000);

    assert_eq!(fixture.function().decoding(), []);
    assert_eq!(fixture.take_effects(), []);
}

#[test]
fn memory_space_switches_decoding_on_and_off() {
    let mut fixture = with(BarSpec::memory32(BarIndex::BAR0, 0x1000));
    fixture.config_write(BAR0, Dword, 0xfe00_0000);

    fixture.config_write(COMMAND_REGISTER, Word, 0x2);
    fixture.config_write(COMMAND_REGISTER, Word, 0x6);
    fixture.config_write(COMMAND_REGISTER, Word, 0x4);

    assert_eq!(
        fixture.take_effects(),
        [moved(None, Some(0xfe00_0000), 0x1000), moved(Some(0xfe00_0000), None, 0x1000)]
    );
}

#[test]
fn relocating_reports_exactly_one_move() {
    let mut fixture = with(BarSpec::memory32(BarIndex::BAR0, 0x1000));
    fixture.config_write(BAR0, Dword, 0xfe00_0000);
    fixture.enable_memory();
    fixture.take_effects();

    fixture.config_write(BAR0, Dword, 0xfe80_0000);
    fixture.config_write(BAR0, Dword, 0xfe80_0000);

    assert_eq!(fixture.take_effects(), [moved(Some(0xfe00_0000), Some(0xfe80_0000), 0x1000)]);
}

#[test]
fn a_64_bit_bar_sized_while_decoded_claims_nothing_that_ends_at_the_top() {
    let mut fixture = with(BarSpec::memory64(BarIndex::BAR0, 0x10_0000));
    fixture.enable_memory();

    fixture.config_write(BAR0, Qword, u64::MAX);

    assert_eq!(fixture.function().decoding(), []);
}

#[test]
fn a_32_bit_bar_sized_while_decoded_claims_the_top_of_4_gib() {
    let mut fixture = with(BarSpec::memory32(BarIndex::BAR0, 0x1000));
    fixture.enable_memory();

    fixture.config_write(BAR0, Dword, 0xffff_ffff);

    let top = Decode { space: Space::Memory, base: 0xffff_f000, size: 0x1000 };
    assert_eq!(fixture.function().decoding(), [(Region::BAR0, top)]);
}

#[test]
fn an_io_bar_follows_io_space_and_has_16_address_bits() {
    let mut fixture = with(BarSpec::io(BarIndex::BAR0, 0x20));
    fixture.config_write(BAR0, Dword, 0xffff_ffff);
    assert_eq!(fixture.config_read(BAR0, Dword), 0x0000_ffe1);

    fixture.config_write(BAR0, Dword, 0xc000);
    fixture.config_write(COMMAND_REGISTER, Word, 0x2);
    assert_eq!(fixture.function().decoding(), []);
    fixture.config_write(COMMAND_REGISTER, Word, 0x1);

    let ports = Decode { space: Space::Io, base: 0xc000, size: 0x20 };
    assert_eq!(fixture.function().decoding(), [(Region::BAR0, ports)]);
}

#[test]
fn a_bar_that_the_function_lacks_is_hardwired_to_zero() {
    let mut fixture = with(BarSpec::memory64(BarIndex::BAR0, 0x1000));

    fixture.config_write(BAR2, Dword, 0xffff_ffff);

    assert_eq!(fixture.config_read(BAR2, Dword), 0);
}

#[test]
#[should_panic(expected = "BAR0: size 0x1800 is no power of two")]
fn a_size_that_is_no_power_of_two_is_refused() {
    with(BarSpec::memory32(BarIndex::BAR0, 0x1800));
}

#[test]
#[should_panic(expected = "BAR0: size 0x8 is no power of two from 0x10")]
fn memory_below_16_bytes_is_refused() {
    with(BarSpec::memory32(BarIndex::BAR0, 8));
}

#[test]
#[should_panic(expected = "BAR1: out of order, or taken by the BAR before")]
fn a_bar_in_the_upper_half_of_another_is_refused() {
    Fixture::new(Probe::with_bars(&[
        BarSpec::memory64(BarIndex::BAR0, 0x1000),
        BarSpec::memory32(BarIndex::BAR1, 0x1000),
    ]));
}

#[test]
#[should_panic(expected = "BAR5: there are 6 BARs")]
fn a_64_bit_bar_without_room_for_its_upper_half_is_refused() {
    with(BarSpec::memory64(BarIndex::BAR5, 0x1000));
}
