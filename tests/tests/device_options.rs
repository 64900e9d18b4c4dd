//! Does a device stay usable whatever it is told?

use anyhow::Result;
use barscope_analysis::assert::read;
use barscope_bench::Bench;
use barscope_device::Entry;
use barscope_devices::catalog;
use barscope_devices::edu::Edu;
use barscope_devices::lab::Lab;
use barscope_devices::ticker::Ticker;
use barscope_trace::EventKind;
use barscope_vmm::Stop;

/// The scenarios that a run left out, by their marks.
fn left_out(run: &barscope_bench::Run) -> Vec<String> {
    let views = run.trace.views();
    let marks = views.all().iter().filter_map(|view| match view.kind {
        EventKind::Mark { .. } => view.text()?.strip_prefix("not played: ").map(str::to_owned),
        _ => None,
    });
    marks.collect()
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn with_any_option_of_the_lab_every_scenario_passes_or_is_left_out() -> Result<()> {
    let lab = catalog::named("lab").expect("the catalog has it");
    for option in &lab.options {
        for value in &option.values {
            let run = Bench::test_kernel().device("lab", &[(&option.name, value)])?.run()?;
            let told = (&option.name, value);
            assert!(
                matches!(run.stop, Stop::Exit { status: 0 }),
                "{told:?}: {:?} at {:?}",
                run.stop,
                run.places
            );
            assert_eq!(run.trace.info().lost, 0, "{told:?}");
        }
    }
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_scenario_that_is_left_out_is_named_with_the_reason() -> Result<()> {
    let run = Bench::test_kernel().device("lab", &[("msix", "off"), ("msi-vectors", "0")])?.run()?;

    assert!(matches!(run.stop, Stop::Exit { status: 0 }), "{:?}", run.stop);
    assert_eq!(
        left_out(&run),
        [
            "interrupt, since the lab has no MSI",
            "map-past-end-unchecked, since the lab has no MSI-X",
            "forgotten-acknowledgement, since the lab has no MSI",
            "dma-both-ways, since the lab has no MSI",
            "bar-overlap, since the lab has no MSI-X",
            "msi-vectors, since the lab has no 8 MSI vectors with mask bits",
            "msi-x, since the lab has no MSI-X",
            "shared-line, since there is no ticker on the lab's interrupt line",
            "sub-page-bar, since there is no ticker on the lab's interrupt line",
            "two-vcpus, since there is no second CPU",
        ]
    );
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn without_a_lab_the_test_kernel_plays_what_any_device_allows() -> Result<()> {
    let run = Bench::test_kernel().device("edu", &[])?.run()?;

    assert!(matches!(run.stop, Stop::Exit { status: 0 }), "{:?}", run.stop);
    assert_eq!(left_out(&run), ["48 scenarios, since there is no lab"]);
    run.expect("every-bar").sequence([read("BAR0.ID").value(0x0100_00ed)]).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_scenario_that_is_asked_for_by_name_fails_without_its_device() -> Result<()> {
    for scenario in ["probe", "interrupt", "half-in-memory", "shared-line", "two-vcpus"] {
        let run = Bench::test_kernel().device("edu", &[])?.scenario(scenario).run()?;

        assert!(matches!(run.stop, Stop::Exit { status: 1 }), "{scenario}: {:?}", run.stop);
        let views = run.trace.views();
        let reason = views.all().iter().find(|view| matches!(view.kind, EventKind::ScenarioEnd { .. }));
        assert_eq!(reason.and_then(|view| view.text()), Some("there is no lab"), "{scenario}");
    }
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn functions_of_one_device_share_its_number_and_nothing_else() -> Result<()> {
    let entry = Entry::of_functions("pair", "a lab and an edu", |_| {
        vec![Box::new(Lab::default()), Box::new(Edu::default()), Box::new(Ticker::default())]
    });
    let run = Bench::test_kernel().entry(entry, &[])?.scenario("probe").scenario("every-bar").run()?;

    assert!(matches!(run.stop, Stop::Exit { status: 0 }), "{:?}", run.stop);
    let functions = run.trace.definitions().functions();
    let functions = functions.map(|(_, function)| format!("{} {}", function.bdf, function.name));
    let expected = ["00:00.0 host-bridge", "00:04.0 lab", "00:04.1 edu", "00:04.2 ticker"];
    assert_eq!(functions.collect::<Vec<_>>(), expected);
    let reads = [read("lab.BAR0.ID").value(0x3142_414c), read("edu.BAR0.ID").value(0x0100_00ed)];
    for read in reads {
        run.expect("every-bar").sequence([read]).assert_passed();
    }
    Ok(())
}
