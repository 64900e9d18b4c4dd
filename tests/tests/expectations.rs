//! The test kernel's scenarios, held by expectation files. Each run leaves a JUnit report in Cargo's folder for
//! what integration tests leave, `target/tmp`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use barscope_analysis::assert::{Suite, Window};
use barscope_analysis::expectation;
use barscope_bench::command::{Ended, Session};
use barscope_bench::expectations::{TWO_VCPUS, files, root};
use barscope_guest_abi::scenario::SCENARIOS;
use quick_junit::{Report, TestCaseStatus};

fn suite(file: &str) -> Result<Suite> {
    let text = fs::read_to_string(root().join(file))?;
    expectation::parse(file, &text).map_err(|diagnostic| anyhow::anyhow!(diagnostic.show(file, &text)))
}

/// Runs the test kernel with `files` and `options`; every test has to pass, and the report to say so.
fn hold(files: &[String], options: &[&str], report: &str) -> Result<()> {
    let session = Session::new()?;
    let report = Path::new(env!("CARGO_TARGET_TMPDIR")).join(report);
    let trace = session.path("barscope.trace");
    let mut command = session.barscope(&["run", "--quiet"])?;
    command.current_dir(root()).args(options).arg("--trace").arg(trace).arg("--junit").arg(&report);
    for file in files {
        command.args(["--expect", file]);
    }
    let Ended { code, stdout, stderr } = command.output()?.into();
    ensure!(code == Some(0), "exit code {code:?}\n{stdout}{stderr}");

    let report = Report::deserialize_from_str(&fs::read_to_string(report)?)?;
    let others: Vec<_> =
        report.test_suites.iter().skip(files.len()).map(|suite| suite.name.as_str()).collect();
    assert_eq!(others, ["scenarios", "guest"]);
    assert_eq!((report.failures, report.errors), (0, 0));
    for (file, junit) in files.iter().zip(&report.test_suites) {
        let expected: Vec<_> = suite(file)?.tests.into_iter().map(|test| test.name).collect();
        let reported: Vec<_> = junit.test_cases.iter().map(|case| case.name.as_str()).collect();
        ensure!(junit.name.as_str() == file && reported == expected, "{file}: {reported:?}");
        let passed = |case: &quick_junit::TestCase| matches!(case.status, TestCaseStatus::Success { .. });
        ensure!(junit.test_cases.iter().all(passed), "{file} is reported as failed");
    }
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn the_scenarios_are_as_expected() -> Result<()> {
    hold(&files()?, &[], "expectations.xml")
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn the_scenario_of_two_vcpus_is_as_expected() -> Result<()> {
    let options = ["--cpus", "2", "--scenario", "two-vcpus"];
    hold(&[TWO_VCPUS.to_owned()], &options, "expectations-two-vcpus.xml")
}

/// Verdicts of a run, whose guest a violation may have stopped, and those of whoever reads its trace.
#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_run_and_a_later_check_say_the_same() -> Result<()> {
    let session = Session::new()?;
    let text = "window typo = mark \"begn\" .. end\ntest \"passes\" in scenario probe\n  read BAR0.ID in lab::probe at least 1\n\
                test \"fails\" in scenario probe\n  never read BAR0.VERSION in lab::probe\n\
                test \"is open\"\n  never mark \"begn\"\ntest \"never begins\"\n  in typo: access at least 1\n";
    session.file("t.expect", text.as_bytes())?;
    let clauses = |ended: &Ended| {
        let clauses = ended.stdout.lines().filter(|line| line.contains("\"event\":\"clause\""));
        clauses.map(str::to_owned).collect::<Vec<_>>()
    };
    for options in [&["--scenario", "probe"][..], &[]] {
        let run = [&["run", "--format", "json", "--expect", "t.expect"], options].concat();
        let ran = session.run(&run)?;
        let checked = session.run(&["check", "barscope.trace", "t.expect", "--format", "json"])?;
        assert_eq!((ran.code, checked.code), (Some(1), Some(1)), "{}", ran.stderr);
        assert_eq!(clauses(&ran), clauses(&checked));
        assert_eq!(clauses(&ran).len(), 4, "{}", ran.stdout);
        ensure!(clauses(&ran)[1].contains("\"verdict\":\"fail\""), "{:?}", clauses(&ran));
    }
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel"]
fn nested_the_scenarios_are_as_expected() -> Result<()> {
    hold(&files()?, &["--nested"], "expectations-nested.xml")
}

#[test]
#[ignore = "needs QEMU and Debian's kernel"]
fn nested_the_scenario_of_two_vcpus_is_as_expected() -> Result<()> {
    let options = ["--nested", "--cpus", "2", "--scenario", "two-vcpus"];
    hold(&[TWO_VCPUS.to_owned()], &options, "expectations-nested-two-vcpus.xml")
}

#[test]
fn every_scenario_is_held_by_an_expectation() -> Result<()> {
    let mut held = BTreeSet::new();
    for file in files()?.iter().map(String::as_str).chain([TWO_VCPUS]) {
        let clauses =
            suite(file).context("an expectation file")?.tests.into_iter().flat_map(|test| test.clauses);
        held.extend(clauses.filter_map(|placed| match placed.window {
            Window::Scenario(name) => Some(name),
            _ => None,
        }));
    }
    let all: BTreeSet<_> = SCENARIOS.iter().map(|scenario| scenario.name.to_owned()).collect();
    assert_eq!(held, all);
    Ok(())
}
