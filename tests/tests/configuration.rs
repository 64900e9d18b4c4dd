//! Does barscope do what barscope.toml says: from any folder of the repository, in a virtual machine too, and not twice?

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use barscope_bench::command::{Ended, Session, output};

const DOCUMENT: &str = include_str!("../../docs/configuration.md");
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample.trace.gz");
const PROBE: &str = "test \"its identity is read\" in scenario probe\n  read BAR0.ID at least 1\n";

/// A repository with this file of options in its root, and a folder in it.
fn repository(options: &str) -> Result<(Session, PathBuf)> {
    let session = Session::new()?;
    let inner = session.path("driver/tests");
    fs::create_dir_all(&inner)?;
    fs::create_dir(session.path(".git"))?;
    session.file("barscope.toml", options.as_bytes())?;
    Ok((session, inner))
}

/// Runs the command in a folder.
fn run_in(session: &Session, folder: &Path, arguments: &[&str]) -> Result<Ended> {
    output(session.barscope(arguments)?.current_dir(folder))
}

/// The example of a language that the document has.
fn example(language: &str) -> Result<&'static str> {
    let begun = DOCUMENT.split_once(&format!("```{language}\n")).context("no example")?.1;
    Ok(begun.split_once("```").context("an example without an end")?.0)
}

#[test]
fn a_command_takes_options_of_its_table_from_the_file_above() -> Result<()> {
    let (session, inner) = repository("[poke]\ntrace = 'out.trace'\n[stats]\nformat = 'markdown'\n")?;
    let poked = run_in(&session, &inner, &["poke", "lab", "read", "BAR0.ID"])?;
    assert_eq!((poked.code, poked.stderr.as_str()), (Some(0), ""));
    let told = run_in(&session, &inner, &["stats", "../../out.trace"])?;
    assert_eq!((told.code, told.stderr.as_str()), (Some(0), ""));
    ensure!(told.stdout.starts_with("### barscope: 2 accesses\n\n`../../out.trace`: "), "{}", told.stdout);
    // What is typed wins, and so does that there is to be no file.
    let typed = run_in(&session, &inner, &["stats", "../../out.trace", "--format", "json"])?;
    ensure!(typed.stdout.starts_with('{'), "{}", typed.stdout);
    let without = run_in(&session, &inner, &["stats", "../../out.trace", "--no-config"])?;
    ensure!(without.stdout.contains("by register; time to serve"), "{}", without.stdout);
    Ok(())
}

#[test]
fn another_file_is_taken_where_it_is_named() -> Result<()> {
    let (session, inner) = repository("[stats]\nformat = 'markdown'\n")?;
    session.file("other.toml", b"[stats]\nformat = 'json'\n")?;
    let told = run_in(&session, &inner, &["stats", SAMPLE, "--config", "../../other.toml"])?;
    ensure!(told.code == Some(0) && told.stdout.starts_with('{'), "{}{}", told.stdout, told.stderr);
    let missing = run_in(&session, &inner, &["stats", SAMPLE, "--config", "none.toml"])?;
    assert_eq!(missing.code, Some(2));
    ensure!(missing.stderr.starts_with("error: none.toml: "), "{}", missing.stderr);
    Ok(())
}

#[test]
fn the_documents_example_holds_and_its_mistake_is_told_as_it_says() -> Result<()> {
    let session = Session::new()?;
    session.file("barscope.toml", example("toml")?.as_bytes())?;
    let told = session.run(&["stats", SAMPLE])?;
    assert_eq!((told.code, told.stderr.as_str()), (Some(0), ""));
    ensure!(told.stdout.contains("\x1b["), "in colour: {}", told.stdout);

    session.file("barscope.toml", b"[run]\n\n\nexpct = \"tests/irq.expect\"\n")?;
    let refused = session.run(&["stats", SAMPLE])?;
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""));
    assert_eq!(refused.stderr, example("text")?);
    Ok(())
}

#[test]
fn what_the_file_adds_is_told_once_by_v_and_where_the_command_line_is_refused() -> Result<()> {
    let (session, inner) = repository("[run]\nmemory = 64\nkvm-is-wrong = 1\n")?;
    let refused = run_in(&session, &inner, &["run"])?;
    ensure!(
        refused.stderr.contains("../../barscope.toml:3:1: [run] has no \"kvm-is-wrong\""),
        "{}",
        refused.stderr
    );

    session.file("barscope.toml", b"[run]\nmemory = 64\nfail-fast = true\nno-trace-programs = true\n")?;
    let refused = run_in(&session, &inner, &["run"])?;
    assert_eq!(refused.code, Some(2));
    let note = "\nnote: ../../barscope.toml adds --memory=64 --fail-fast --no-trace-programs; --no-config leaves that out\n";
    ensure!(refused.stderr.ends_with(note), "{}", refused.stderr);
    // It has no part in this one.
    let typed = run_in(&session, &inner, &["run", "--no-such-option"])?;
    ensure!(typed.code == Some(2) && !typed.stderr.contains("note"), "{}", typed.stderr);

    session.file("barscope.toml", b"[run]\nmemory = 64\n")?;
    let told = run_in(&session, &inner, &["run", "-v", "--kvm", "/nothing"])?;
    ensure!(told.stderr.starts_with("../../barscope.toml adds --memory=64\n"), "{}", told.stderr);
    let quiet = run_in(&session, &inner, &["run", "--kvm", "/nothing"])?;
    assert_eq!(quiet.code, Some(3));
    ensure!(!quiet.stderr.contains("barscope.toml"), "{}", quiet.stderr);
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_run_is_held_against_what_the_file_names() -> Result<()> {
    let (session, inner) =
        repository("[run]\nscenario = 'probe'\nexpect = 'driver/probe.expect'\ntrace = 'out.trace'\n")?;
    fs::write(session.path("driver/probe.expect"), PROBE)?;
    let ran = run_in(&session, &inner, &[])?;
    ensure!(ran.code == Some(0) && session.path("out.trace").is_file(), "{}{}", ran.stdout, ran.stderr);
    let wrong = PROBE.replace("at least 1", "exactly 0");
    fs::write(session.path("driver/probe.expect"), wrong)?;
    assert_eq!(run_in(&session, &inner, &[])?.code, Some(1));
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel"]
fn nested_the_command_does_what_the_file_says_once() -> Result<()> {
    let (session, inner) = repository(
        "[run]\nnested = true\nscenario = 'probe'\nexpect = 'driver/probe.expect'\ntrace = 'out.trace'\n\
         device = ['lab,bdf=00:04.0', 'edu']\n",
    )?;
    fs::write(session.path("driver/probe.expect"), PROBE)?;
    let ran = run_in(&session, &inner, &["-v"])?;
    ensure!(ran.code == Some(0) && session.path("out.trace").is_file(), "{}{}", ran.stdout, ran.stderr);
    assert_eq!(ran.stderr.matches("barscope.toml adds --nested").count(), 1, "{}", ran.stderr);
    // One edu: had the file been applied there too, there would be more.
    let stats = run_in(&session, &inner, &["stats", "--format", "json", "../../out.trace"])?;
    let stats: serde_json::Value = serde_json::from_str(&stats.stdout)?;
    let devices = stats["coverage"].as_array().context("no coverage")?;
    let names: Vec<_> = devices.iter().filter_map(|device| device["device"].as_str()).collect();
    assert_eq!(names, ["host-bridge", "lab", "edu"]);
    Ok(())
}
