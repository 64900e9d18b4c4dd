//! Does a device stay usable whatever it is told?

use anyhow::Result;
use barscope_bench::Bench;
use barscope_devices::catalog;
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
