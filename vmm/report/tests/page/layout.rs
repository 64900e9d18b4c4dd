//! The page at the widths of a screen, a window and a phone, and on paper.

use anyhow::{Context, Result};
use barscope_browser::Scheme;

use crate::{opened, text};

#[test]
#[ignore = "needs Chromium"]
fn a_page_is_no_wider_than_its_window() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for width in [1600, 900, 390] {
        let mut browser = opened(folder.path(), width, 900)?;
        assert_eq!(browser.evaluate("document.documentElement.scrollWidth")?, width);
        // Nothing is cut off but what scrolls, or says by an ellipsis that it goes on.
        let cut = "[...document.querySelectorAll('main *')].filter((one) => { \
                   const { overflowX, textOverflow } = getComputedStyle(one); \
                   return one.scrollWidth > one.clientWidth + 1 && overflowX === 'hidden' && textOverflow !== 'ellipsis'; \
                   }).map((one) => one.outerHTML.slice(0, 80))";
        assert_eq!(browser.evaluate(cut)?, serde_json::json!([]));
    }
    Ok(())
}

#[test]
#[ignore = "needs Chromium"]
fn text_stands_out_in_light_and_dark() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut browser = opened(folder.path(), 1200, 900)?;
    for scheme in [Scheme::Light, Scheme::Dark] {
        browser.prefer(scheme)?;
        // WCAG 2.2, section "Contrast (Minimum)": 4.5 to 1, of each colour of text on each ground.
        let least = "(() => { const style = getComputedStyle(document.documentElement); \
            const light = (name) => { const hex = style.getPropertyValue(name).trim().slice(1); \
            const parts = [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255); \
            const [r, g, b] = parts.map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4); \
            return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05; }; \
            return Math.min(...['--ink', '--soft', '--kernel', '--user', '--bus', '--warn', '--good', '--bad'].flatMap((text) => \
            ['--paper', '--card'].map((ground) => { const [one, other] = [light(text), light(ground)]; \
            return Math.max(one, other) / Math.min(one, other); }))); })()";
        let least = browser.evaluate(least)?.as_f64().context("no number")?;
        assert!(least >= 4.5, "{scheme:?}: {least:.2}");
    }
    Ok(())
}

#[test]
#[ignore = "needs Chromium"]
fn on_paper_are_answer_picture_registers_and_verdicts_and_the_records_in_sight() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut browser = opened(folder.path(), 1200, 900)?;
    browser.print()?;
    let height = "document.documentElement.scrollHeight";
    for section in ["answer", "drawing", "compared", "heat", "scenarios"] {
        let seen = format!("document.getElementById({section:?}).getBoundingClientRect().height");
        let seen = browser.evaluate(&seen)?.as_f64().context("no height")?;
        assert!(seen > 100.0, "{section} is {seen} pixels high");
    }
    for input in ["moment", "which", "search", "closer"] {
        let shown = format!("document.getElementById({input:?}).checkVisibility()");
        assert_eq!(browser.evaluate(&shown)?, false, "{input}");
    }
    assert!(text(&mut browser, "#records")?.contains("Only the records that were in sight are printed."));
    let rows = browser.evaluate("document.querySelectorAll('#rows .row').length")?;
    let list = browser.evaluate("document.getElementById('list').getBoundingClientRect().height")?;
    let (rows, list) = (rows.as_f64().context("no rows")?, list.as_f64().context("no list")?);
    assert!(rows < 40.0 && list < 30.0 * rows, "{rows} rows in {list} pixels");
    let height = browser.evaluate(height)?.as_f64().context("no height")?;
    assert!(height < 15_000.0, "{height} pixels");
    Ok(())
}
