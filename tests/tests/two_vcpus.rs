//! Two vCPUs that use one device at the same time.

use anyhow::Result;
use barscope_analysis::assert::{access, any_access, map};
use barscope_analysis::filter::Filter;
use barscope_bench::{Bench, Run};
use barscope_guest_abi::scenario::SCENARIOS;
use barscope_trace::EventKind;
use barscope_trace::definition::Path;
use barscope_vmm::Stop;

fn play(cpus: u8) -> Result<Run> {
    Bench::test_kernel().cpus(cpus).scenario("two-vcpus").run()
}

/// What a vCPU did to the device's memory: sequence number, whether it wrote, offset, value.
fn accesses(run: &Run, vcpu: u8) -> Vec<(u64, bool, u64, u64)> {
    let views = run.trace.views().all().iter().filter(|view| view.vcpu == Some(vcpu));
    let accesses = views.filter_map(|view| Some((view.seq, view.access()?)));
    accesses
        .filter_map(|(seq, access)| {
            let place = access.place()?;
            (place.region.to_string() == "BAR2").then_some((seq, access.write, place.offset, access.value))
        })
        .collect()
}

#[test]
#[ignore = "needs /dev/kvm"]
fn each_vcpus_order_is_kept_and_nothing_is_lost() -> Result<()> {
    let run = play(2)?;

    assert!(matches!(run.stop, Stop::Exit { status: 0 }), "{:?}", run.stop);
    assert_eq!(run.trace.info().lost, 0);
    let both = [accesses(&run, 0), accesses(&run, 1)];
    for (made, offset) in both.iter().zip([0x00, 0x40]) {
        let counted = (1..=200).flat_map(|number| [(true, offset, number), (false, offset, number)]);
        let without_seq = made.iter().map(|&(_, write, offset, value)| (write, offset, value));
        assert!(without_seq.eq(counted), "{made:?}");
        assert!(made.is_sorted_by_key(|&(seq, ..)| seq));
    }
    let [first, second] = both.map(|made| (made[0].0, made[made.len() - 1].0));
    assert!(first.0 < second.1 && second.0 < first.1, "{first:?} and {second:?} do not overlap");

    let scenario = run.expect("two-vcpus");
    for (vcpu, who) in [(0, "user 1"), (1, "user 2")] {
        let own = any_access().vcpu(vcpu).cpl(3).via(Path::Mmap).announced().mapped_by(who);
        scenario.count(own.function("user::count_up"), 400..=400).assert_passed();
        scenario.count(map(Path::Mmap).vcpu(vcpu).mapped_by(who), 1..=1).assert_passed();
    }
    scenario.never(access("BAR2").cpl(0)).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn with_one_vcpu_the_scenario_says_what_it_lacks() -> Result<()> {
    let run = play(1)?;

    assert!(matches!(run.stop, Stop::Exit { status: 1 }), "{:?}", run.stop);
    let summaries = run.trace.views().all().iter().filter_map(|view| match view.kind {
        EventKind::ScenarioEnd { passed: false, .. } => view.text().map(str::to_owned),
        _ => None,
    });
    assert_eq!(summaries.collect::<Vec<_>>(), ["there is no second CPU"]);
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn with_all_that_scenarios_need_all_are_played() -> Result<()> {
    let run = Bench::test_kernel().cpus(2).run()?;

    assert!(matches!(run.stop, Stop::Exit { status: 0 }), "{:?}", run.stop);
    let passed = Filter::parse("scenario-end passed").unwrap();
    for scenario in SCENARIOS {
        run.expect(scenario.name).count(passed.clone(), 1..=1).assert_passed();
    }
    Ok(())
}
