//! Do the expectation files catch what drivers get wrong? The test kernel's driver makes each mistake that it
//! can make, and the clause that is meant for it has to be the first that breaks.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use barscope_bench::command::{Ended, Session};
use barscope_bench::expectations::{files, root};
use barscope_guest_abi::bug::Bug;
use serde_json::Value;

/// A mistake, and what catches it: a file, a test and a clause.
struct Catch {
    bug: Bug,
    file: &'static str,
    test: &'static str,
    clause: &'static str,
}

const CATCHES: [Catch; 21] = [
    Catch {
        bug: Bug::NoAcknowledgement,
        file: "tests/expect/interrupts.expect",
        test: "the interrupt is acknowledged in its handler",
        clause: "each msi 0: then write BAR0.INT_STATUS {DONE=1} in handler",
    },
    Catch {
        bug: Bug::StatusReadTwice,
        file: "tests/expect/interrupts.expect",
        test: "the driver asks once how a computation ended",
        clause: "read BAR0.STATUS {DONE=1} in lab::finish exactly 1 time",
    },
    Catch {
        bug: Bug::WrongWidth,
        file: "tests/expect/registers.expect",
        test: "registers are accessed in their width",
        clause: "never access BAR0 not (width == 4",
    },
    Catch {
        bug: Bug::WrongOrder,
        file: "tests/expect/interrupts.expect",
        test: "the interrupt is let through before the computation starts",
        clause: "seq",
    },
    Catch {
        bug: Bug::MissingReadBack,
        file: "tests/expect/interrupts.expect",
        test: "the write that switches the device off is read back",
        clause: "each write BAR0.CONTROL {ENABLE=0}: then read BAR0.CONTROL within 5us",
    },
    Catch {
        bug: Bug::ReservedRegister,
        file: "tests/expect/registers.expect",
        test: "only registers that are there are touched",
        clause: "never access BAR0 outcome == reserved",
    },
    Catch {
        bug: Bug::MappedCached,
        file: "tests/expect/paths.expect",
        test: "registers are mapped uncached",
        clause: "never access BAR0 not pat UC-",
    },
    Catch {
        bug: Bug::WrongVector,
        file: "tests/expect/interrupts.expect",
        test: "the message has the vector of its handler",
        clause: "never msi not vector == 0x31",
    },
    Catch {
        bug: Bug::DmaBeforeBusMastering,
        file: "tests/expect/dma.expect",
        test: "no transfer starts before the function may be a bus master",
        clause: "in not-master: never write BAR0.DMA_CONTROL {START=1}",
    },
    Catch {
        bug: Bug::AccessAfterUnmap,
        file: "tests/expect/paths.expect",
        test: "the driver uses no mapping that is gone",
        clause: "never fault-fatal error-code & 4 == 0",
    },
    Catch {
        bug: Bug::StatusWrittenBack,
        file: "tests/expect/registers.expect",
        test: "Command is written without Status",
        clause: "never write CONFIG.COMMAND width == 4",
    },
    Catch {
        bug: Bug::LiveVector,
        file: "tests/expect/interrupts.expect",
        test: "an entry of the table is written while it is masked",
        clause: "write BAR4.MSIX0_DATA exactly 1 time",
    },
    Catch {
        bug: Bug::EventsTaken,
        file: "tests/expect/interrupts.expect",
        test: "only handlers look for what happened",
        clause: "never read BAR0.EVENTS not in handler",
    },
    Catch {
        bug: Bug::CauseAdded,
        file: "tests/expect/interrupts.expect",
        test: "the handler acknowledges the causes that there are",
        clause: "never write BAR0.INT_STATUS {FIFO=1} in lab::isr",
    },
    Catch {
        bug: Bug::EndlessPoll,
        file: "tests/expect/registers.expect",
        test: "no loop reads one register for ever",
        clause: "never spin",
    },
    Catch {
        bug: Bug::MaskedCause,
        file: "tests/expect/interrupts.expect",
        test: "the handler acknowledges the causes that there are",
        clause: "never write BAR0.INT_STATUS {ERROR=1} in lab::isr",
    },
    Catch {
        bug: Bug::LateAcknowledgement,
        file: "tests/expect/interrupts.expect",
        test: "a pin is taken back by the first handler that is asked",
        clause: "read lab.BAR0.INT_STATUS {DONE=1} in pin::isr_on_pin exactly 2 times",
    },
    Catch {
        bug: Bug::EventLost,
        file: "tests/expect/interrupts.expect",
        test: "the handler acknowledges the causes that there are",
        clause: "never change BAR0.INT_STATUS {FIFO=1}",
    },
    Catch {
        bug: Bug::TransferLeft,
        file: "tests/expect/dma.expect",
        test: "DMA goes both ways, and each ends by its interrupt",
        clause: "dma exactly 2 times",
    },
    Catch {
        bug: Bug::OffsetIgnored,
        file: "tests/expect/paths.expect",
        test: "the offset that mmap is given chooses the page",
        clause: "read BAR2+0x1000 == 0xc0ffee13 by user via mmap exactly 1 time",
    },
    Catch {
        bug: Bug::ResultTrusted,
        file: "tests/expect/interrupts.expect",
        test: "a result isn't given back to the device",
        clause: "write BAR0.OPERAND exactly 1 time",
    },
];

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn each_mistake_is_caught_by_the_clause_meant_for_it() -> Result<()> {
    for catch in &CATCHES {
        check(catch).with_context(|| format!("--bug {}", catch.bug.name()))?;
    }
    Ok(())
}

#[test]
fn every_mistake_has_a_clause_meant_for_it() {
    let names = |bugs: &[Bug]| bugs.iter().map(|bug| bug.name()).collect::<BTreeSet<_>>();
    let caught = CATCHES.map(|catch| catch.bug);
    assert_eq!(names(&caught), names(&Bug::ALL));
    let clauses: BTreeSet<_> = CATCHES.iter().map(|catch| (catch.file, catch.test, catch.clause)).collect();
    assert_eq!(clauses.len(), CATCHES.len(), "a clause can't be meant for two");
}

/// Runs the test kernel with its bug and all files: the run fails, and what breaks first is the clause.
fn check(catch: &Catch) -> Result<()> {
    let session = Session::new()?;
    let mut command = session.barscope(&["run", "--quiet", "--format", "json", "--bug", catch.bug.name()])?;
    command.current_dir(root()).arg("--trace").arg(session.path("barscope.trace"));
    for file in files()? {
        command.args(["--expect", &file]);
    }
    let Ended { code, stdout, stderr } = command.output()?.into();
    ensure!(code == Some(1), "exit code {code:?}\n{stdout}{stderr}");

    let lines = stdout.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    // Until it is stopped, the guest may break more.
    let failed: Vec<_> = lines.iter().filter(|line| line["verdict"] == "fail").collect();
    let first = failed.iter().filter_map(|line| line["record"].as_u64()).min().context("nothing failed")?;
    let broken: Vec<_> = failed.into_iter().filter(|line| line["record"] == first).collect();
    let [broken] = broken[..] else { anyhow::bail!("several break at once: {broken:#?}") };
    ensure!(broken["file"] == catch.file && broken["test"] == catch.test, "something else broke: {broken:#}");
    let line = broken["line"].as_u64().context("no line")?;
    let text = std::fs::read_to_string(root().join(catch.file))?;
    let written = text.lines().nth(usize::try_from(line)? - 1).context("no such line")?;
    ensure!(written.trim().starts_with(catch.clause), "another clause broke: {written}");
    Ok(())
}
