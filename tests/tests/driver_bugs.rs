//! What drivers do wrong, and how it shows in the trace: here the bug is what has to be found.

use anyhow::Result;
use tests::play;
use trace::assert::{access, any_access, busy, change, map, msi, read, write};
use trace::definition::Path;
use trace::event::{Outcome, RouteChange};
use trace::view::What;

const BAR0: u64 = 0xfe00_0000;
const ELSEWHERE: u64 = 0xfe80_0000;

#[test]
#[ignore = "needs /dev/kvm"]
fn a_mapping_of_where_the_bar_was_leads_nowhere() -> Result<()> {
    let run = play("bar-moved")?;
    let scenario = run.expect("bar-moved");
    // The old mapping still is one of the driver's; what it names isn't the device's any more.
    let stale = || any_access().mapped_by("lab::probe").gpa(BAR0 + 8).outcome(Outcome::Unclaimed);
    scenario
        .sequence([
            write("BAR0.SCRATCH").gpa(BAR0 + 8).value(0xc0ff_ee13),
            stale().value(0xffff_ffff).function("lab::read_scratch"),
            map(Path::Ioremap).mapped_by("bugs::bar_moved"),
            read("BAR0.SCRATCH").gpa(ELSEWHERE + 8).value(0xc0ff_ee13),
            read("BAR0.SCRATCH").gpa(BAR0 + 8).value(0xc0ff_ee13).mapped_by("lab::probe"),
        ])
        .assert_passed();
    scenario.count(stale(), 1..=1).assert_passed();
    let bases = run.trace.views().all().iter().filter_map(|view| match &view.what {
        What::Route { route: Some(route), change: RouteChange::Added, .. } if route.size == 0x1000 => {
            Some(route.base)
        }
        _ => None,
    });
    assert_eq!(bases.collect::<Vec<_>>(), [BAR0, ELSEWHERE, BAR0]);
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_mapping_past_the_end_reaches_what_is_not_the_devices() -> Result<()> {
    let run = play("map-past-end-unchecked")?;
    let scenario = run.expect("map-past-end-unchecked");
    let outside = || any_access().cpl(3).via(Path::Mmap).announced().gpa(BAR0 + 0x1000);
    scenario
        .sequence([
            map(Path::Mmap).mapped_by("user 1"),
            read("BAR0.SCRATCH").cpl(3),
            outside().outcome(Outcome::Unclaimed).function("user::read_past_end"),
        ])
        .assert_passed();
    scenario.count(outside(), 1..=1).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn without_an_acknowledgement_no_second_message_comes() -> Result<()> {
    let run = play("forgotten-acknowledgement")?;
    let scenario = run.expect("forgotten-acknowledgement");
    scenario
        .sequence([
            write("BAR0.OPCODE"),
            change("BAR0.INT_STATUS").value(1),
            msi(0).delivered(true),
            write("BAR0.OPCODE"),
            busy(),
            change("BAR0.RESULT").value(720),
            write("BAR0.INT_STATUS").field("DONE", 1),
        ])
        .assert_passed();
    scenario.count(busy(), 2..=2).assert_passed();
    scenario.count(msi(0), 1..=1).assert_passed();
    scenario.never(access("BAR0.INT_STATUS").in_handler()).assert_passed();
    Ok(())
}
