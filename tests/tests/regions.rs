//! Where BARs and the ROM were decoded, in which order, while they moved, overlapped, slept and were reset.
//! What accesses came to meanwhile is held by `tests/expect/regions.expect`.

use anyhow::Result;
use barscope_bench::play;
use barscope_bench::routes::bases;

const BAR0: u64 = 0xfe00_0000;
const BAR4: u64 = 0xfe00_1000;
const ELSEWHERE: u64 = 0xfe80_0000;

/// Plays a scenario in which `region` of the lab has to be decoded at these addresses, one after the other.
fn moves(scenario: &'static str, region: &str, expected: &[Option<u64>]) -> Result<()> {
    assert_eq!(bases(&play(scenario)?.trace, "lab", region), expected);
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_bar_moves_and_comes_back() -> Result<()> {
    moves("bar-moved", "BAR0", &[Some(BAR0), Some(ELSEWHERE), Some(BAR0)])
}

#[test]
#[ignore = "needs /dev/kvm"]
fn the_rom_is_decoded_once() -> Result<()> {
    moves("rom", "ROM", &[Some(0xfea0_0000)])
}

#[test]
#[ignore = "needs /dev/kvm"]
fn of_two_bars_at_one_address_one_waits() -> Result<()> {
    moves("bar-overlap", "BAR0", &[Some(BAR0), Some(BAR4), Some(BAR0)])?;
    let waited = bases(&play("bar-overlap")?.trace, "lab", "BAR4");
    assert!(waited.starts_with(&[Some(BAR4), None, Some(BAR4)]), "{waited:x?}");
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_64_bit_bar_is_at_a_third_address_between_its_halves() -> Result<()> {
    let there = [0x8_0000_0000, 0x8_0010_0000, 0x9_0010_0000].map(Some);
    let back = [0x9_0000_0000, 0x8_0000_0000].map(Some);
    moves("bar-moved-by-halves", "BAR2", &[&there[..], &back[..]].concat())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn after_sleep_and_reset_a_bar_is_where_it_was() -> Result<()> {
    moves("d3hot", "BAR0", &[Some(BAR0), Some(BAR0)])?;
    moves("function-level-reset", "BAR0", &[Some(BAR0), Some(BAR0)])
}
