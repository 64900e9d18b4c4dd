//! DMA: where to, how much, why not, and that its interrupt says so.

use anyhow::Result;
use tests::{Run, play};
use trace::assert::{busy, dma, msi, read, write};
use trace::event::DmaOutcome;
use trace::view::What;

/// Direction (to memory), length and outcome of each transfer, and the register whose write caused it.
fn transfers(run: &Run) -> Vec<(bool, u64, DmaOutcome, Option<String>)> {
    let views = run.trace.views();
    let all = views.all().iter().filter_map(|view| match view.what {
        What::Dma { to_memory, length, outcome, cause, .. } => {
            let place = views.get(cause).and_then(|cause| cause.access()?.place.clone());
            let register = place.and_then(|place| place.register_name().map(|name| name.to_string()));
            Some((to_memory, length, outcome, register))
        }
        _ => None,
    });
    all.collect()
}

fn started() -> Option<String> {
    Some("DMA_CONTROL".to_owned())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn dma_goes_both_ways_and_ends_by_an_interrupt() -> Result<()> {
    let run = play("dma-both-ways")?;
    let transfer = |to_memory| {
        [
            write("BAR0.DMA_CONTROL").field("START", 1).field("TO_MEMORY", to_memory).function("dma::start"),
            busy(),
            dma().dma_outcome(DmaOutcome::Done),
            msi(0).delivered(true),
            read("BAR0.INT_STATUS").field("DMA", 1).function("lab::isr").in_handler(),
            write("BAR0.INT_STATUS").field("DMA", 1).in_handler(),
        ]
    };
    let scenario = run.expect("dma-both-ways");
    let end = read("BAR0.DMA_STATUS").field("DONE", 1);
    scenario.sequence(transfer(0).into_iter().chain(transfer(1)).chain([end])).assert_passed();
    assert_eq!(
        transfers(&run),
        [(false, 256, DmaOutcome::Done, started()), (true, 256, DmaOutcome::Done, started())]
    );
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn transfers_that_cannot_be_move_nothing_and_say_why() -> Result<()> {
    let run = play("dma-errors")?;
    let refused = |reason| read("BAR0.DMA_STATUS").field("ERROR", 1).field("REASON", reason);
    run.expect("dma-errors").sequence([1, 2, 3, 5, 5].map(refused)).assert_passed();
    // The device refuses the others before it asks for memory.
    assert_eq!(
        transfers(&run),
        [(false, 256, DmaOutcome::OutOfBounds, started()), (false, 256, DmaOutcome::OutOfBounds, started())]
    );
    Ok(())
}
