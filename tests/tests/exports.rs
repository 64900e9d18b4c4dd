//! What do `barscope export`, `barscope pack` and `barscope report` do with files, pipes, and traces that lack something?

use std::fs;
use std::io::Read;
use std::process::Stdio;

use anyhow::{Context, Result};
use barscope_bench::command::Session;
use barscope_trace::{Stream, rewrite};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample.trace.gz");
const FORMATS: [&str; 6] = ["jsonl", "csv", "mmiotrace", "perfetto", "vcd", "fst"];

#[test]
fn every_format_is_the_same_in_a_file_and_in_a_pipe() -> Result<()> {
    let session = Session::new()?;
    for format in FORMATS {
        let to_file = session.run(&["export", SAMPLE, "--to", format, "-o", "file"])?;
        assert_eq!((to_file.code, &*to_file.stdout, &*to_file.stderr), (Some(0), "", ""), "{format}");
        let piped =
            session.barscope(&["export", SAMPLE, "--to", format])?.stderr(Stdio::inherit()).output()?;
        assert_eq!(piped.status.code(), Some(0), "{format}");
        assert!(piped.stdout == fs::read(session.path("file"))?, "{format}");
        fs::remove_file(session.path("file"))?;
    }
    Ok(())
}

#[test]
fn a_file_that_is_something_else_is_left_alone() -> Result<()> {
    let session = Session::new()?;
    session.file("mine", b"my own words\n")?;
    let commands: [&[&str]; 3] = [
        &["export", SAMPLE, "--to", "csv", "-o", "mine"],
        &["pack", SAMPLE, "-o", "mine"],
        &["report", SAMPLE, "-o", "mine"],
    ];
    for command in commands {
        let refused = session.run(command)?;
        assert_eq!(refused.code, Some(2), "{command:?}");
        assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
        assert_eq!(fs::read(session.path("mine"))?, b"my own words\n");
    }
    let forced = session.run(&["export", SAMPLE, "--to", "csv", "-o", "mine", "--force"])?;
    assert_eq!(forced.code, Some(0));
    assert!(fs::read(session.path("mine"))?.starts_with(b"seq,event,"));
    Ok(())
}

#[test]
fn a_reader_that_has_seen_enough_ends_it_quietly() -> Result<()> {
    let session = Session::new()?;
    for format in FORMATS {
        let mut command = session.barscope(&["export", SAMPLE, "--to", format])?;
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut stdout = child.stdout.take().context("a pipe")?;
        let mut first = [0; 4];
        stdout.read_exact(&mut first)?;
        drop(stdout);
        let ended = child.wait_with_output()?;
        let told = String::from_utf8(ended.stderr)?;
        assert_eq!((ended.status.code(), told.as_str()), (Some(0), ""), "{format}");
    }
    Ok(())
}

#[test]
fn a_filter_selects_what_is_exported() -> Result<()> {
    let session = Session::new()?;
    let ended = session.run(&["export", SAMPLE, "--to", "csv", "write BAR0.OPCODE"])?;
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
    let rows: Vec<_> = ended.stdout.lines().collect();
    assert!(rows.len() > 3, "{} rows", rows.len());
    assert!(rows[1..rows.len() - 1].iter().all(|row| row.contains(",OPCODE,write,")), "{}", ended.stdout);
    Ok(())
}

#[test]
fn what_is_missing_is_told_beside_the_export_and_in_it() -> Result<()> {
    let session = Session::new()?;
    let mut stream = Stream::open(SAMPLE.as_ref())?;
    rewrite::copy(&mut stream, &session.path("lossy"), |event| {
        (!(700..710).contains(&event.seq)).then_some(*event)
    })?;
    for (format, told) in [
        ("jsonl", "\"lost\":10"),
        ("csv", "\n,lost,,,,,,,,,,,,,10,"),
        ("mmiotrace", "\nMARK 0.000000 Lost 10 events.\n"),
        ("perfetto", "10 records are missing"),
        ("vcd", "\n$comment 10 records are missing before this $end\n"),
    ] {
        let ended = session.run(&["export", "lossy", "--to", format, "-o", "export"])?;
        assert_eq!((ended.code, &*ended.stderr), (Some(0), "warning: 10 records are missing\n"), "{format}");
        let text = String::from_utf8_lossy(&fs::read(session.path("export"))?).into_owned();
        assert!(text.contains(told), "{format}");
        fs::remove_file(session.path("export"))?;
    }
    Ok(())
}

#[test]
fn every_command_reads_a_packed_trace_as_it_is() -> Result<()> {
    let session = Session::new()?;
    fs::copy(SAMPLE, session.path("a"))?;
    let packed = session.run(&["pack", "a"])?;
    assert_eq!((packed.code, &*packed.stdout), (Some(0), ""));
    assert!(packed.stderr.starts_with("a.pack: "), "{}", packed.stderr);
    session.file("t.expect", b"test \"a\"\n  never write BAR0.ID\n")?;
    for rest in [
        &["show", "--last", "500"][..],
        &["show", "--from", "2000", "read BAR0"],
        &["explain", "1478"],
        &["maps"],
        &["stats"],
        &["check", "t.expect"],
        &["export", "--to", "vcd"],
    ] {
        let of = |trace| {
            let arguments = [&rest[..1], &[trace], &rest[1..]].concat();
            session.run(&arguments)
        };
        let (plain, packed) = (of("a")?, of("a.pack")?);
        assert_eq!(packed.code, plain.code, "{rest:?}: {}", packed.stderr);
        assert_eq!(packed.stdout.replace("a.pack", "a"), plain.stdout, "{rest:?}");
    }
    let unpacked = session.run(&["pack", "--unpack", "a.pack", "-o", "b"])?;
    assert_eq!(unpacked.code, Some(0), "{}", unpacked.stderr);
    let (before, after) = (session.run(&["show", "a"])?, session.run(&["show", "b"])?);
    assert_eq!(after.stdout.replace("trace: b", "trace: a").replace("show b ", "show a "), before.stdout);
    let again = session.run(&["pack", "--unpack", "a"])?;
    assert_eq!(again.code, Some(2));
    assert!(again.stderr.contains("-o FILE"), "{}", again.stderr);
    Ok(())
}
