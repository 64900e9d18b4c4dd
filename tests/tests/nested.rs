//! `--nested`: the command in a virtual machine whose KVM is the real kvm-amd, on a processor that QEMU
//! emulates. What the test kernel's scenarios show there, test by test, `cargo xtask test` finds out by running
//! those tests there too.

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, ChildStderr, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use barscope_analysis::Trace;
use barscope_analysis::assert::{Expect, Window};
use barscope_analysis::filter::Filter;
use barscope_bench::access_loop::access_loop;
use barscope_bench::command::{Ended, Session};
use barscope_bench::raw_guest::assemble;
use barscope_guest_abi::scenario::{Needs, SCENARIOS};
use barscope_trace::End;
use iced_x86::code_asm::{CodeAssembler, dx, eax};

/// What barscope says once the machine is up.
const UP: &str = "nested: up after";

/// What a machine says that is up, and every second from then on; see `Message` in the command's `nested/link.rs`.
const STARTED: &str = r"\0\0\0\0\0";
const ALIVE: &str = r"\4\0\0\0\0";

/// A command that goes on by itself, and what it prints.
struct Started {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: Lines<BufReader<ChildStderr>>,
}

impl Started {
    /// Starts it, and waits until its virtual machine is up.
    fn up(command: &mut Command) -> Result<Self> {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let stdout = BufReader::new(child.stdout.take().context("stdout is piped")?).lines();
        let stderr = BufReader::new(child.stderr.take().context("stderr is piped")?).lines();
        let mut started = Self { child, stdout, stderr };
        let up = started.stderr.by_ref().map_while(Result::ok).any(|line| line.starts_with(UP));
        ensure!(up, "the machine did not come up");
        Ok(started)
    }

    /// Waits for the first line on standard output that has this in it.
    fn line_with(&mut self, text: &str) -> Result<String> {
        let mut lines = self.stdout.by_ref().map_while(Result::ok);
        lines.find(|line| line.contains(text)).with_context(|| format!("no {text:?} arrives"))
    }

    /// QEMU's process.
    fn qemu(&self) -> Result<u32> {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        children.split_whitespace().next().context("no child").and_then(|child| Ok(child.parse()?))
    }

    /// Waits for its end, however much of its output nobody reads.
    fn ended_in(mut self, limit: Duration) -> Result<Ended> {
        let began = Instant::now();
        let code = loop {
            match self.child.try_wait()? {
                Some(status) => break status.code(),
                None if began.elapsed() > limit => {
                    self.child.kill()?;
                    bail!("it goes on after {limit:?}");
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        let stderr = self.stderr.map_while(Result::ok).collect::<Vec<_>>().join("\n");
        Ok(Ended { code, stdout: String::new(), stderr })
    }
}

fn send(signal: &str, pid: u32) -> Result<()> {
    ensure!(Command::new("kill").args(["-s", signal, &pid.to_string()]).status()?.success());
    Ok(())
}

/// Has the command find this shell script for QEMU.
fn with_qemu<'a>(session: &Session, command: &'a mut Command, script: &str) -> Result<&'a mut Command> {
    fs::create_dir_all(session.path("bin"))?;
    let file = session.file("bin/qemu-system-x86_64", format!("#!/bin/sh\n{script}\n").as_bytes())?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755))?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = [session.path("bin")].into_iter().chain(std::env::split_paths(&path));
    Ok(command.env("PATH", std::env::join_paths(folders)?))
}

