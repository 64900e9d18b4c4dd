//! What drivers do wrong, and how it shows in the trace: here the bug is what has to be found.

use anyhow::Result;
use tests::play;
use tests::routes::bases;
use trace::assert::{access, any_access, busy, change, dma, interrupt_lost, map, msi, read, write};
use trace::definition::Path;
use trace::event::{DmaOutcome, Outcome};

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
    let bases = bases(&run.trace, "lab", "BAR0");
    assert_eq!(bases, [Some(BAR0), Some(ELSEWHERE), Some(BAR0)]);
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_mapping_past_the_end_gives_a_program_the_table_of_messages() -> Result<()> {
    let run = play("map-past-end-unchecked")?;
    let scenario = run.expect("map-past-end-unchecked");
    let beyond = || read("BAR4.MSIX0_ADDRESS_LOW").cpl(3).via(Path::Mmap).announced().mapped_by("user 1");
    scenario
        .sequence([
            map(Path::Mmap).mapped_by("user 1"),
            read("BAR0.SCRATCH").cpl(3).mapped_by("user 1"),
            beyond().gpa(BAR0 + 0x1000).function("user::read_past_end"),
        ])
        .assert_passed();
    scenario.count(beyond(), 1..=1).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_mapping_of_a_bar_smaller_than_a_page_gives_a_program_another_device() -> Result<()> {
    let run = play("sub-page-bar")?;
    let scenario = run.expect("sub-page-bar");
    let page = 0xfe00_2000;
    scenario
        .sequence([
            map(Path::Mmap).mapped_by("user 1"),
            write("BAR5.DOORBELL0").cpl(3).device("lab").gpa(page).mapped_by("user 1"),
            change("BAR0.DOORBELL_COUNT").value(1),
            read("BAR0.PERIOD").cpl(3).device("ticker").gpa(page + 0x100).mapped_by("user 1"),
        ])
        .assert_passed();
    scenario.count(any_access().cpl(3).device("ticker"), 1..=1).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn dma_without_bus_mastering_goes_nowhere() -> Result<()> {
    let run = play("dma-without-bus-mastering")?;
    let scenario = run.expect("dma-without-bus-mastering");
    scenario
        .sequence([
            write("BAR0.DMA_CONTROL").field("START", 1).field("TO_MEMORY", 1).function("dma::start"),
            dma().dma_outcome(DmaOutcome::BusMasterOff),
            read("BAR0.DMA_STATUS").field("ERROR", 1).field("REASON", 4),
        ])
        .assert_passed();
    scenario.count(dma(), 1..=1).assert_passed();
    scenario.never(dma().dma_outcome(DmaOutcome::Done)).assert_passed();
    scenario.never(interrupt_lost(0)).assert_passed();
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
