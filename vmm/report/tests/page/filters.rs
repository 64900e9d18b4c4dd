//! Filters in the page take the records that they take at the command line.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use barscope_analysis::filter::Filter;
use barscope_trace::{Definitions, Stream};
use serde_json::{Value, json};

use crate::{SAMPLE, sample};

const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/page");

#[test]
#[ignore = "needs Node.js"]
fn filters_take_the_same_records_in_the_page() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (page, views) = sample(folder.path())?;
    let list = Path::new(TESTS).join("filters.txt");
    let output =
        Command::new("node").arg(Path::new(TESTS).join("matches.mjs")).args([&page, &list]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout)?;
    let definitions = definitions()?;
    let (mut rows, mut wrong) = (0, Vec::new());
    for (text, found) in
        fs::read_to_string(&list)?.lines().zip(told["matches"].as_array().context("no list")?)
    {
        let Ok(filter) = Filter::parse(text) else {
            if !found.is_string() {
                wrong.push(format!("{text}: is no filter, but the page takes it"));
            }
            continue;
        };
        // What the trace can't have is a mistake at the command line; the page finds nothing, or says so.
        let compiled = filter.compile(&definitions);
        let expected: Vec<u64> = match &compiled {
            Ok(like) => views.iter().filter(|view| like.matches(view)).map(|view| view.seq).collect(),
            Err(_) => Vec::new(),
        };
        rows += views.len();
        let fits = json!(expected) == *found || compiled.is_err() && found.is_string();
        if !fits {
            wrong.push(format!("{text}: {} records, in the page {found:.300}", expected.len()));
        }
    }
    let summaries = told["summaries"].as_array().context("no summaries")?;
    for (view, shown) in views
        .iter()
        .zip(summaries)
        .filter(|(view, _)| view.access().is_some_and(|access| access.selects().is_none()))
    {
        let plain = view.summary();
        let plain = plain.split("  (").next().unwrap_or_default();
        let shown = shown.as_str().unwrap_or_default().split("  (").next().unwrap_or_default();
        if plain != shown && wrong.len() < 20 {
            wrong.push(format!("record {}: {plain:?}, in the page {shown:?}", view.seq));
        }
    }
    println!("{rows} pairs of a filter and a record");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows >= 200);
    Ok(())
}

/// The definitions of the sample.
fn definitions() -> Result<Definitions> {
    let mut stream = Stream::open(SAMPLE.as_ref())?;
    while stream.next()?.is_some() {}
    Ok(stream.definitions().clone())
}
