//! `--nested`: the command in a virtual machine whose KVM is the real kvm-amd, on a processor that QEMU
//! emulates. What the test kernel's scenarios show there, test by test, `cargo xtask test` finds out by running
//! those tests there too.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use iced_x86::code_asm::eax;
use protocol::scenario::{Needs, SCENARIOS};
use tests::access_loop::access_loop;
use tests::command::Session;
use tests::raw_guest::assemble;
use trace::assert::{Expect, Window};
use trace::filter::Filter;
use trace::{End, Trace};

/// What barscope says once the machine is up.
const UP: &str = "nested: up after";

/// Each access in words, without what a clock decides.
fn accesses(json: &str) -> Result<Vec<String>> {
    let mut accesses = Vec::new();
    for line in json.lines() {
        let mut record: serde_json::Map<String, serde_json::Value> = serde_json::from_str(line)?;
        if record.get("event").is_some_and(|event| event == "access") {
            // A stray interrupt more or less on a shared line moves the numbers.
            for key in ["seq", "cause", "host_ns", "service_ns"] {
                record.remove(key);
            }
            accesses.push(serde_json::to_string(&record)?);
        }
    }
    Ok(accesses)
}

#[test]
#[ignore = "needs QEMU and Debian's kernel"]
fn nested_all_scenarios_pass_and_the_trace_comes_back() -> Result<()> {
    let session = Session::new()?;
    session
        .file("id", b"test \"id\" on lab in scenario probe\n  read BAR0.ID by kernel exactly 1 times\n")?;
    let ended = session.run(&["run", "--nested", "--expect", "id", "--junit", "report"])?;
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    ensure!(ended.stderr.contains(UP), "{}", ended.stderr);
    let report = std::fs::read_to_string(session.path("report"))?;
    ensure!(report.contains("tests=\"1\"") && report.contains("failures=\"0\""), "{report}");
    let trace = session.trace()?;
    assert_eq!(trace.lost(), 0);
    let passed = Filter::parse("scenario-end passed").unwrap();
    let mut played = 0;
    for scenario in SCENARIOS.iter().filter(|scenario| scenario.needs != Needs::SecondCpu) {
        let expect = Expect::on(&trace).within(Window::scenario(scenario.name));
        expect.count(passed.clone(), 1..=1).assert_passed();
        ensure!(ended.stdout.contains(&format!("  PASS  {}", scenario.name)), "{}", ended.stdout);
        played += 1;
    }
    ensure!(ended.stdout.contains(&format!("{played} scenarios, {played} passed")), "{}", ended.stdout);
    Ok(())
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and /dev/kvm"]
fn nested_the_accesses_are_those_that_this_machines_kvm_shows() -> Result<()> {
    let session = Session::new()?;
    let nested = session.run(&["--nested", "--format", "json"])?;
    let direct = session.run(&["--format", "json"])?;
    assert_eq!((nested.code, direct.code), (Some(0), Some(0)), "{}{}", nested.stderr, direct.stderr);
    let (nested, direct) = (accesses(&nested.stdout)?, accesses(&direct.stdout)?);
    ensure!(nested.len() > 1000, "{} accesses", nested.len());
    for (index, (nested, direct)) in nested.iter().zip(&direct).enumerate() {
        assert_eq!(nested, direct, "access {index} differs");
    }
    assert_eq!(nested.len(), direct.len());
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel"]
fn nested_files_and_the_exit_code_are_what_they_are_here() -> Result<()> {
    let session = Session::new()?;
    let guest = |a: &mut iced_x86::code_asm::CodeAssembler| {
        a.mov(eax, 1)?;
        a.cli()?;
        a.hlt()
    };
    std::fs::create_dir(session.path("sub"))?;
    session.file("guest", &assemble(guest)?)?;
    let arguments = ["--nested", "--kernel", "sub/../guest", "--trace", "sub/a trace"];
    let ended = session.run(&arguments)?;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    ensure!(
        ended.stderr.contains("error: the guest halted") && ended.stderr.contains("hlt"),
        "{}",
        ended.stderr
    );
    ensure!(ended.stdout.contains("trace: sub/a trace"), "{}", ended.stdout);
    assert!(Trace::open(&session.path("sub/a trace"))?.end().is_some());
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel"]
fn nested_ctrl_c_ends_in_order_and_brings_the_trace() -> Result<()> {
    let session = Session::new()?;
    session.file("guest", &access_loop(i32::MAX, 0)?)?;
    let mut command = session.barscope(&["--nested", "--kernel", "guest", "--format", "json"])?;
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let stderr = BufReader::new(child.stderr.take().context("stderr is piped")?);
    let up = stderr.lines().map_while(Result::ok).any(|line| line.starts_with(UP));
    ensure!(up, "the machine did not come up");
    // JSON has a line for each access: they arrive while the guest goes on.
    let mut stdout = BufReader::new(child.stdout.take().context("stdout is piped")?).lines();
    ensure!(stdout.by_ref().map_while(Result::ok).any(|line| line.contains("SCRATCH")), "nothing arrives");
    let pid = child.id().to_string();
    ensure!(std::process::Command::new("kill").args(["-s", "INT", &pid]).status()?.success());
    stdout.for_each(drop);
    assert_eq!(child.wait()?.code(), Some(130));
    let trace = session.trace()?;
    assert!(matches!(trace.end(), Some(End::Interrupted(_))), "{:?}", trace.end());
    ensure!(trace.events().len() > 10, "{} events", trace.events().len());
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel"]
fn nested_any_program_can_run_there() -> Result<()> {
    let ended = Session::new()?.run(&["nested", "/bin/sh", "-c", "echo here; echo there >&2; exit 7"])?;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(7), "here\n"), "{}", ended.stderr);
    assert_eq!(ended.stderr, "there\n");
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel"]
fn nested_a_file_that_is_missing_is_named_before_the_machine_boots() -> Result<()> {
    let session = Session::new()?;
    for (option, file) in [("--kernel", "no-such"), ("--trace", "no/such")] {
        let ended = session.run(&["--nested", option, file])?;
        assert_eq!(ended.code, Some(2));
        ensure!(ended.stderr.starts_with("error: ") && ended.stderr.contains(file), "{}", ended.stderr);
    }
    Ok(())
}

#[test]
fn nested_without_qemu_the_set_up_is_named() -> Result<()> {
    let session = Session::new()?;
    let installed = session.barscope(&[])?;
    // Where it isn't beside what the set-up has unpacked.
    let barscope = session.file("barscope", b"")?;
    std::fs::copy(installed.get_program(), &barscope)?;
    let output =
        std::process::Command::new(&barscope).arg("--nested").env("PATH", "/nonexistent").output()?;
    assert_eq!(output.status.code(), Some(3));
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(said.contains("qemu-system-x86_64") && said.contains("cargo xtask setup"), "{said}");
    Ok(())
}
