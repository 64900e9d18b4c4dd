//! Where BARs and the ROM are, while they move, overlap, sleep and are reset.

use anyhow::Result;
use tests::play;
use tests::routes::bases;
use trace::assert::{access, any_access, change, read, write};
use trace::event::Outcome;

const BAR0: u64 = 0xfe00_0000;
const BAR4: u64 = 0xfe00_1000;

#[test]
#[ignore = "needs /dev/kvm"]
fn the_rom_is_there_while_it_is_enabled() -> Result<()> {
    let run = play("rom")?;
    let scenario = run.expect("rom");
    scenario
        .sequence([
            read("ROM.ROM_IMAGE").value_masked(0xffff, 0xaa55),
            any_access().gpa(0xfea0_0000).outcome(Outcome::Unclaimed).value(0xffff_ffff),
        ])
        .assert_passed();
    assert_eq!(bases(&run.trace, "lab", "ROM"), [Some(0xfea0_0000)]);
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn of_two_bars_at_one_address_one_waits() -> Result<()> {
    let run = play("bar-overlap")?;
    assert_eq!(bases(&run.trace, "lab", "BAR0"), [Some(BAR0), Some(BAR4), Some(BAR0)]);
    let waited = bases(&run.trace, "lab", "BAR4");
    assert!(waited.starts_with(&[Some(BAR4), None, Some(BAR4)]), "{waited:x?}");
    run.expect("bar-overlap")
        .sequence([read("BAR0.SCRATCH").value(0xc0ff_ee17), read("BAR4.MSIX7_CONTROL").field("MASK", 1)])
        .assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_64_bit_bar_is_at_a_third_address_between_its_halves() -> Result<()> {
    let run = play("bar-moved-by-halves")?;
    let there = [0x8_0000_0000, 0x8_0010_0000, 0x9_0010_0000].map(Some);
    let back = [0x9_0000_0000, 0x8_0000_0000].map(Some);
    assert_eq!(bases(&run.trace, "lab", "BAR2"), [&there[..], &back[..]].concat());
    run.expect("bar-moved-by-halves")
        .sequence([
            write("BAR2.MEMORY").gpa(0x8_0000_0000),
            any_access().gpa(0x8_0000_0000).outcome(Outcome::Unclaimed),
            read("BAR2.MEMORY").gpa(0x9_0010_0000).value(0xc0ff_ee18),
            read("BAR2.MEMORY").gpa(0x8_0000_0000).value(0xc0ff_ee18),
        ])
        .assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn asleep_only_configuration_space_answers() -> Result<()> {
    let run = play("d3hot")?;
    let scenario = run.expect("d3hot");
    scenario
        .sequence([
            write("BAR0.SCRATCH").value(0xc0ff_ee19),
            any_access().gpa(BAR0 + 8).outcome(Outcome::Unclaimed).value(0xffff_ffff),
            read("CONFIG+0").value(0x1ab0_1234).outcome(Outcome::Ok),
            // On waking.
            change("BAR0.SCRATCH").was(0xc0ff_ee19).value(0),
            read("BAR0.SCRATCH").value(0),
        ])
        .assert_passed();
    assert_eq!(bases(&run.trace, "lab", "BAR0"), [Some(BAR0), Some(BAR0)]);
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_function_level_reset_takes_registers_and_addresses() -> Result<()> {
    let run = play("function-level-reset")?;
    let scenario = run.expect("function-level-reset");
    scenario
        .sequence([
            write("BAR0.SCRATCH").value(0xc0ff_ee1a),
            change("BAR0.SCRATCH").was(0xc0ff_ee1a).value(0),
            any_access().gpa(BAR0 + 8).outcome(Outcome::Unclaimed),
            read("BAR0.SCRATCH").value(0),
        ])
        .assert_passed();
    scenario.count(access("BAR0"), 2..=2).assert_passed();
    assert_eq!(bases(&run.trace, "lab", "BAR0"), [Some(BAR0), Some(BAR0)]);
    Ok(())
}
