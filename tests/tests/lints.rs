//! Do lints find what drivers get wrong, and leave alone what is right?
//!
//! docs/lints.md is made from their texts: `BARSCOPE_WRITE=1 cargo test -p barscope-bench --test lints` writes it anew.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};
use barscope_analysis::lint;
use barscope_bench::command::Session;
use barscope_guest_abi::bug::Bug;
use serde_json::Value;

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/lints.md");
const IMPORTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../vmm/import/tests/data");

/// Scenarios of the test kernel that are about a mistake, each with the lint that finds it there and why it stays.
const MEANT: [(&str, &str, &str); 11] = [
    ("asleep", "d3hot", "shows what a read gives in D3hot"),
    ("decode-off", "decode-off", "shows what a read gives with Memory Space off"),
    ("mmap-range", "map-past-end-unchecked", "shows a mapping that leaves the BAR"),
    ("no-bus-master", "dma-without-bus-mastering", "shows a transfer that can't leave"),
    ("reserved-write", "refused-accesses", "shows what the device refuses"),
    ("write-only-read", "refused-accesses", "shows what the device refuses"),
    ("wrong-width", "refused-accesses", "shows what the device refuses"),
    ("sub-page-leak", "sub-page-bar", "shows a page with two BARs in it"),
    ("reserved-write", "every-bar", "reads the last word of each BAR, register or not"),
    ("write-only-read", "every-bar", "reads the first word of each BAR, readable or not"),
    ("torn-64", "counters", "reads the counter by halves to show that the device keeps them together"),
];

/// The same of Linux's scenarios.
const MEANT_IN_LINUX: [(&str, &str, &str); 2] = [
    ("no-bus-master", "dma", "switches Bus Master off behind the driver's back"),
    (
        "wrong-width",
        "unbind-in-use",
        "reads a file into mapped registers, which the kernel does byte by byte",
    ),
];

/// Mistakes of the test kernel's driver that lints find, besides what they find of scenarios.
const CAUGHT: [(Bug, &str); 4] = [
    (Bug::WrongWidth, "wrong-width"),
    (Bug::ReservedRegister, "reserved-write"),
    (Bug::MappedCached, "memory-type"),
    (Bug::DmaBeforeBusMastering, "no-bus-master"),
];

/// A line for each finding.
fn findings(session: &Session, trace: &str) -> Result<Vec<Value>> {
    let ended = session.run(&["lint", trace, "--format", "json"])?;
    ensure!(ended.code == Some(0), "exit code {:?}: {}", ended.code, ended.stderr);
    let lines: Vec<Value> = ended.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let (end, findings) = lines.split_last().context("nothing was printed")?;
    ensure!(end["event"] == "lint" && end["more"] == 0, "{end}");
    Ok(findings.to_vec())
}

/// Findings as lint, scenario, register and code.
fn names(findings: &[Value]) -> BTreeSet<[String; 4]> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = |it: &Value| ["lint", "scenario", "register", "code"].map(|key| text(&it[key]));
    findings.iter().map(name).collect()
}

#[test]
fn the_docs_are_the_texts_of_the_lints() -> Result<()> {
    let expected = lint::markdown();
    if std::env::var_os("BARSCOPE_WRITE").is_some() {
        fs::write(DOCS, &expected)?;
    }
    let found = fs::read_to_string(DOCS).with_context(|| DOCS.to_owned())?;
    assert!(found == expected, "{DOCS} is out of date: BARSCOPE_WRITE=1 writes it anew");
    Ok(())
}

#[test]
fn the_command_that_a_lint_names_makes_a_trace_that_shows_it_and_nothing_else() -> Result<()> {
    let mut shown = BTreeSet::new();
    for about in lint::all() {
        let Some(command) = about.shown_by.filter(|command| command.starts_with("barscope poke ")) else {
            continue;
        };
        let session = Session::new()?;
        let words: Vec<_> = command.split(' ').skip(1).collect();
        let ended = session.run(&words)?;
        ensure!(ended.code == Some(0), "{command}: {}", ended.stderr);
        let found: BTreeSet<_> =
            names(&findings(&session, "t")?).into_iter().map(|[lint, ..]| lint).collect();
        assert_eq!(found, BTreeSet::from([about.name.to_owned()]), "{command}");
        shown.insert(about.name);
    }
    let expected = ["msix-live-edit", "no-bus-master", "reserved-write", "write-only-read", "wrong-width"];
    assert_eq!(shown, BTreeSet::from(expected));
    Ok(())
}

