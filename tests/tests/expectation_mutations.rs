//! Do the shipped expectation files pass for the right reason? Each of their clauses has a mutation of the trace
//! that breaks it. `--nocapture` shows which.
//!
//! The files for the Linux guest are held in `linux.rs`, where their trace is.

use anyhow::{Result, ensure};
use barscope_bench::Bench;
use barscope_bench::expectations::{TWO_VCPUS, files};
use barscope_bench::falsify::each_clause_can_fail;

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn each_clause_for_the_test_kernel_can_fail() -> Result<()> {
    let run = Bench::test_kernel().run()?;
    let mut wrong = Vec::new();
    for file in files()? {
        match each_clause_can_fail(&run.trace, &file) {
            Ok(report) => println!("{report}"),
            Err(error) => wrong.push(format!("{error:#}")),
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn each_clause_for_two_vcpus_can_fail() -> Result<()> {
    let run = Bench::test_kernel().cpus(2).scenario("two-vcpus").run()?;
    println!("{}", each_clause_can_fail(&run.trace, TWO_VCPUS)?);
    Ok(())
}
