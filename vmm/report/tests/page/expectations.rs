//! Expectations in the page: what was asked for, where it stands, and what decided.

use std::path::Path;

use anyhow::{Result, anyhow};
use barscope_analysis::check::Expectations;
use barscope_browser::Browser;
use barscope_report::RECORDS_MAX;
use serde_json::json;

use crate::{SAMPLE, text, write_judged};

const TESTS: &str = "\
test \"both sides use one register\" in scenario same-register
  read BAR0.SCRATCH == 0xc0ffee01 by user exactly 1 times
  write BAR0.SCRATCH by user exactly 1 times

test \"the kernel leaves it alone\" in scenario same-register
  never write BAR0.SCRATCH by kernel
";

#[test]
#[ignore = "needs Chromium"]
fn a_clause_that_fails_says_where_it_stands_and_leads_to_the_record_that_decided() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let page = folder.path().join("judged.html");
    let mut expectations = Expectations::default();
    expectations
        .add(Path::new("lab.expect"), TESTS)
        .map_err(|mistake| anyhow!("{}", mistake.show("lab.expect", TESTS)))?;
    write_judged(SAMPLE.as_ref(), &page, RECORDS_MAX, &expectations)?;
    let mut browser = Browser::open(&page, 1200, 900)?;
    assert_eq!(text(&mut browser, "#expected")?, "2 tests of 1 expectation file: 1 failed, 1 passed.");
    assert_eq!(
        browser.evaluate("[...document.querySelectorAll('#outcome a')].map((one) => one.className)")?,
        // Tests, scenarios, and what lints find.
        json!(["bad", "good", "bad"])
    );
    // What failed comes first, unfolded.
    assert_eq!(
        browser.evaluate("[...document.querySelectorAll('.test')].map((one) => [one.open, one.querySelector('summary').innerText])")?,
        json!([
            [true, "failed the kernel leaves it alone lab.expect, 1 clause"],
            [false, "passed both sides use one register lab.expect, 2 clauses"],
        ])
    );
    let failed = text(&mut browser, ".test[open]")?;
    for part in [
        "never write BAR0.SCRATCH cpl == 0",
        "lab.expect:6",
        "In scenario same-register",
        "W4 BAR0.SCRATCH 0xc0ffee01",
    ] {
        assert!(failed.contains(part), "{part:?} is not in {failed}");
    }
    assert_eq!(browser.evaluate("document.querySelector('.decided a').hash")?, "#record-228");
    assert_eq!(browser.complaints, [""; 0]);
    Ok(())
}

#[test]
#[ignore = "needs Chromium"]
fn what_lints_find_is_told_with_its_line_and_leads_to_the_records() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let page = folder.path().join("linted.html");
    write_judged(SAMPLE.as_ref(), &page, RECORDS_MAX, &Expectations::default())?;
    let mut browser = Browser::open(&page, 1200, 900)?;
    let linted = text(&mut browser, "#linted")?;
    assert!(linted.contains(" certain, "), "{linted}");
    let findings = browser.evaluate(
        "[...document.querySelectorAll('#found-by-lints .finding')].map((one) => [one.querySelector('p').innerText, one.querySelector('a').hash])",
    )?;
    let asleep = "certain asleep: BAR0.SCRATCH of 00:04.0 lab";
    let found = findings.as_array().and_then(|all| all.iter().find(|finding| finding[0] == asleep));
    let record = found.and_then(|finding| finding[1].as_str()).unwrap_or_default().to_owned();
    assert!(record.starts_with("#record-"), "{findings}");
    let opened = browser.evaluate(&format!(
        "new Promise((done) => {{ addEventListener('hashchange', () => setTimeout(() => done(document.querySelector('#access').innerText))); location.hash = '{record}'; }})",
    ))?;
    let number = record.trim_start_matches("#record-");
    assert!(opened.as_str().is_some_and(|shown| shown.contains(number)), "{record}: {opened}");
    assert_eq!(browser.evaluate("document.getElementById('findings-link').hidden")?, json!(false));
    assert_eq!(browser.complaints, [""; 0]);
    Ok(())
}
