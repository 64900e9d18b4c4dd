//! Is what the command prints as JSON what its schema says, and the schema what the table of events says?
//!
//! The schema in `docs` is written from the table: `BARSCOPE_WRITE=1 cargo test -p barscope-bench --test json_schema`
//! writes it anew.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use barscope_analysis::print;
use barscope_bench::command::Session;
use boon::{Compiler, Schemas};
use serde_json::Value;

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/trace-events.schema.json");
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample.trace.gz");

#[test]
fn the_schema_in_the_docs_is_that_of_the_table() -> Result<()> {
    let expected = serde_json::to_string_pretty(&print::schema())? + "\n";
    if std::env::var_os("BARSCOPE_WRITE").is_some() {
        fs::write(SCHEMA, &expected)?;
    }
    let found = fs::read_to_string(SCHEMA).context(SCHEMA)?;
    assert!(
        found == expected,
        "docs/trace-events.schema.json is out of date: BARSCOPE_WRITE=1 writes it anew"
    );
    Ok(())
}

#[test]
fn every_line_of_a_real_trace_is_as_the_schema_says() -> Result<()> {
    let schema: Value = serde_json::from_str(&fs::read_to_string(SCHEMA)?)?;
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource("events", schema).map_err(|error| anyhow!("{error}"))?;
    let compiled = compiler.compile("events", &mut schemas).map_err(|error| anyhow!("{error}"))?;
    assert!(Path::new(SAMPLE).exists());
    let shown = Session::new()?.run(&["show", SAMPLE, "--format", "json"])?;
    let exported = Session::new()?.run(&["export", SAMPLE, "--to", "jsonl"])?;
    assert!(exported.stdout == shown.stdout, "an export as JSON lines is what is shown as JSON");
    let lines: Vec<Value> = shown.stdout.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    assert!(lines.len() > 1000, "{} lines\n{}", lines.len(), shown.stderr);
    for line in &lines {
        schemas.validate(line, compiled).map_err(|error| anyhow!("{line}\n{error:#}"))?;
    }
    Ok(())
}
