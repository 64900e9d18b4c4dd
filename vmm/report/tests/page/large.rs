//! A million records.

use std::fs;

use anyhow::{Context, Result};
use barscope_browser::Browser;
use barscope_report::RECORDS_MAX;

use crate::synthetic::synthetic;
use crate::write;

#[test]
#[ignore = "needs Chromium"]
fn a_million_records_open_and_scroll() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (trace, page) = (folder.path().join("million"), folder.path().join("million.html"));
    synthetic(&trace, 1_000_000, "card")?;
    write(&trace, &page, RECORDS_MAX)?;
    let bytes = fs::metadata(&page)?.len() as f64 / 1e6;
    let mut browser = Browser::open(&page, 1200, 900)?;
    let ready = browser.evaluate("Number(document.documentElement.dataset.ready)")?;
    let scroll = "new Promise((done) => { const list = document.getElementById('list'); const began = performance.now(); \
                  let frames = 0; list.scrollIntoView(); const step = () => { frames += 1; \
                  list.scrollTop = frames / 60 * list.scrollHeight; \
                  if (frames < 60) requestAnimationFrame(step); else done(60000 / (performance.now() - began)); }; \
                  requestAnimationFrame(step); })";
    let frames = browser.evaluate(scroll)?.as_f64().context("no frames")?;
    let last = "new Promise((done) => setTimeout(() => done(document.querySelector('#rows .row:last-child').innerText), 300))";
    let last = browser.evaluate(last)?;
    let search = "(() => { const began = performance.now(); document.getElementById('filter').value = 'write BAR0 value > 0x80000000'; \
                  document.getElementById('search').requestSubmit(); return performance.now() - began; })()";
    let searched = browser.evaluate(search)?;
    let zoom = "new Promise((done) => { const plot = document.getElementById('plot'); const began = performance.now(); let frames = 0; \
                plot.scrollIntoView(); const step = () => { frames += 1; \
                plot.dispatchEvent(new KeyboardEvent('keydown', { key: frames < 20 ? '+' : '-' })); \
                if (frames < 40) requestAnimationFrame(step); else done(40000 / (performance.now() - began)); }; \
                requestAnimationFrame(step); })";
    let zoomed = browser.evaluate(zoom)?.as_f64().context("no frames")?;
    println!("a timeline of a million records: {zoomed:.0} frames/s");
    println!(
        "a million records: {bytes:.1} bytes each, open in {ready} ms, {frames:.0} frames/s, searched in {searched} ms"
    );
    assert!(last.as_str().is_some_and(|last| last.starts_with("1000000")), "{last}");
    assert!(bytes <= 15.0, "{bytes} bytes a record");
    // How many there are says as much of the machine, which may be busy: 30 are asked for where it isn't.
    assert!(frames >= 3.0, "{frames} frames a second");
    assert_eq!(browser.complaints, [""; 0]);
    Ok(())
}
