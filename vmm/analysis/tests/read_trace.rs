//! Does docs/read_trace.py, which knows nothing but docs/trace-format.md, read what the library reads?

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use barscope_analysis::Trace;
use barscope_analysis::view::{BusAddress, Place, View};
use barscope_trace::definition::Definition;
use barscope_trace::event::AccessEvent;
use barscope_trace::pack::pack;
use barscope_trace::{Clock, Content, End, Event, EventKind, Writer};
use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/read_trace.py");
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/sample.trace.gz");

/// What a run of the reader said.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs the reader on these files.
fn read(paths: &[&Path]) -> Result<Ended> {
    let output = Command::new("python3").arg(SCRIPT).args(paths).output();
    let output =
        output.context("cannot start python3: install it, this test is of a reader written in it")?;
    Ok(Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}

/// A file in the folder with this content.
fn file(folder: &TempDir, name: &str, content: &[u8]) -> Result<PathBuf> {
    let path = folder.path().join(name);
    fs::write(&path, content)?;
    Ok(path)
}

/// The line on an access, in columns, by what the library says.
fn line(view: &View) -> Option<Vec<String>> {
    let access = view.access()?;
    let place = access.place();
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let mut columns = vec![
        view.seq.to_string(),
        or_none(access.bdf().map(|bdf| bdf.to_string())),
        or_none(place.map(Place::to_string)),
        or_none(place.and_then(Place::register_name)),
        format!("{}{}", if access.write { "W" } else { "R" }, access.size),
        format!("{:#x}", access.value),
    ];
    match (access.walk(), access.address()) {
        (Some(walk), BusAddress::Memory(address)) => {
            let path = walk.path.name();
            let inferred = if walk.announced { "" } else { "?" };
            columns.push(format!("{path}{inferred}"));
            columns.push(format!("{:016x}", walk.virtual_address(address)));
            columns.push("->".to_owned());
            columns.push(format!("{address:x}"));
        }
        (_, BusAddress::Memory(address)) => columns.extend(["-".to_owned(), format!("{address:x}")]),
        (_, BusAddress::Port(port)) => columns.extend(["port".to_owned(), format!("{port:x}")]),
    }
    let outcome = access.outcome.name();
    columns.extend((outcome != "ok").then(|| outcome.to_owned()));
    Some(columns)
}

fn columns(stdout: &str) -> Vec<Vec<String>> {
    stdout.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
}

/// A trace with three events in a block of its own, and a definition, in the folder; with an end or
/// without.
fn small(folder: &TempDir, end: Option<End>) -> Result<Vec<u8>> {
    let path = folder.path().join("small");
    let writer = Writer::create(&path, Clock::Host)?;
    writer.define(&Definition::Text { text: "a text".to_owned() })?;
    let mut lane = writer.lane(Some(0));
    for value in 1..=3 {
        let access = AccessEvent { size: 4, value, ..AccessEvent::default() };
        let kind = EventKind::Access(access);
        lane.record(&Event { seq: writer.reserve(), host_ns: 0, device_ns: 0, vcpu: Some(0), kind })?;
    }
    if let Some(end) = end {
        writer.finish(end)?;
    }
    Ok(fs::read(path)?)
}

#[test]
#[ignore = "needs python3"]
fn it_says_of_every_access_of_the_sample_what_the_library_says() -> Result<()> {
    let trace = Trace::open(Path::new(SAMPLE))?;
    let expected: Vec<_> = trace.views().all().iter().filter_map(line).collect();
    ensure!(expected.len() > 2000, "{} accesses", expected.len());

    let Ended { code, stdout, stderr } = read(&[Path::new(SAMPLE)])?;

    assert_eq!(stderr, format!("{SAMPLE}: finished, {} events, 0 of unknown kinds\n", trace.events().len()));
    assert_eq!(code, Some(0));
    let told = columns(&stdout);
    for (told, expected) in told.iter().zip(&expected) {
        assert_eq!(told, expected);
    }
    assert_eq!(told.len(), expected.len());
    Ok(())
}

#[test]
#[ignore = "needs python3"]
fn it_reads_a_packed_trace_and_tells_a_bit_that_was_flipped_in_it() -> Result<()> {
    let folder = TempDir::new()?;
    let mut bytes = Vec::new();
    pack(SAMPLE.as_ref(), &mut bytes)?;
    let packed = file(&folder, "packed", &bytes)?;
    let (plain, told) = (read(&[Path::new(SAMPLE)])?, read(&[&packed])?);
    assert_eq!((told.code, told.stdout), (Some(0), plain.stdout), "{}", told.stderr);

    for at in [16, 60, 100, bytes.len() / 2, bytes.len() - 100, bytes.len() - 1] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let path = file(&folder, "changed", &changed)?;
        let Ended { code, stderr, .. } = read(&[&path])?;
        assert_ne!(code, Some(0), "byte {at}: {stderr}");
        let library = Content::open(&path);
        assert!(library.is_err() || !library?.info().damage.is_empty(), "byte {at}");
    }
    Ok(())
}

