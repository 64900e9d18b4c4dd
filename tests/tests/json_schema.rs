//! Is what the command prints as JSON what its schema says, and the schema what the table of events says?
//!
//! The schemas in `docs` are written from what prints: `BARSCOPE_WRITE=1 cargo test -p barscope-bench --test json_schema`
//! writes them anew.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use barscope_analysis::{diff, lint, print};
use barscope_bench::command::Session;
use boon::{Compiler, Schemas};
use serde_json::Value;

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/trace-events.schema.json");
const DIFF: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/diff.schema.json");
const LINT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/lint.schema.json");
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample.trace.gz");

/// Whether the schema in the file is this one.
fn is_in(file: &str, schema: &Value) -> Result<()> {
    let expected = serde_json::to_string_pretty(schema)? + "\n";
    if std::env::var_os("BARSCOPE_WRITE").is_some() {
        fs::write(file, &expected)?;
    }
    let found = fs::read_to_string(file).with_context(|| file.to_owned())?;
    assert!(found == expected, "{file} is out of date: BARSCOPE_WRITE=1 writes it anew");
    Ok(())
}

/// The lines, each of which is as the schema in the file says.
fn valid(file: &str, lines: &str) -> Result<Vec<Value>> {
    let schema: Value = serde_json::from_str(&fs::read_to_string(file)?)?;
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.add_resource("lines", schema).map_err(|error| anyhow!("{error}"))?;
    let compiled = compiler.compile("lines", &mut schemas).map_err(|error| anyhow!("{error}"))?;
    let lines: Vec<Value> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    for line in &lines {
        schemas.validate(line, compiled).map_err(|error| anyhow!("{line}\n{error:#}"))?;
    }
    Ok(lines)
}

#[test]
fn the_schemas_in_the_docs_are_those_of_what_prints() -> Result<()> {
    is_in(SCHEMA, &print::schema())?;
    is_in(DIFF, &diff::schema())?;
    is_in(LINT, &lint::schema())
}

#[test]
fn every_line_of_a_real_trace_is_as_the_schema_says() -> Result<()> {
    assert!(Path::new(SAMPLE).exists());
    let shown = Session::new()?.run(&["show", SAMPLE, "--format", "json"])?;
    let exported = Session::new()?.run(&["export", SAMPLE, "--to", "jsonl"])?;
    assert!(exported.stdout == shown.stdout, "an export as JSON lines is what is shown as JSON");
    let lines = valid(SCHEMA, &shown.stdout)?;
    assert!(lines.len() > 1000, "{} lines\n{}", lines.len(), shown.stderr);
    Ok(())
}

#[test]
fn every_line_of_a_comparison_is_as_the_schema_says() -> Result<()> {
    let session = Session::new()?;
    let poke = |name: &str, steps: &str| -> Result<()> {
        assert_eq!(session.run(&["poke", "lab", steps, "--trace", name])?.code, Some(0));
        Ok(())
    };
    poke("a", "write BAR0.SCRATCH 1 read BAR0.SCRATCH")?;
    poke("b", "write BAR0.SCRATCH 2 read BAR0.SCRATCH")?;
    let events = |lines: &[Value]| -> Vec<String> {
        lines.iter().filter_map(|line| line["event"].as_str().map(str::to_owned)).collect()
    };
    let different = session.run(&["diff", "a", "b", "--format", "json"])?;
    assert_eq!(different.code, Some(1));
    let lines = valid(DIFF, &different.stdout)?;
    for event in ["difference", "register", "diff"] {
        assert!(events(&lines).iter().any(|known| known == event), "{event}: {}", different.stdout);
    }
    let equal =
        session.run(&["diff", "a", "a", "--only", "access BAR0", "--ignore", "time", "--format", "json"])?;
    let lines = valid(DIFF, &equal.stdout)?;
    assert_eq!((events(&lines), &lines[0]["only"]), (vec!["diff".to_owned()], &Value::from("access BAR0")));
    assert_eq!(session.run(&["bless", "a", "-o", "a.golden"])?.code, Some(0));
    let held = session.run(&["check", "b", "--golden", "a.golden", "--format", "json"])?;
    assert_eq!(held.code, Some(1));
    let of_golden: String = held
        .stdout
        .lines()
        .filter(|line| {
            ["\"event\":\"difference\"", "\"event\":\"golden\""].iter().any(|event| line.contains(event))
        })
        .map(|line| format!("{line}\n"))
        .collect();
    let lines = valid(DIFF, &of_golden)?;
    assert_eq!(events(&lines).last().map(String::as_str), Some("golden"), "{}", held.stdout);
    Ok(())
}

#[test]
fn every_line_of_lints_is_as_the_schema_says() -> Result<()> {
    let session = Session::new()?;
    let linted = session.run(&["lint", SAMPLE, "--format", "json"])?;
    assert_eq!(linted.code, Some(0), "{}", linted.stderr);
    let poke = ["poke", "lab", "read1 BAR0.SCRATCH", "--trace", "t"];
    assert_eq!(session.run(&poke)?.code, Some(0));
    let poked = session.run(&["lint", "t", "--format", "json"])?;
    let lines = valid(LINT, &(linted.stdout + &poked.stdout))?;
    for event in ["finding", "site", "lint"] {
        assert!(lines.iter().any(|line| line["event"] == event), "no line {event}");
    }
    let end = lines.last().context("nothing was printed")?;
    let blind = end["not_judged"].as_array().context("a list")?;
    assert!(!blind.is_empty(), "{end}");
    Ok(())
}
