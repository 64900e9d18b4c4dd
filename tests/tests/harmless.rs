//! Can a guest or a trace make a terminal do something, or show one text as another?

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use barscope_bench::command::Session;
use barscope_bench::raw_guest::assemble;
use barscope_trace::{Definition, Stream, rewrite};
use iced_x86::code_asm::{al, dx, eax, edx};
use quick_junit::Report;
use serde_json::Value;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample.trace.gz");
/// A title, a cleared screen, a carriage return, and text from right to left.
const HOSTILE: &str = "\u{1b}]0;owned\u{7}\u{9b}2J\r\n\u{202e}kcab\u{2066}\u{200f}\u{2028}";

/// Appends hostile text to every text that a guest, a device or whoever wrote the trace could choose.
fn spoil(value: &mut Value, under: &str) {
    match value {
        Value::String(text)
            if matches!(under, "guest" | "name" | "who" | "call" | "text" | "doc" | "values") =>
        {
            text.push_str(HOSTILE);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| spoil(item, under)),
        Value::Object(fields) => fields.iter_mut().for_each(|(name, field)| spoil(field, name)),
        _ => (),
    }
}

/// The sample with hostile text in all of its definitions.
fn hostile_trace(path: &Path) -> Result<()> {
    let define = |_, definition: &Definition| {
        let mut value = serde_json::to_value(definition).unwrap_or_default();
        spoil(&mut value, "");
        serde_json::from_value(value).unwrap_or_else(|_| definition.clone())
    };
    Ok(rewrite::copy_with(&mut Stream::open(Path::new(SAMPLE))?, path, define, |event| Some(*event))?)
}

/// What of a text a terminal would obey, or show in another order than it has.
fn obeyed(text: &str) -> Option<char> {
    text.chars().find(|character| {
        character.is_control() && *character != '\n'
            || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    })
}

#[test]
fn hostile_texts_of_a_trace_are_harmless_whatever_command_prints_them() -> Result<()> {
    let session = Session::new()?;
    hostile_trace(&session.path("t"))?;
    let raw = fs::read(session.path("t"))?;
    assert!(
        raw.windows(3).any(|bytes| bytes == "\u{202e}".as_bytes()),
        "the trace is as hostile as it should be"
    );
    let expectation =
        "test \"fails\"\n  never access BAR0\n  never mark\n  never scenario-end\n  never map\n";
    session.file("e", expectation.as_bytes())?;
    let mut commands: Vec<Vec<&str>> = vec![
        vec!["show", "t"],
        vec!["show", "t", "access or map or mark or scenario-end or msi or route or change"],
        vec!["show", "t", "on nothing-that-is-there"],
        vec!["explain", "t", "--compare", "228", "275"],
        vec!["maps", "t"],
        vec!["stats", "t"],
        vec!["lint", "t"],
        vec!["check", "t", "e", "--junit", "report.xml"],
    ];
    let records: Vec<_> = (1..40).map(|step| (step * 35).to_string()).collect();
    commands.extend(records.iter().map(|record| vec!["explain", "t", record.as_str()]));
    let mut hostile = 0;
    for command in &commands {
        for format in ["text", "json"] {
            let ended = session.run(&[command.as_slice(), &["--format", format]].concat())?;
            let text = ended.stdout + &ended.stderr;
            assert!(!text.is_empty(), "{command:?}");
            assert_eq!(obeyed(&text), None, "{command:?} {format}: {text}");
            // In JSON it isn't escaped either.
            assert!(!text.contains("\\u"), "{command:?} {format}: {text}");
            hostile += text.matches("kcab").count();
        }
    }
    assert!(hostile > 1000, "the hostile texts were printed: {hostile}");
    let page = session.run(&["stats", "t", "--format", "markdown"])?.stdout;
    assert!(page.contains("kcab") && obeyed(&page).is_none(), "{page}");
    let report = fs::read_to_string(session.path("report.xml"))?;
    assert_eq!(obeyed(&report), None, "{report}");
    let report = Report::deserialize_from_str(&report)?;
    let groups: Vec<_> = report.test_suites.iter().map(|suite| suite.name.as_str()).collect();
    assert_eq!(groups, ["e", "scenarios", "guest"]);
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn the_console_of_a_guest_keeps_its_lines_and_nothing_that_a_terminal_obeys() -> Result<()> {
    let said = "one\r\n\x1b]0;owned\x07two\t\u{202e}three\u{9b}2J\r100 %\n";
    let guest = assemble(|a| {
        a.mov(edx, 0x3f8)?;
        for byte in said.bytes() {
            a.mov(eax, u32::from(byte))?;
            a.out(dx, al)?;
        }
        a.hlt()
    })?;
    let session = Session::new()?;
    session.file("guest", &guest)?;
    let ended = session.run(&["run", "--kernel", "guest"])?;
    let text = ended.stderr;
    assert!(text.starts_with("one\n.]0;owned.two\t.three.2J\n100 %\n"), "{text:?}");
    let first = text.split("error:").next().context("no output")?;
    assert_eq!(
        first.chars().find(|character| character.is_control() && !matches!(character, '\n' | '\t')),
        None
    );
    Ok(())
}