/// A guest that looks for a device once and then goes on for ever without one.
fn looks_once(a: &mut CodeAssembler) -> Result<(), iced_x86::IcedError> {
    let mut forever = a.create_label();
    a.mov(eax, 0x8000_2000_u32 as i32)?;
    a.mov(dx, 0xcf8)?;
    a.out(dx, eax)?;
    a.mov(dx, 0xcfc)?;
    a.in_(eax, dx)?;
    a.set_label(&mut forever)?;
    a.jmp(forever)
}

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
    assert_eq!(trace.info().lost, 0);
    let passed = Filter::parse("scenario-end passed").unwrap();
    let mut played = 0;
    for scenario in SCENARIOS.iter().filter(|scenario| scenario.needs != Needs::SecondCpu) {
        let expect = Expect::on(&trace).within(Window::scenario(scenario.name));
        expect.count(passed.clone(), 1..=1).assert_passed();
        ensure!(ended.stdout.contains(scenario.name), "{}", ended.stdout);
        played += 1;
    }
    ensure!(ended.stdout.contains(&format!("{played} scenarios, {played} passed")), "{}", ended.stdout);
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm, QEMU and Debian's kernel"]
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
    assert!(Trace::open(&session.path("sub/a trace"))?.info().end.is_some());
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel"]
fn nested_ctrl_c_ends_in_order_and_brings_the_trace() -> Result<()> {
    let session = Session::new()?;
    session.file("guest", &access_loop(i32::MAX, 0)?)?;
    let mut command = session.barscope(&["--nested", "--kernel", "guest", "--format", "json"])?;
    let mut started = Started::up(&mut command)?;
    // JSON has a line for each access: they arrive while the guest goes on.
    started.line_with("SCRATCH")?;
    send("INT", started.child.id())?;
    started.stdout.by_ref().for_each(drop);
    assert_eq!(started.child.wait()?.code(), Some(130));
    let trace = session.trace()?;
    assert!(matches!(trace.info().end, Some(End::Interrupted(_))), "{:?}", trace.info().end);
    ensure!(trace.events().len() > 10, "{} events", trace.events().len());
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel"]
fn nested_what_is_printed_arrives_while_the_guest_goes_on() -> Result<()> {
    let session = Session::new()?;
    session.file("guest", &assemble(looks_once)?)?;
    let options = ["--nested", "--kernel", "guest", "--format", "json"];
    let mut started = Started::up(&mut session.barscope(&options)?)?;
    started.line_with("\"event\":\"access\"")?;
    assert_eq!(started.child.try_wait()?, None);
    send("INT", started.child.id())?;
    started.ended_in(Duration::from_secs(10))?;
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel"]
fn nested_when_qemu_is_killed_the_trace_holds_what_had_happened() -> Result<()> {
    let session = Session::new()?;
    session.file("guest", &access_loop(i32::MAX, 0)?)?;
    let mut command = session.barscope(&["--nested", "--kernel", "guest", "--format", "json"])?;
    let mut started = Started::up(&mut command)?;
    let line: serde_json::Value = serde_json::from_str(&started.line_with("SCRATCH")?)?;
    let first = line["seq"].as_u64().context("no number")?;
    // Until the trace is looked at again, and the machine is busy.
    let until = Instant::now() + Duration::from_secs(3);
    started.stdout.by_ref().find(|_| Instant::now() > until);
    send("KILL", started.qemu()?)?;
    started.stdout.by_ref().for_each(drop);
    let ended = started.ended_in(Duration::from_secs(10))?;
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    for words in
        ["barscope.trace holds what had arrived", "error: the virtual machine ended without an answer"]
    {
        ensure!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    let trace = session.trace()?;
    assert_eq!((trace.info().end, trace.info().damage, trace.info().lost), (None, &[][..], 0));
    ensure!(trace.events().len() as u64 > first + 100, "{} events", trace.events().len());
    Ok(())
}

#[test]
#[ignore = "needs QEMU and Debian's kernel"]
fn nested_when_barscope_is_killed_nothing_of_it_stays_but_the_trace() -> Result<()> {
    let session = Session::new()?;
    fs::create_dir(session.path("tmp"))?;
    let left =
        || -> Result<Vec<_>> { Ok(fs::read_dir(session.path("tmp"))?.collect::<Result<Vec<_>, _>>()?) };
    session.file("guest", &access_loop(i32::MAX, 0)?)?;
    let mut command = session.barscope(&["--nested", "--kernel", "guest", "--format", "json"])?;
    let mut started = Started::up(command.env("TMPDIR", session.path("tmp")))?;
    started.line_with("SCRATCH")?;
    let until = Instant::now() + Duration::from_secs(3);
    started.stdout.by_ref().find(|_| Instant::now() > until);
    // For its owner only.
    let [folder] = &left()?[..] else { bail!("{:?}", left()) };
    assert_eq!(folder.metadata()?.mode() & 0o777, 0o700);
    for file in fs::read_dir(folder.path())? {
        assert_eq!(file?.metadata()?.mode() & 0o777, 0o600);
    }
    let qemu = started.qemu()?;
    send("KILL", started.child.id())?;
    assert_eq!(started.child.wait()?.code(), None);
    let began = Instant::now();
    while Path::new(&format!("/proc/{qemu}")).exists() {
        ensure!(began.elapsed() < Duration::from_secs(5), "QEMU goes on");
        std::thread::sleep(Duration::from_millis(20));
    }
    let trace = session.trace()?;
    assert_eq!((trace.info().end, trace.info().damage, trace.info().lost), (None, &[][..], 0));
    ensure!(trace.events().len() > 100, "{} events", trace.events().len());
    assert_eq!(left()?.len(), 1);

    let mut next = session.barscope(&["nested", "/bin/true"])?;
    next.env("TMPDIR", session.path("tmp"));
    let ended = Ended::from(with_qemu(&session, &mut next, "exit 1")?.output()?);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert_eq!(left()?.len(), 0, "{:?}", left()?);
    Ok(())
}

/// A machine of which only its beginning is heard.
#[test]
#[ignore = "needs Debian's kernel"]
fn nested_a_machine_that_falls_silent_is_ended() -> Result<()> {
    let session = Session::new()?;
    let mut command = session.barscope(&["nested", "/bin/true"])?;
    let script = format!("printf '{STARTED}'; exec sleep 300");
    let began = Instant::now();
    let ended = Ended::from(with_qemu(&session, &mut command, &script)?.output()?);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    ensure!(ended.stderr.contains("hangs: nothing was heard of it for 30 s"), "{}", ended.stderr);
    ensure!((30..60).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    Ok(())
}

/// A machine that runs, with a command that neither prints nor ends.
#[test]
#[ignore = "needs Debian's kernel"]
fn nested_a_time_limit_that_is_not_kept_there_is_kept_here() -> Result<()> {
    let session = Session::new()?;
    let mut command = session.barscope(&["run", "--nested", "--timeout", "1"])?;
    let script = format!("printf '{STARTED}'; while sleep 1; do printf '{ALIVE}'; done");
    let began = Instant::now();
    let ended = Ended::from(with_qemu(&session, &mut command, &script)?.output()?);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    for words in ["error: the guest did not end in time", "ended from outside 30 s later", "--timeout S"] {
        ensure!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    ensure!((31..60).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    Ok(())
}

#[test]
#[ignore = "needs Debian's kernel"]
fn nested_ctrl_c_ends_what_does_not_listen() -> Result<()> {
    let session = Session::new()?;
    let script = format!("printf '{STARTED}'; while sleep 1; do printf '{ALIVE}'; done");
    let mut command = session.barscope(&["run", "--nested"])?;
    let started = Started::up(with_qemu(&session, &mut command, &script)?)?;
    send("INT", started.child.id())?;
    let ended = started.ended_in(Duration::from_secs(4))?;
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    Ok(())
}

/// Whoever reads standard output has stopped reading.
#[test]
#[ignore = "needs Debian's kernel"]
fn nested_ctrl_c_ends_what_nobody_reads() -> Result<()> {
    let session = Session::new()?;
    let script = format!(r"printf '{STARTED}'; while printf '\2\20\0\0\0a line of text.\n'; do :; done");
    let mut command = session.barscope(&["run", "--nested"])?;
    let started = Started::up(with_qemu(&session, &mut command, &script)?)?;
    // Until the pipe is full.
    std::thread::sleep(Duration::from_secs(2));
    send("TERM", started.child.id())?;
    let ended = started.ended_in(Duration::from_secs(8))?;
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    Ok(())
}

/// QEMU's emulated AMD-V forgets that `hlt` follows `sti` at once: a kernel that counts on it waits for ever.
#[test]
#[ignore = "needs QEMU and Debian's kernel"]
fn nested_the_test_kernel_misses_no_interrupt() -> Result<()> {
    let script = "for run in 1 2 3 4 5; do \
                  /init run --quiet --device lab,msi-vectors=2 --timeout 30 || exit 9; echo $run; done";
    let ended = Session::new()?.run(&["nested", "/bin/sh", "-c", script])?;
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(0), "1\n2\n3\n4\n5\n"), "{}", ended.stderr);
    Ok(())
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn nested_linux_that_resets_the_machine_is_told_each_time() -> Result<()> {
    for _ in 0..5 {
        let session = Session::new()?;
        let arguments = ["--guest", "linux", "--nested", "--quiet", "--append", "rdinit=/none"];
        let began = Instant::now();
        let ended = session.run(&arguments)?;
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        ensure!(ended.stderr.contains("the guest reset the machine"), "{}", ended.stderr);
        ensure!(began.elapsed() < Duration::from_secs(240), "{:?}", began.elapsed());
        assert_eq!(session.trace()?.info().end, Some(&End::Finished));
    }
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
