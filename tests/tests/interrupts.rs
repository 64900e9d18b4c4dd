//! Messages and pins: which came, which waited, and whose they were.

use anyhow::Result;
use tests::play;
use trace::assert::{access, interrupt_masked, intx, msi, read, write};

/// Causes 0, 2 and 4 are set at once; 2 is masked until the others were handled.
fn check_masked_vector(scenario: &'static str) -> Result<()> {
    let run = play(scenario)?;
    let expect = run.expect(scenario);
    let handled =
        |name: &str| write("BAR0.INT_STATUS").field(name, 1).function("vectors::isr_of_vector").in_handler();
    expect
        .sequence([
            write("BAR0.TRIGGER").value(0x15),
            msi(0).delivered(true).vector(0x30),
            msi(4).delivered(true).vector(0x34),
            interrupt_masked(2),
            handled("FIFO"),
            handled("DONE"),
            msi(2).delivered(true).vector(0x32),
            handled("DMA"),
        ])
        .assert_passed();
    for (index, count) in [(0, 1), (1, 0), (2, 1), (3, 0), (4, 1)] {
        expect.count(msi(index), count..=count).assert_passed();
    }
    expect.count(interrupt_masked(2), 1..=1).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn each_cause_has_its_message_and_a_masked_one_waits() -> Result<()> {
    check_masked_vector("msi-vectors")
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_masked_entry_of_the_table_is_pending_until_its_mask_goes() -> Result<()> {
    check_masked_vector("msi-x")?;
    let run = play("msi-x")?;
    run.expect("msi-x")
        .sequence([
            write("BAR4.MSIX2_CONTROL").field("MASK", 1),
            interrupt_masked(2),
            read("BAR4.MSIX_PENDING").value(0x4),
            write("BAR4.MSIX2_CONTROL").field("MASK", 0),
            msi(2),
            read("BAR4.MSIX_PENDING").value(0),
        ])
        .assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn on_a_shared_line_each_handler_finds_out_whose_interrupt_it_is() -> Result<()> {
    let run = play("shared-line")?;
    let scenario = run.expect("shared-line");
    let lab_asked = |done| {
        read("BAR0.INT_STATUS").device("lab").field("DONE", done).function("pin::isr_on_pin").in_handler()
    };
    let ticker_asked =
        |tick| read("BAR0.STATUS").device("ticker").field("TICK", tick).function("ticker::isr").in_handler();
    scenario
        .sequence([
            // The ticker alone.
            intx(true).device("ticker"),
            lab_asked(0),
            ticker_asked(1),
            intx(false).device("ticker"),
            // The lab alone.
            intx(true).device("lab"),
            lab_asked(1),
            intx(false).device("lab"),
            ticker_asked(0),
            // Both: the line stays until the second has been acknowledged.
            intx(true).device("ticker"),
            intx(true).device("lab"),
            lab_asked(1),
            intx(false).device("lab"),
            ticker_asked(1),
            intx(false).device("ticker"),
        ])
        .assert_passed();
    for device in ["lab", "ticker"] {
        scenario.count(intx(true).device(device), 2..=2).assert_passed();
        scenario.count(intx(false).device(device), 2..=2).assert_passed();
    }
    scenario.never(msi(0)).assert_passed();
    scenario.never(access("BAR0").cpl(3)).assert_passed();
    Ok(())
}
