//! Registers that drivers get wrong: queues, counters, registers that refuse, ports.

use anyhow::Result;
use tests::play;
use trace::assert::{access, any_access, change, read, write};
use trace::definition::Path;
use trace::event::Outcome;

#[test]
#[ignore = "needs /dev/kvm"]
fn a_queue_notices_one_too_many_on_either_side() -> Result<()> {
    let run = play("fifo")?;
    let scenario = run.expect("fifo");
    scenario
        .sequence([
            write("BAR0.FIFO_DATA").value(7),
            change("BAR0.INT_STATUS").value(0x10),
            write("BAR0.FIFO_DATA").value(16),
            change("BAR0.FIFO_STATUS").value(0x1_0210),
            read("BAR0.FIFO_DATA").value(0),
            read("BAR0.FIFO_DATA").value(15),
            change("BAR0.FIFO_STATUS").value(0x1_0100),
            read("BAR0.FIFO_DATA").value(0),
            change("BAR0.FIFO_STATUS").value(0x3_0100),
            write("BAR0.FIFO_STATUS").field("OVERFLOW", 1).field("UNDERFLOW", 1),
            change("BAR0.FIFO_STATUS").value(0x100),
        ])
        .assert_passed();
    scenario.count(write("BAR0.FIFO_DATA"), 17..=17).assert_passed();
    scenario.count(read("BAR0.FIFO_DATA"), 17..=17).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_64_bit_counter_is_read_whole_and_by_halves() -> Result<()> {
    let run = play("counters")?;
    run.expect("counters")
        .sequence([
            read("BAR0+0x60").width(8),
            read("BAR0+0x60").width(4),
            read("BAR0+0x64").width(4),
            write("BAR0.TRIGGER").value(3),
            read("BAR0.EVENTS").value(2),
            read("BAR0.EVENTS").value(0),
        ])
        .assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn each_refused_access_says_why() -> Result<()> {
    let run = play("refused-accesses")?;
    let scenario = run.expect("refused-accesses");
    let all_ones = 0xffff_ffff;
    scenario
        .sequence([
            read("BAR0.TRIGGER").outcome(Outcome::WriteOnly).value(all_ones),
            read("BAR0+0x1c").outcome(Outcome::Reserved).value(all_ones),
            write("BAR0+0x1c").outcome(Outcome::Reserved),
            write("BAR0.ID").outcome(Outcome::ReadOnly),
            read("BAR0.SCRATCH").width(1).outcome(Outcome::Width).value(0xff),
            read("BAR0+0x9").width(4).outcome(Outcome::Alignment).value(all_ones),
            read("BAR0.SCRATCH").outcome(Outcome::Ok).value(0xc0ff_ee15),
        ])
        .assert_passed();
    scenario.count(access("BAR0").outcome(Outcome::Ok), 3..=3).assert_passed();
    scenario.never(change("BAR0.ID")).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn ports_reach_the_same_register_as_memory() -> Result<()> {
    let run = play("io-bar")?;
    let scenario = run.expect("io-bar");
    scenario
        .sequence([
            write("BAR1.INDEX").value(0x08),
            write("BAR1.DATA").value(0xc0ff_ee16),
            change("BAR0.SCRATCH").value(0xc0ff_ee16),
            read("BAR1.DATA").value(0xc0ff_ee16),
            read("BAR0.SCRATCH").value(0xc0ff_ee16).via(Path::Ioremap),
            any_access().outcome(Outcome::Unclaimed).value(0xffff_ffff).function("registers::io_bar"),
        ])
        .assert_passed();
    scenario.count(access("BAR1").cpl(0).function("registers::io_bar"), 3..=3).assert_passed();
    Ok(())
}