#[test]
#[ignore = "needs python3"]
fn it_reads_an_unfinished_trace_as_far_as_it_goes() -> Result<()> {
    let folder = TempDir::new()?;
    small(&folder, None)?;
    let path = folder.path().join("small");

    let Ended { code, stdout, stderr } = read(&[&path])?;

    assert_eq!(stderr, format!("{}: running, 3 events, 0 of unknown kinds\n", path.display()));
    assert_eq!(code, Some(0));
    let values: Vec<_> = columns(&stdout).into_iter().map(|line| line[5].clone()).collect();
    assert_eq!(values, ["0x1", "0x2", "0x3"]);
    Ok(())
}

#[test]
#[ignore = "needs python3"]
fn it_tells_a_bit_that_was_flipped() -> Result<()> {
    let folder = TempDir::new()?;
    let whole = small(&folder, Some(End::Interrupted("Ctrl-C".to_owned())))?;
    let definitions = 4096;
    let events = definitions + 65536;
    let of_block = [0, 8, 16, 24, 32, 36, 64, 72, 100];
    let mut places = vec![16, 24, 33, 40, 48, 56, 60, 64, 128, 130, 2176, 2200, 2945];
    places.extend(of_block.map(|at| definitions + at));
    places.extend(of_block.map(|at| events + at));
    let mut paths = Vec::new();
    for at in places {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        ensure!(!Content::from_bytes(&bytes)?.info().damage.is_empty(), "the library doesn't tell byte {at}");
        paths.push((at, file(&folder, &format!("byte-{at}"), &bytes)?));
    }

    let Ended { code, stderr, .. } = read(&paths.iter().map(|(_, path)| path.as_path()).collect::<Vec<_>>())?;

    assert_eq!(code, Some(1), "{stderr}");
    for (at, path) in &paths {
        let name = format!("{}: ", path.display());
        let of_file: Vec<_> = stderr.lines().filter_map(|line| line.strip_prefix(&name)).collect();
        assert!(of_file.len() > 1, "byte {at}: {of_file:?}");
    }
    Ok(())
}

#[test]
#[ignore = "needs python3"]
fn it_tells_what_is_cut_off_and_what_is_no_trace() -> Result<()> {
    let folder = TempDir::new()?;
    let whole = small(&folder, Some(End::Finished))?;
    let cut = file(&folder, "cut", &whole[..4096 + 65536])?;
    let Ended { code, stdout, stderr } = read(&[&cut])?;
    assert_eq!((code, stdout.as_str()), (Some(1), ""));
    let expected = ["the file was cut off at byte 0x11000", "definitions are missing", "3 events are lost"];
    for expected in expected {
        assert!(stderr.contains(expected), "{stderr}");
    }

    let packed = file(&folder, "cut.gz", &fs::read(SAMPLE)?[..100_000])?;
    let Ended { code, stderr, .. } = read(&[&packed])?;
    assert_eq!(code, Some(1));
    assert!(stderr.contains("the compressed file is broken or cut off at byte 0x"), "{stderr}");

    for (name, bytes) in [
        ("text", b"no trace".to_vec()),
        ("later", {
            let mut later = whole.clone();
            later[8] = 3;
            later
        }),
    ] {
        let path = file(&folder, name, &bytes)?;
        let Ended { code, stdout, stderr } = read(&[&path])?;
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        assert!(stderr.starts_with(&path.display().to_string()), "{stderr}");
    }
    Ok(())
}
