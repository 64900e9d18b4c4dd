//! What do `explain` and `maps` say about a real run, and about a file that holds no such record?

use anyhow::{Context, Result};
use barscope_analysis::view::{Place, View};
use barscope_bench::command::Session;
use barscope_trace::EventKind;
use barscope_trace::definition::Path;
use barscope_trace::event::Counted;
use serde_json::{Value, json};

/// A folder with the trace of these scenarios.
fn played(scenarios: &[&str]) -> Result<Session> {
    let session = Session::new()?;
    let mut arguments = vec!["run", "--quiet"];
    arguments.extend(scenarios.iter().flat_map(|name| ["--scenario", name]));
    let ended = session.run(&arguments)?;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    Ok(session)
}

/// What a command prints that has to pass.
fn output(session: &Session, arguments: &[&str]) -> Result<String> {
    let ended = session.run(arguments)?;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{arguments:?}");
    Ok(ended.stdout)
}

/// The first write to SCRATCH in a scenario by this path.
fn scratch_write(session: &Session, scenario: &str, path: Path) -> Result<u64> {
    let trace = session.trace()?;
    let wanted = |view: &&View| {
        view.scenario.as_deref() == Some(scenario)
            && view.access().is_some_and(|access| {
                let register = access.place().and_then(Place::register_name);
                access.write && access.path() == path && register.as_deref() == Some("SCRATCH")
            })
    };
    let found = trace.views().all().iter().find(wanted).map(|view| view.seq);
    found.context("no such write")
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_comparison_answers_how_ioremap_and_mmap_differ() -> Result<()> {
    let session = played(&["same-register", "no-kernel-entry"])?;
    let left = scratch_write(&session, "same-register", Path::Ioremap)?.to_string();
    let right = scratch_write(&session, "no-kernel-entry", Path::Mmap)?.to_string();
    let arguments = ["explain", "barscope.trace", "--compare", &left, &right];
    let text = output(&session, &arguments)?;
    let verdict = "Both reached fe000008, which is BAR0.SCRATCH of 00:04.0 lab. They differ in: privilege, virtual \
                   address, mapping, page-table bit U, rights.";
    assert!(text.replace('\n', " ").contains(verdict), "{text}");
    let json: Value =
        serde_json::from_str(&output(&session, &[&arguments[..], &["--format", "json"]].concat())?)?;
    let rows = json["rows"].as_array().context("rows")?;
    let row = |label: &str| rows.iter().find(|row| row["label"] == label).context(label.to_owned());
    for label in ["physical", "memory type", "KVM exit", "route", "register", "page", "filled"] {
        assert_eq!(row(label)?["same"], true, "{label}");
    }
    for label in ["privilege", "virtual", "mapping", "rights"] {
        assert_eq!(row(label)?["same"], false, "{label}");
    }
    assert_eq!(row("PT")?["bits"], json!(["U"]));
    let entries = row("kernel entry")?["right"].to_string();
    assert!(entries.contains("0 kernel entries counted by the guest"), "{entries}");
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn an_access_is_explained_from_its_line_to_the_handlers_answer() -> Result<()> {
    let session = played(&["interrupt"])?;
    let trace = session.trace()?;
    let msi = |view: &&View| matches!(view.kind, EventKind::Msi { .. });
    let msi = trace.views().all().iter().find(msi).context("no MSI")?;
    let start = msi.cause().context("no cause")?.to_string();
    let json: Value =
        serde_json::from_str(&output(&session, &["explain", "barscope.trace", &start, "--format", "json"])?)?;
    assert_eq!(json["record"]["code"]["function"], "lab::start_factorial");
    let tables: Vec<_> = json["access"]["page_table"]["entries"]
        .as_array()
        .context("entries")?
        .iter()
        .map(|e| &e["table"])
        .collect();
    assert_eq!(tables, ["PML4", "PDPT", "PD", "PT"]);
    assert_eq!(json["access"]["exit"], "KVM_EXIT_MMIO");
    assert_eq!(
        (&json["access"]["register"]["old"], &json["access"]["register"]["new"]),
        (&json!("0x0"), &json!("0x1"))
    );
    let followed: Vec<_> =
        json["followed"].as_array().context("followed")?.iter().map(|v| &v["event"]).collect();
    let at = |event: &str| followed.iter().position(|known| *known == event).context(event.to_owned());
    assert!(at("busy")? < at("msi")? && at("msi")? < at("isr-enter")? && at("isr-enter")? < at("access")?);
    // The interrupt leads to the same access.
    let text = output(&session, &["explain", "barscope.trace", &msi.seq.to_string()])?;
    assert!(text.contains(&format!("caused by      record {start}: W4 BAR0.OPCODE 0x1 FACTORIAL")), "{text}");
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn every_record_of_a_run_of_all_scenarios_is_explained() -> Result<()> {
    let session = played(&[])?;
    let trace = session.trace()?;
    // A few of each kind: explaining one reads the whole trace.
    let mut seen = std::collections::HashMap::new();
    for event in trace.events() {
        let count: &mut u32 = seen.entry(std::mem::discriminant(&event.kind)).or_default();
        *count += 1;
        if *count <= 4 || event.seq % 50 == 0 {
            let explanation = barscope_analysis::explain::explain(trace.info().path, event.seq)?;
            assert_eq!(explanation.record.seq, event.seq);
            barscope_analysis::explain::print(&mut std::io::sink(), &explanation, 80, false)?;
        }
    }
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn maps_tell_who_made_each_mapping_and_what_for() -> Result<()> {
    let session = played(&["mmap-by-fault", "no-kernel-entry", "bar-moved"])?;
    let json: Value =
        serde_json::from_str(&output(&session, &["maps", "barscope.trace", "--format", "json"])?)?;
    let resources = json["maps"]["resources"].as_array().context("resources")?;
    let bar0: Vec<_> = resources
        .iter()
        .filter(|resource| resource["bdf"] == "00:04.0" && resource["region"] == "BAR0")
        .collect();
    let addresses: Vec<_> = bar0.iter().map(|resource| &resource["register"]).collect();
    assert_eq!(addresses, ["0xfe000000", "0xfe800000"]);
    let mappings = bar0[0]["mappings"].as_array().context("mappings")?;
    let by = |who: &str| mappings.iter().find(|mapping| mapping["who"] == who).context(who.to_owned());
    let (touched, thousand) = (by("user 1")?, by("user 2")?);
    assert_eq!((&touched["faults_resolved"], &touched["on_fault"]), (&json!(1), &json!(true)));
    assert_eq!((&thousand["accesses"], &thousand["kernel_entries"]), (&json!(1000), &json!(0)));
    assert!(mappings.iter().any(|mapping| mapping["unclaimed"] == 1), "none used after the move");
    // Records named are records of the trace.
    let trace = session.trace()?;
    let made = trace.event(thousand["made"].as_u64().context("made")?).context("no such record")?;
    assert!(matches!(made.kind, EventKind::Map { .. }));
    let entries = |event: &barscope_trace::Event| {
        matches!(event.kind, EventKind::Count { what: Counted::KernelEntries, value: 0, .. })
    };
    assert!(trace.events().iter().any(entries));
    Ok(())
}

#[test]
fn a_wrong_file_is_one_clear_error() -> Result<()> {
    let session = Session::new()?;
    session.file("text", b"no trace at all")?;
    session.file("empty", b"")?;
    for (file, error) in [
        ("text", "text is no barscope trace"),
        ("empty", "empty is no barscope trace"),
        ("none", "cannot read the trace none"),
    ] {
        for arguments in
            [vec!["maps", file], vec!["explain", file, "1"], vec!["explain", file, "--compare", "1", "2"]]
        {
            let ended = session.run(&arguments)?;
            assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{arguments:?}");
            assert!(ended.stderr.starts_with(&format!("error: {error}")), "{}", ended.stderr);
            assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        }
    }
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_record_that_is_not_there_names_those_that_are() -> Result<()> {
    let session = played(&["probe"])?;
    let last = session.trace()?.events().last().context("no events")?.seq;
    let ended = session.run(&["explain", "barscope.trace", "999999"])?;
    assert_eq!(ended.code, Some(2));
    assert_eq!(
        ended.stderr,
        format!("error: barscope.trace has no record 999999: it holds records 1 to {last}\n")
    );
    Ok(())
}
