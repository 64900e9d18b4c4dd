//! What somebody asks who opens the page of the test kernel's scenarios.

use anyhow::Result;
use serde_json::json;

use crate::{opened, text};

#[test]
#[ignore = "needs Chromium"]
fn a_page_opens_from_a_file_and_answers() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut browser = opened(folder.path(), 1200, 900)?;
    let answer = text(&mut browser, "#answer")? + &text(&mut browser, "#compared")?;
    for part in [
        "ioremap(0xfe000000, 0x1000)",
        "mmap(lab, 4096, offset 0x0)",
        "fe000000–fe000fff",
        "BAR0 of lab",
        "ffffc90000001000",
        "0000400000000000",
        "lab::probe, from record 216 to record 240",
        "user 1, from record 232 to record 237",
        "ring 0 only",
        "ring 3 too",
        "both fe000000",
        "both UC- -> UC, uncached: each access goes out by itself, in order",
        "PAT asks UC- (entry 2, PCD), MTRR says UC -> UC",
        "took 1 fault",
        "0 in 1,000 accesses",
        "Here both use SCRATCH",
    ] {
        assert!(answer.contains(part), "{part:?} is not in {answer}");
    }

    let count = "[...document.querySelectorAll('#drawing g[role=button]')].map((one) => one.getAttribute('aria-label'))";
    assert_eq!(
        browser.evaluate(count)?,
        json!([
            "ioremap(0xfe000000, 0x1000) by lab::probe: ffffc90000001000 leads to fe000000 in lab BAR0",
            "mmap(lab, 4096, offset 0x0) by user 1: 0000400000000000 leads to fe000000 in lab BAR0",
        ])
    );
    browser.evaluate("document.querySelector('#drawing g.user').focus()")?;
    let told = text(&mut browser, "#mapping")?;
    assert!(told.contains("user 1") && told.contains("record 237"), "{told}");

    // To the beginning: nothing is decoded yet.
    let slide = "{ const slider = document.getElementById('moment'); slider.value = '0'; slider.dispatchEvent(new Event('input')); }";
    browser.evaluate(slide)?;
    assert_eq!(browser.evaluate("document.querySelectorAll('#drawing g[role=button]').length")?, 0);
    browser.evaluate("document.getElementById('later').click()")?;
    assert!(text(&mut browser, "#moment-text")?.starts_with("Moment 2 of "));

    Ok(())
}

#[test]
#[ignore = "needs Chromium"]
fn a_search_finds_records_and_says_what_is_wrong_with_a_filter() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut browser = opened(folder.path(), 1200, 900)?;
    let search = "{ document.getElementById('filter').value = 'write BAR0.SCRATCH by user'; document.getElementById('search').requestSubmit(); }";
    browser.evaluate(search)?;
    let first = browser.evaluate("document.querySelector('#rows .row').innerText")?.to_string();
    assert!(first.contains("234") && first.contains("W4 BAR0.SCRATCH 0xc0ffee02"), "{first}");
    browser.evaluate("{ document.getElementById('filter').value = 'write ('; document.getElementById('search').requestSubmit(); }")?;
    let wrong = text(&mut browser, "#found")?;
    assert_eq!(wrong, "expected a condition, like read, BAR0.STATUS, cpl == 3, found the end");

    Ok(())
}

#[test]
#[ignore = "needs Chromium"]
fn two_accesses_are_set_side_by_side_with_each_bit_that_differs() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut browser = opened(folder.path(), 1200, 900)?;
    browser.evaluate("new Promise((done) => { addEventListener('hashchange', () => setTimeout(done)); location.hash = 'record-228-234'; })")?;
    let access = text(&mut browser, "#explained")?;
    for part in [
        "228: W4 BAR0.SCRATCH 0xc0ffee01",
        "234: W4 BAR0.SCRATCH 0xc0ffee02",
        "PCD: page cache disable",
        "0x0 → 0xc0ffee01",
    ] {
        assert!(access.contains(part), "{part:?} is not in {access}");
    }
    let marked = browser
        .evaluate("[...document.querySelectorAll('.differs')].map((one) => one.innerText)")?
        .to_string();
    assert!(marked.contains("ring 3, user") && !marked.contains("fe000008"), "{marked}");

    // Ring 3 may use the page of the second: each of its entries says so, and nothing else of them differs.
    let bits = browser.evaluate(
        "[...document.querySelectorAll('.entry .differs')].map((one) => one.innerText.split(':')[0])",
    )?;
    assert_eq!(bits, json!(["not U", "not U", "not U", "not U", "U", "U", "U", "U"]));

    assert_eq!(browser.complaints, [""; 0]);
    Ok(())
}

#[test]
#[ignore = "needs Chromium"]
fn registers_and_scenarios_are_told() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut browser = opened(folder.path(), 1200, 900)?;
    let registers = text(&mut browser, "#heat")?;
    assert!(registers.contains("SCRATCH") && registers.contains("not touched"), "{registers}");
    assert_eq!(text(&mut browser, "#verdict")?, "46 scenarios: 46 passed.");
    let probe = browser.evaluate("document.querySelector('#scenarios tbody tr').innerText")?.to_string();
    assert!(probe.contains("probe") && probe.contains("ID and VERSION read through ioremap"), "{probe}");
    assert_eq!(browser.evaluate("document.querySelector('#scenarios a').hash")?, "#record-190");
    assert_eq!(browser.complaints, [""; 0]);
    Ok(())
}

#[test]
#[ignore = "needs Chromium"]
fn the_slider_tells_where_a_mapping_ends_and_a_process_is_seen_no_more() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut browser = opened(folder.path(), 1200, 900)?;
    // From where user 1 mapped the register to where that is undone.
    browser.evaluate("document.getElementById('later').click()")?;
    let moment = text(&mut browser, "#moment-text")?;
    assert!(
        moment.ends_with("at record 237: unmap mmap(lab, 4096, offset 0x0) by user 1. Nothing more comes of user 1: the process has ended, or is done with the device."),
        "{moment}"
    );
    let ends =
        "[...document.querySelectorAll('#drawing .ends')].map((one) => one.getAttribute('aria-label'))";
    assert_eq!(
        browser.evaluate(ends)?,
        json!([
            "mmap(lab, 4096, offset 0x0) by user 1: 0000400000000000 leads to fe000000 in lab BAR0, undone here"
        ])
    );
    // The kernel's goes next.
    browser.evaluate("document.getElementById('later').click()")?;
    let ends = browser.evaluate(ends)?.to_string();
    assert!(ends.contains("ioremap") && !ends.contains("mmap("), "{ends}");

    // A program touches what it has no mapping of any more, and is stopped.
    let stopped = "(() => { for (;;) { document.getElementById('later').click(); const told = document.getElementById('moment-text').innerText; \
                   if (told.includes('record 1371') || told.startsWith('Moment 217')) return told; } })()";
    let stopped = browser.evaluate(stopped)?.to_string();
    assert!(stopped.contains("the program was stopped"), "{stopped}");
    Ok(())
}