#[test]
fn a_finding_fails_the_command_if_it_is_denied() -> Result<()> {
    let session = Session::new()?;
    assert_eq!(session.run(&["poke", "lab", "read1", "BAR0.SCRATCH", "--trace", "bad"])?.code, Some(0));
    assert_eq!(session.run(&["poke", "lab", "read", "BAR0.SCRATCH", "--trace", "good"])?.code, Some(0));
    let code = |arguments: &[&str]| -> Result<Option<i32>> {
        Ok(session.run(&[&["lint"], arguments].concat())?.code)
    };
    assert_eq!(code(&["bad"])?, Some(0));
    assert_eq!(code(&["good", "bad", "--deny", "certain"])?, Some(1));
    assert_eq!(code(&["bad", "--deny", "likely"])?, Some(1));
    assert_eq!(code(&["good", "--deny", "likely"])?, Some(0));
    assert_eq!(code(&["no-such-trace"])?, Some(2));
    assert_eq!(code(&[])?, Some(2));
    let explained = session.run(&["lint", "--explain", "torn-64"])?;
    assert!(
        explained.stdout.starts_with("## torn-64\n\n64-bit register read in halves"),
        "{}",
        explained.stdout
    );
    let unknown = session.run(&["lint", "--explain", "torn-65"])?;
    assert_eq!(
        (unknown.code, unknown.stderr.as_str()),
        (Some(2), "error: there is no lint torn-65; did you mean torn-64?\n")
    );
    let listed = session.run(&["lint", "--list"])?;
    assert_eq!(listed.stdout.lines().count(), 14);
    Ok(())
}

#[test]
fn what_an_expectation_file_allows_is_counted_and_what_it_allows_in_vain_is_told() -> Result<()> {
    let session = Session::new()?;
    assert_eq!(session.run(&["poke", "lab", "read1", "BAR0.SCRATCH", "--trace", "bad"])?.code, Some(0));
    assert_eq!(session.run(&["poke", "lab", "read", "BAR0.SCRATCH", "--trace", "good"])?.code, Some(0));
    let allow = "allow wrong-width on BAR0.SCRATCH because \"a test\"\n";
    let stale = "# Gone since.\nallow torn-64 on BAR0.COUNTER because \"another\"\n";
    fs::write(session.path("meant.expect"), allow)?;
    fs::write(session.path("stale.expect"), stale)?;
    fs::write(session.path("wrong.expect"), "allow wrong-width on BAR0.SCRATCH\n")?;
    for (arguments, code, stdout) in [
        (&["bad", "--expect", "meant.expect", "--deny", "likely"][..], 0, "no findings; 1 allowed\n"),
        (
            &["bad", "--expect", "meant.expect", "--expect", "stale.expect"],
            0,
            "no findings; 1 allowed\nunused allow torn-64 on BAR0.COUNTER at stale.expect:2\n",
        ),
        (
            &["bad", "--expect", "meant.expect", "--expect", "stale.expect", "--deny", "certain"],
            1,
            "no findings; 1 allowed\nunused allow torn-64 on BAR0.COUNTER at stale.expect:2\n",
        ),
        (
            &["good", "bad", "--expect", "meant.expect", "--deny", "certain"],
            0,
            "good:\n\nno findings\nbad:\n\nno findings; 1 allowed\n",
        ),
    ] {
        let ended = session.run(&[&["lint"], arguments].concat())?;
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), stdout), "{arguments:?} {}", ended.stderr);
    }
    let json = session.run(&["lint", "good", "--expect", "meant.expect", "--format", "json"])?.stdout;
    let last: Value = serde_json::from_str(json.lines().last().context("nothing was printed")?)?;
    let expected = serde_json::json!({
        "event": "unused-allow", "lint": "wrong-width", "register": "BAR0.SCRATCH", "scenario": null, "reason": "a test",
        "file": "meant.expect", "line": 1,
    });
    assert_eq!(last, expected);
    let wrong = session.run(&["lint", "bad", "--expect", "wrong.expect"])?;
    let why = "wrong.expect:1:34: expected \"because\" and the reason in quotes, found the end\n";
    assert!(wrong.code == Some(2) && wrong.stderr.contains(why), "{}", wrong.stderr);
    // A file that only allows has nothing to check.
    let check = session.run(&["check", "bad", "meant.expect"])?;
    let why = "error: no test in these files: what their lines allow is for `barscope lint`\n";
    assert_eq!((check.code, check.stderr.as_str()), (Some(2), why));
    fs::write(session.path("both.expect"), format!("{allow}test \"a\"\n  read BAR0.SCRATCH exactly 1 times\n"))?;
    assert_eq!(session.run(&["check", "bad", "both.expect"])?.code, Some(0));
    Ok(())
}

