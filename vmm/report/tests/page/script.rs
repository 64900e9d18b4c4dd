//! What the script may do, and its types.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use barscope_browser::Browser;
use serde_json::json;

use crate::synthetic::synthetic;
use crate::{sample, write};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/page");

#[test]
fn a_page_may_run_no_script_but_its_own_and_ask_no_network() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (page, _) = sample(folder.path())?;
    let page = fs::read_to_string(page)?;
    let policy = page.split("Content-Security-Policy\" content=\"").nth(1).context("no policy")?;
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"), "{policy:.60}");
    assert_eq!(page.matches("unsafe-").count(), 0);
    // The name of what SVG is.
    let addresses: Vec<_> = page.split("://").skip(1).map(|rest| rest.split(['"', ' ']).next()).collect();
    assert_eq!(addresses, [Some("www.w3.org/2000/svg")]);
    Ok(())
}

#[test]
#[ignore = "needs npm's typescript"]
fn types_of_the_script_are_sound() -> Result<()> {
    let compiler =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join("../typescript/node_modules/typescript/bin/tsc");
    let output = Command::new("node").arg(compiler).args(["--project", PAGE]).output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}

#[test]
#[ignore = "needs Chromium"]
fn names_that_are_markup_stay_text() -> Result<()> {
    const NAME: &str =
        "</script><img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>";
    let folder = tempfile::tempdir()?;
    let (trace, page) = (folder.path().join("hostile"), folder.path().join("hostile.html"));
    synthetic(&trace, 50, NAME)?;
    write(&trace, &page, 20)?;
    assert!(!fs::read_to_string(&page)?.contains("owned"));
    let mut browser = Browser::open(&page, 1200, 900)?;
    browser.evaluate("document.querySelector('#drawing g.kernel').focus()")?;
    assert!(
        browser.evaluate("document.getElementById('mapping').innerText")?.to_string().contains("<img src=x")
    );
    assert_eq!(browser.evaluate("document.querySelectorAll('img').length")?, 0);
    assert_eq!(browser.evaluate("document.title")?, "hostile · barscope");
    let verdicts = browser.evaluate("document.getElementById('tests').innerText")?.to_string();
    assert!(verdicts.contains("2 scenarios: 1 failed, 1 passed."), "{verdicts}");
    let first = browser.evaluate(
        "[...document.querySelectorAll('#scenarios tbody tr')].map((one) => [one.cells[0].innerText, one.querySelector('a').hash])",
    )?;
    assert_eq!(first, json!([["failed", "#record-9"], ["passed", "#record-5"]]));
    let notes = browser.evaluate("document.getElementById('notes').innerText")?;
    assert_eq!(
        notes,
        "30 records after the first 20 left out. Cut the trace by --filter or --scenario to see others."
    );
    assert_eq!(browser.complaints, [""; 0]);
    Ok(())
}
