//! The timeline's lanes, and what moves it.

use anyhow::{Context, Result};
use serde_json::json;

use crate::opened;

#[test]
#[ignore = "needs Chromium"]
fn a_timeline_has_the_lanes_of_its_trace_and_follows_keys_wheel_and_clicks() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut browser = opened(folder.path(), 1200, 900)?;
    let lanes =
        browser.evaluate("[...document.querySelectorAll('#lanes li')].map((one) => one.textContent)")?;
    let users = |numbers: std::ops::RangeInclusive<u32>| numbers.map(|number| format!("user {number}"));
    let users = users(1..=8).chain(users(11..=17)).chain(users(19..=22));
    let [head, end] = [&["scenarios", "vCPU 0", "lab", "ticker"][..], &["marks"]]
        .map(|names| names.iter().map(|name| (*name).to_owned()));
    let expected: Vec<_> = head.chain(users).chain(end).collect();
    assert_eq!(lanes, json!(expected));

    // At the top of what is in sight: a point of it is a point of the drawing from there.
    let corner = "{ const plot = document.getElementById('plot'); plot.focus(); plot.scrollIntoView(); \
                  const { x, y, width } = plot.getBoundingClientRect(); [x, y, width]; }";
    let corner: [f64; 3] = serde_json::from_value(browser.evaluate(corner)?)?;
    let [left, top, width] = corner;
    let range = "document.getElementById('range').innerText";
    let whole = "Records 1 to 2,732, 0 us to 2.199 ms";
    assert_eq!(browser.evaluate(range)?, whole);
    let mut shown = |key: &str| -> Result<String> {
        browser.press(key)?;
        let range = browser.evaluate(range)?.as_str().unwrap_or_default().to_owned();
        let label = browser.evaluate("document.getElementById('plot').ariaLabel")?;
        assert_eq!(label, format!("Timeline of 24 lanes. {range}"));
        Ok(range)
    };
    let zoomed = shown("+")?;
    assert!(zoomed.starts_with("Records 684 to 2,049, "), "{zoomed}");
    let moved = shown("ArrowRight")?;
    assert!(moved.starts_with("Records 957 to 2,323, "), "{moved}");
    assert_eq!(shown("0")?, whole);
    browser.wheel(left + width / 2.0, top + 50.0, -400.0)?;
    let zoomed = browser.evaluate(range)?;
    assert!(zoomed != whole, "the wheel does nothing");
    browser.press("0")?;

    // Its lane has one record, which KVM could not emulate.
    let lane = expected.iter().position(|name| name == "user 19").context("no such lane")?;
    browser.click(left + width * 1827.5 / 2732.0, top + 36.0 + 22.0 * (lane as f64 + 0.5))?;
    assert_eq!(browser.evaluate("location.hash")?, "#record-1828");
    assert_eq!(browser.complaints, [""; 0]);
    Ok(())
}

#[test]
#[ignore = "needs Chromium"]
fn a_link_shows_a_part_of_the_timeline_by_records_or_scenario() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut browser = opened(folder.path(), 1200, 900)?;
    browser.go("timeline-1452-1502")?;
    assert_eq!(
        browser.evaluate("document.getElementById('range').innerText")?,
        "Records 1,452 to 1,502, 1.351 ms to 1.402 ms"
    );
    browser.go("scenario-interrupt")?;
    assert_eq!(
        browser.evaluate("document.getElementById('range').innerText")?,
        "Records 1,451 to 1,503, 1.351 ms to 1.402 ms"
    );
    Ok(())
}
