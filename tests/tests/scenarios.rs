//! What holds for all scenarios. What each one shows is held by the files in `tests/expect`.

use anyhow::Result;
use barscope_analysis::filter::Filter;
use barscope_bench::Bench;
use barscope_guest_abi::scenario::{Needs, SCENARIOS};
use barscope_vmm::Stop;

#[test]
#[ignore = "needs /dev/kvm"]
fn every_access_of_the_test_kernel_is_resolved_to_instruction_function_and_mapping() -> Result<()> {
    let run = Bench::test_kernel().run()?;
    let mut accesses = 0;
    for view in run.trace.views().all() {
        let Some(access) = view.access() else { continue };
        accesses += 1;
        let code = access.code();
        assert!(code.is_some_and(|code| !code.ambiguous), "record {}: no instruction", view.seq);
        assert!(access.function().is_some(), "record {}: no function", view.seq);
        if access.gpa().is_some() {
            assert!(access.announced(), "record {}: no announced mapping", view.seq);
        }
    }
    assert!(accesses > 1000, "{accesses} accesses");
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn all_scenarios_pass_in_one_run() -> Result<()> {
    let run = Bench::test_kernel().run()?;
    assert!(matches!(run.stop, Stop::Exit { status: 0 }), "{:?}", run.stop);
    let passed = Filter::parse("scenario-end passed").unwrap();
    for scenario in SCENARIOS.iter().filter(|scenario| scenario.needs != Needs::SecondCpu) {
        run.expect(scenario.name).count(passed.clone(), 1..=1).assert_passed();
    }
    Ok(())
}
