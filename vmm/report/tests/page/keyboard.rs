//! The page without a mouse.

use anyhow::Result;
use barscope_browser::Browser;
use serde_json::json;

use crate::{opened, text};

/// The name of what has the focus, as a screen reader would tell it.
fn focused(browser: &mut Browser) -> Result<String> {
    let name = "(document.activeElement.ariaLabel ?? document.activeElement.innerText)";
    Ok(browser.evaluate(name)?.as_str().unwrap_or_default().to_owned())
}

#[test]
#[ignore = "needs Chromium"]
fn the_slider_moves_by_arrows_and_mappings_are_reached_by_tab() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut browser = opened(folder.path(), 1200, 900)?;
    browser.evaluate("document.getElementById('moment').focus()")?;
    let now = text(&mut browser, "#moment-text")?;
    assert!(now.ends_with("at record 232: map mmap(lab, 4096, offset 0x0) by user 1"), "{now}");
    browser.press("ArrowLeft")?;
    let before = text(&mut browser, "#moment-text")?;
    assert!(before.ends_with("at record 216: map ioremap(0xfe000000, 0x1000) by lab::probe"), "{before}");
    browser.press("ArrowRight")?;
    assert_eq!(text(&mut browser, "#moment-text")?, now);

    browser.press("Tab")?;
    assert_eq!(focused(&mut browser)?, "The change after");
    for (mapping, call) in [
        (
            "ioremap(0xfe000000, 0x1000) by lab::probe: ffffc90000001000 leads to fe000000 in lab BAR0",
            "ioremap(0xfe000000, 0x1000)",
        ),
        (
            "mmap(lab, 4096, offset 0x0) by user 1: 0000400000000000 leads to fe000000 in lab BAR0",
            "mmap(lab, 4096, offset 0x0)",
        ),
    ] {
        browser.press("Tab")?;
        assert_eq!(focused(&mut browser)?, mapping);
        assert_eq!(text(&mut browser, "#mapping h3")?, call);
    }
    // From there to the first of its records.
    browser.press("Tab")?;
    assert_eq!(focused(&mut browser)?, "record 232");
    browser.press("Enter")?;
    assert_eq!(browser.evaluate("location.hash")?, "#record-232");
    assert_eq!(browser.complaints, [""; 0]);
    Ok(())
}

#[test]
#[ignore = "needs Chromium"]
fn records_are_chosen_by_arrows_and_opened_by_enter() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut browser = opened(folder.path(), 1200, 900)?;
    browser.evaluate("document.getElementById('filter').focus()")?;
    for letter in "msi".chars() {
        browser.press(&letter.to_string())?;
    }
    browser.press("Enter")?;
    assert_eq!(text(&mut browser, "#found")?, "10 of 2,732 records");
    // Over the button and the examples to the list.
    for _ in 0..10 {
        browser.press("Tab")?;
        if focused(&mut browser)? == "Records" {
            break;
        }
    }
    browser.press("ArrowDown")?;
    browser.press("ArrowDown")?;
    let chosen = "document.getElementById('list').getAttribute('aria-activedescendant')";
    let chosen = browser.evaluate(chosen)?;
    let row = format!("document.getElementById({chosen}).innerText");
    let row = browser.evaluate(&row)?.to_string();
    browser.press("Enter")?;
    let hash = browser.evaluate("location.hash")?;
    let seq = hash.as_str().and_then(|hash| hash.strip_prefix("#record-")).unwrap_or_default().to_owned();
    assert!(row.contains(&seq) && row.contains("MSI vector 0x31"), "{row} at {hash}");
    Ok(())
}

#[test]
#[ignore = "needs Chromium"]
fn a_register_leads_to_its_records() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut browser = opened(folder.path(), 1200, 900)?;
    browser.evaluate("[...document.querySelectorAll('#heat button')].find((one) => one.innerText.startsWith('SCRATCH')).focus()")?;
    browser.press("Enter")?;
    assert_eq!(
        browser.evaluate("document.getElementById('filter').value")?,
        "access BAR0.SCRATCH on 00:04.0"
    );
    let told = text(&mut browser, "#heat button.cell")?;
    assert!(told.contains("reads"), "{told}");
    assert_eq!(focused(&mut browser)?, "Records");
    let kinds = "new Set([...document.querySelectorAll('#rows .row')].map((one) => one.innerText.split('BAR0.')[1].slice(0, 7))).size";
    assert_eq!(browser.evaluate(kinds)?, json!(1));
    Ok(())
}