#[test]
fn a_trace_of_another_tracer_is_not_judged_by_what_it_does_not_tell() -> Result<()> {
    let session = Session::new()?;
    let inputs: [(&str, &str, &[&str]); 3] = [
        ("driver.mmiotrace", "mmiotrace", &[]),
        ("edu.qemu", "qemu", &["--bar", "0=edu-mmio"]),
        ("edu.rwmmio", "rwmmio", &["--bar", "0=0xffff800010000000"]),
    ];
    for (file, from, bar) in inputs {
        let input = format!("{IMPORTED}/{file}");
        let import = ["import", &input, "--from", from, "--device", "edu", "-o", file];
        let ended = session.run(&[&import, bar].concat())?;
        ensure!(ended.code == Some(0), "{file}: {}", ended.stderr);
        let ended = session.run(&["lint", file, "--format", "json"])?;
        let end: Value = serde_json::from_str(ended.stdout.lines().last().context("nothing was printed")?)?;
        let blind = end["not_judged"].as_array().context("a list")?;
        let blind: Vec<_> = blind.iter().filter_map(|it| it["lint"].as_str()).collect();
        for lint in ["config-w1c-merge", "memory-type", "mmap-range", "no-bus-master", "stolen-clear-on-read"]
        {
            assert!(blind.contains(&lint), "{file}: {blind:?}");
        }
        assert_eq!((&end["certain"], &end["likely"]), (&0.into(), &0.into()), "{file}: {}", ended.stdout);
    }
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn scenarios_have_no_findings_but_what_they_are_about() -> Result<()> {
    let session = Session::new()?;
    let ended = session.run(&["run", "--quiet", "--lint=certain", "--trace", "t"])?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stdout.contains("torn-64, likely: BAR0.COUNTER of 00:04.0 lab"), "{}", ended.stdout);
    let found = names(&findings(&session, "t")?);
    let found: BTreeSet<_> =
        found.iter().map(|[lint, scenario, ..]| (lint.as_str(), scenario.as_str())).collect();
    assert_eq!(found, MEANT.iter().map(|(lint, scenario, _)| (*lint, *scenario)).collect());
    Ok(())
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn a_driver_of_linux_has_no_findings_but_in_scenarios_that_are_about_them() -> Result<()> {
    let session = Session::new()?;
    let ended = session.run(&["run", "--guest", "linux", "--nested", "--quiet", "--trace", "t"])?;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let found = names(&findings(&session, "t")?);
    let found: BTreeSet<_> =
        found.iter().map(|[lint, scenario, ..]| (lint.as_str(), scenario.as_str())).collect();
    assert_eq!(found, MEANT_IN_LINUX.iter().map(|(lint, scenario, _)| (*lint, *scenario)).collect());
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn mistakes_of_a_driver_are_found_that_the_clean_one_has_not() -> Result<()> {
    let session = Session::new()?;
    assert_eq!(session.run(&["run", "--quiet", "--trace", "clean"])?.code, Some(0));
    let clean = names(&findings(&session, "clean")?);
    for bug in Bug::ALL {
        // Some wait for ever for what never comes.
        let run = ["run", "--quiet", "--timeout", "10", "--bug", bug.name(), "--trace", bug.name()];
        session.run(&run)?;
        let all = names(&findings(&session, bug.name())?);
        let more: BTreeSet<_> = all.difference(&clean).map(|[lint, ..]| lint.as_str()).collect();
        let expected = CAUGHT.iter().filter(|(of, _)| *of == bug).map(|(_, lint)| *lint).collect();
        assert_eq!(more, expected, "--bug {}", bug.name());
    }
    Ok(())
}
