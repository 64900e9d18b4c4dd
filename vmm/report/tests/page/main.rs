//! The page, in a browser and held against the filters of the command line.

mod answers;
mod expectations;
mod filters;
mod keyboard;
mod large;
mod layout;
mod script;
mod synthetic;
mod timeline;

use std::fs;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::Result;
use barscope_analysis::check::Expectations;
use barscope_analysis::view::{View, Viewer};
use barscope_browser::Browser;
use barscope_report::{RECORDS_MAX, Report};
use barscope_trace::Stream;

/// What the test kernel does in all scenarios.
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/sample.trace.gz");

/// Writes the page of a trace; gives its records.
fn write(trace: &Path, page: &Path, limit: u64) -> Result<Vec<View>> {
    write_judged(trace, page, limit, &Expectations::default())
}

/// The same, with what expectations come to.
fn write_judged(trace: &Path, page: &Path, limit: u64, expectations: &Expectations) -> Result<Vec<View>> {
    let mut stream = Stream::open(trace)?;
    let mut viewer = Viewer::knowing(&stream.info().capabilities);
    let mut report = Report::new(limit, None);
    report.judged(&expectations.judge(trace)?);
    let mut views = Vec::new();
    while let Some(event) = stream.next()? {
        let view = viewer.view(stream.definitions(), &event);
        report.add(stream.definitions(), &view);
        if limit < RECORDS_MAX {
            views.push(view);
        }
    }
    report.finish(&mut BufWriter::new(fs::File::create(page)?), &stream)?;
    Ok(views)
}

fn sample(folder: &Path) -> Result<(PathBuf, Vec<View>)> {
    let page = folder.join("sample.html");
    let views = write(SAMPLE.as_ref(), &page, RECORDS_MAX - 1)?;
    Ok((page, views))
}

/// The sample's page, opened in a window of this size.
fn opened(folder: &Path, width: u32, height: u32) -> Result<Browser> {
    let (page, _) = sample(folder)?;
    Browser::open(&page, width, height)
}

/// What the first element says that a selector takes.
fn text(browser: &mut Browser, selector: &str) -> Result<String> {
    let text = browser.evaluate(&format!("document.querySelector({selector:?}).innerText"))?;
    Ok(text.as_str().unwrap_or_default().to_owned())
}
