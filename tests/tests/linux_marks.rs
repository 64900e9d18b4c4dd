//! Can a stranger's program and kernel module speak to barscope, in C by `barscope.h` and in Rust by the crate?
//!
//! The examples of the guest ABI are compiled and run as they are.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use barscope_analysis::assert::{Expect, Window, read};
use barscope_bench::command::Session;
use barscope_bench::compile;
use barscope_bench::expectations::root;
use barscope_trace::EventKind;
use barscope_trace::definition::Path;

const HEADER: &str = include_str!("../../guest-driver/abi/include/barscope.h");
const PROGRAM: &str = include_str!("../../guest-driver/abi/examples/marks.c");
const MODULE: &str = include_str!("../../guest-driver/abi/examples/marking.c");

/// What the header defines by this name.
fn number(name: &str) -> Result<u64> {
    let line = HEADER.lines().find_map(|line| line.strip_prefix(&format!("#define {name} ")));
    let text = line.and_then(|line| line.split_whitespace().next()).with_context(|| format!("no {name}"))?;
    Ok(match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16)?,
        None => text.parse()?,
    })
}

#[test]
fn the_header_has_the_numbers_of_the_crate() -> Result<()> {
    use barscope_guest_abi::{MAX_TEXT, PORT, SIGNATURE, counted, path, request};
    for (name, value) in [
        ("BARSCOPE_PORT", u64::from(PORT)),
        ("BARSCOPE_SIGNATURE", SIGNATURE.into()),
        ("BARSCOPE_MAX_TEXT", MAX_TEXT),
        ("BARSCOPE_MARK", request::MARK.into()),
        ("BARSCOPE_MAP", request::MAP.into()),
        ("BARSCOPE_UNMAP", request::UNMAP.into()),
        ("BARSCOPE_SCENARIO_BEGIN", request::SCENARIO_BEGIN.into()),
        ("BARSCOPE_SCENARIO_END", request::SCENARIO_END.into()),
        ("BARSCOPE_COUNT", request::COUNT.into()),
        ("BARSCOPE_ISR_ENTER", request::ISR_ENTER.into()),
        ("BARSCOPE_ISR_EXIT", request::ISR_EXIT.into()),
        ("BARSCOPE_WALK", request::WALK.into()),
        ("BARSCOPE_KERNEL_ENTRIES", counted::KERNEL_ENTRIES),
        ("BARSCOPE_FAULT_RESOLVED", counted::FAULT_RESOLVED),
        ("BARSCOPE_FAULT_FATAL", counted::FAULT_FATAL),
        ("BARSCOPE_IOREMAP", path::IOREMAP),
        ("BARSCOPE_MMAP", path::MMAP),
        ("BARSCOPE_SYSFS", path::SYSFS),
        ("BARSCOPE_DEV_MEM", path::DEV_MEM),
        ("BARSCOPE_IOREMAP_WC", path::IOREMAP_WC),
        ("BARSCOPE_SYSFS_WC", path::SYSFS_WC),
        ("BARSCOPE_UIO", path::UIO),
    ] {
        assert_eq!(number(name)?, value, "{name}");
    }
    Ok(())
}

#[test]
fn a_program_in_c_that_speaks_to_barscope_runs_elsewhere_too() -> Result<()> {
    let session = Session::new()?;
    let program = program_in_c(&session)?;
    let output = Command::new(program).output()?;
    assert_eq!(
        (output.status.code(), String::from_utf8_lossy(&output.stdout).as_ref()),
        (Some(1), "not on barscope\n")
    );
    Ok(())
}

/// Clean under a strict compiler, as C and as C++ might have it.
fn program_in_c(session: &Session) -> Result<PathBuf> {
    session.file("barscope.h", HEADER.as_bytes())?;
    let source = session.file("marks.c", PROGRAM.as_bytes())?;
    let program = session.path("marks");
    let mut gcc = Command::new("gcc");
    gcc.args(["-Wall", "-Wextra", "-Werror", "-O2", "-o"]).arg(&program).arg(source);
    let output = gcc.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(program)
}

/// The example in Rust, built as its owner would.
fn program_in_rust() -> Result<PathBuf> {
    let output = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "-p",
            "barscope-guest-abi",
            "--example",
            "marks",
            "--message-format",
            "json",
        ])
        .current_dir(root())
        .output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout)?
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
        .context("cargo names no executable")
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn on_linux_strangers_programs_and_modules_set_marks_windows_counts_and_mappings() -> Result<()> {
    let session = Session::new()?;
    program_in_c(&session)?;
    let rust = program_in_rust()?;
    compile::modules(&session, &[("marking", MODULE)])?;
    let rust = rust.display().to_string();
    let arguments = ["--append", "iomem=relaxed", "--module", "marking.ko", "--program", "./marks"];
    let run = [&["run", "--guest", "linux", "--nested", "--program", &rust], &arguments[..]].concat();
    let run = session.run(&run)?;
    let console = fs::read_to_string(session.path("barscope.console")).unwrap_or_default();
    ensure!(run.code == Some(0), "{}\n{}\n{console}", run.stdout, run.stderr);
    let trace = session.trace()?;
    let text = |kind: &EventKind| match kind {
        EventKind::Mark { text, .. } => Some(trace.definitions().text(*text).to_owned()),
        EventKind::ScenarioEnd { passed: true, summary } => {
            Some(format!("passed: {}", trace.definitions().text(*summary)))
        }
        EventKind::Count { value: 0, .. } => Some("count".to_owned()),
        EventKind::Unmap { .. } => Some("unmap".to_owned()),
        _ => None,
    };
    let said: Vec<_> = trace.events().iter().filter_map(|event| text(&event.kind)).collect();
    for words in [
        &["in a module", "passed: the module is there"][..],
        &["devices counted", "passed: there are devices"],
        &["before ID", "passed: ID is LAB1", "count", "unmap"],
    ] {
        ensure!(said.windows(words.len()).any(|window| window == words), "no {words:?} in {said:?}");
    }
    let within = Expect::on(&trace).within(Window::scenario("identity"));
    within.count(read("BAR0.ID").cpl(3).via(Path::Sysfs).value(0x3142_414c), 1..=1).assert_passed();
    Ok(())
}
