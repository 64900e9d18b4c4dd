//! What happens when the host fails, or somebody meddles with what a run uses? See docs/faults.md.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use barscope_analysis::Trace;
use barscope_bench::access_loop::access_loop;
use barscope_bench::command::{Ended, Session, binary};
use barscope_trace::EventKind;

/// A user and a group without rights.
const NOBODY: u32 = 65_534;

/// A run that accesses a device until something ends it.
fn start(session: &Session, arguments: &[&str]) -> Result<Child> {
    session.file("guest", &access_loop(i32::MAX, 0)?)?;
    let mut command = session.barscope(&[&["--kernel", "guest", "--quiet"], arguments].concat())?;
    Ok(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
}

/// Waits until the trace has a megabyte of records: the file grows ahead of them.
fn wait_for_records(session: &Session) -> Result<()> {
    let began = Instant::now();
    let path = session.path("barscope.trace");
    while fs::metadata(&path).map_or(0, |found| found.len()) < 2 << 20 {
        ensure!(began.elapsed() < Duration::from_secs(20), "no trace");
        sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn signal(child: &Child, name: &str) -> Result<()> {
    let sent = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status()?;
    ensure!(sent.success(), "kill -{name} failed");
    Ok(())
}

/// One error that contains each of `words`, and this exit code.
fn failed(ended: &Ended, code: i32, words: &[&str]) {
    let said = &ended.stderr;
    assert_eq!(ended.code, Some(code), "{said}");
    assert_eq!(said.matches("error: ").count(), 1, "{said}");
    assert!(!said.contains("panicked"), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} isn't mentioned: {said}");
    }
}

/// The command, as somebody else than root runs it, in a folder that everybody may write. Whoever isn't root runs it as
/// himself.
fn as_nobody(session: &Session, limits: &[&str], arguments: &[&str]) -> Result<Command> {
    let folder = session.path("");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777))?;
    let program = session.path("barscope");
    if !program.exists() {
        fs::copy(binary()?, &program)?;
    }
    let mut command = Command::new("prlimit");
    command.args(limits).arg(&program).args(arguments).current_dir(&folder).stdin(Stdio::null());
    if fs::metadata("/proc/self")?.uid() == 0 {
        let group = fs::metadata("/dev/kvm").map_or(NOBODY, |found| found.gid());
        command.uid(NOBODY).gid(group);
    }
    Ok(command)
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_trace_that_is_cut_off_while_a_guest_writes_ends_the_run() -> Result<()> {
    for (round, length) in (0_u64..).zip([0, 0, 4096, 70_000, 300_000, 0]) {
        let session = Session::new()?;
        let child = start(&session, &["--timeout", "60"])?;
        wait_for_records(&session)?;
        sleep(Duration::from_millis(7 * round));
        let trace = File::options().write(true).open(session.path("barscope.trace"))?;
        trace.set_len(length)?;
        let ended = child.wait_with_output()?.into();
        failed(&ended, 3, &["the trace barscope.trace was cut off while it was written"]);
    }
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_trace_that_is_cut_off_again_and_again_ends_the_run_once() -> Result<()> {
    let session = Session::new()?;
    let mut child = start(&session, &["--timeout", "60"])?;
    wait_for_records(&session)?;
    let trace = File::options().write(true).open(session.path("barscope.trace"))?;
    while child.try_wait()?.is_none() {
        trace.set_len(0)?;
        trace.set_len(1 << 20)?;
    }
    failed(&child.wait_with_output()?.into(), 3, &["was cut off while it was written"]);
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_trace_that_is_deleted_or_replaced_while_a_guest_writes_ends_the_run() -> Result<()> {
    for replace in [false, true] {
        let session = Session::new()?;
        let path = session.path("barscope.trace");
        let child = start(&session, &["--timeout", "60"])?;
        wait_for_records(&session)?;
        if replace {
            fs::rename(session.file("notes.txt", b"dear diary")?, &path)?;
        } else {
            fs::remove_file(&path)?;
        }
        let ended = child.wait_with_output()?.into();
        failed(&ended, 3, &["the trace barscope.trace was deleted or replaced while it was written"]);
        assert_eq!(fs::read(&path).ok().as_deref(), replace.then_some(&b"dear diary"[..]));
    }
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn after_sigkill_only_the_record_being_written_may_be_missing() -> Result<()> {
    let session = Session::new()?;
    let child = start(&session, &[])?;
    wait_for_records(&session)?;
    signal(&child, "KILL")?;
    child.wait_with_output()?;
    let trace = session.trace()?;
    assert_eq!((trace.info().end, trace.info().damage), (None, &[][..]));
    assert_eq!(trace.info().lost, 0);
    // The guest stores ECX, counts it down, and reads it back each time: no store is missing between two others.
    let stores = stores(&trace);
    assert!(stores.len() > 100 && stores.windows(2).all(|pair| pair[0] == pair[1] + 1));
    Ok(())
}

/// The values that the guest stored to SCRATCH, in order.
fn stores(trace: &Trace) -> Vec<u64> {
    let scratch = barscope_trace::event::Target::Memory(barscope_bench::access_loop::SCRATCH);
    let stores = trace.events().iter().filter_map(|event| match event.kind {
        EventKind::Access(access) if access.target == scratch && access.write => Some(access.value),
        _ => None,
    });
    stores.collect()
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_run_that_is_stopped_and_continued_goes_on_and_keeps_its_time_limit() -> Result<()> {
    for (stopped, longest) in [(1000, 6000 + 1500), (7000, 7000 + 1500)] {
        let session = Session::new()?;
        let child = start(&session, &["--timeout", "6"])?;
        while !session.path("barscope.trace").exists() {
            sleep(Duration::from_millis(5));
        }
        let began = Instant::now();
        sleep(Duration::from_millis(300));
        signal(&child, "STOP")?;
        sleep(Duration::from_millis(stopped));
        signal(&child, "CONT")?;
        let ended: Ended = child.wait_with_output()?.into();
        failed(&ended, 1, &["the guest did not end in time"]);
        let took = began.elapsed();
        assert!(took < Duration::from_millis(longest), "{took:?}");
        let trace = session.trace()?;
        let last = trace.events().last().map_or(0, |event| event.host_ns);
        assert!(stopped > 6000 || last > 3_000_000_000, "nothing after {last} ns");
        assert_eq!(trace.info().lost, 0);
    }
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn two_runs_in_one_folder_need_two_traces() -> Result<()> {
    let session = Session::new()?;
    let first = start(&session, &["--timeout", "60"])?;
    wait_for_records(&session)?;
    let second = session.run(&["--scenario", "probe"])?;
    failed(&second, 2, &["barscope.trace is being written by another process", "--trace FILE"]);
    let third = session.run(&["--scenario", "probe", "--trace", "other.trace", "--quiet"])?;
    assert_eq!((third.code, third.stderr.as_str()), (Some(0), ""));
    signal(&first, "INT")?;
    assert_eq!(Ended::from(first.wait_with_output()?).code, Some(130));
    assert_eq!(session.trace()?.info().damage, []);
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn with_too_few_descriptors_or_too_little_memory_it_says_so() -> Result<()> {
    let session = Session::new()?;
    let descriptors = (4..26).map(|most| format!("--nofile={most}"));
    let memory = (5..20).map(|most| format!("--as={}", most << 23));
    let mut passed = 0;
    for limit in descriptors.chain(memory) {
        let run = ["--scenario", "probe", "--quiet"];
        let output = Command::new("prlimit")
            .args([&limit, "--"])
            .arg(binary()?)
            .args(run)
            .current_dir(session.path(""))
            .output()?;
        let ended = Ended::from(output);
        match ended.code {
            Some(0) => passed += 1,
            // Not even the program is loaded.
            Some(127) => assert!(ended.stderr.contains("error while loading"), "{limit}: {}", ended.stderr),
            _ => failed(&ended, 3, &[]),
        }
    }
    assert!((4..30).contains(&passed), "{passed} of 37 passed");
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn without_another_thread_it_says_so() -> Result<()> {
    let session = Session::new()?;
    let ended = as_nobody(&session, &["--nproc=1"], &["--scenario", "probe"])?.output()?.into();
    failed(&ended, 3, &["can't start the thread", "ulimit -u", "Resource temporarily unavailable"]);
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_folder_that_may_not_be_written_is_named() -> Result<()> {
    let session = Session::new()?;
    let folder = session.path("read-only");
    fs::create_dir(&folder)?;
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555))?;
    let ended = as_nobody(&session, &[], &["--trace", "read-only/t"])?.output()?.into();
    failed(&ended, 2, &["read-only/t", "Permission denied", "--trace FILE"]);
    Ok(())
}

#[test]
fn without_permission_on_dev_kvm_it_says_how_to_get_it() -> Result<()> {
    let session = Session::new()?;
    let kvm = session.file("kvm", b"")?;
    fs::set_permissions(kvm, fs::Permissions::from_mode(0o000))?;
    let ended = as_nobody(&session, &[], &["--kvm", "kvm"])?.output()?.into();
    failed(&ended, 3, &["/dev/kvm: permission denied; add yourself to group kvm"]);
    Ok(())
}

#[test]
fn files_without_an_end_and_pipes_are_refused_at_once() -> Result<()> {
    let session = Session::new()?;
    session.file("guest", &access_loop(1, 0)?)?;
    ensure!(Command::new("mkfifo").arg(session.path("pipe")).status()?.success(), "mkfifo");
    File::create(session.path("holes"))?.set_len(1 << 40)?;
    let began = Instant::now();
    for (file, why) in [
        ("/dev/zero", "is no regular file"),
        ("pipe", "is no regular file"),
        (".", "is no regular file"),
        ("holes", "has more than 1073741824 bytes"),
    ] {
        for arguments in [
            &["--kernel", file][..],
            &["--kernel", "guest", "--initrd", file],
            &["--guest", "linux", "--kernel", file],
            &["--guest", "linux", "--kernel", "guest", "--module", file],
            &["--guest", "linux", "--kernel", "guest", "--module", "guest", "--program", file],
        ] {
            failed(&session.run(arguments)?, 2, &[file, why]);
        }
    }
    let console = ["--guest", "linux", "--kernel", "guest", "--initrd", "guest", "--console", "pipe"];
    failed(&session.run(&console)?, 2, &["cannot write pipe"]);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn output_that_is_full_or_closed_is_told_or_left_alone() -> Result<()> {
    let session = Session::new()?;
    session.file("a.expect", b"test \"t\"\n  never read BAR0.ID\n")?;
    let run = |script: &str| -> Result<Ended> {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).arg(binary()?).current_dir(session.path(""));
        Ok(shell.output()?.into())
    };
    let plays = "\"$0\" --scenario probe";
    failed(&run(&format!("{plays} >/dev/full"))?, 3, &["can't print: No space left on device"]);
    assert_eq!(run(&format!("{plays} >&-"))?.code, Some(0));
    assert_eq!(run(&format!("{plays} --quiet 2>/dev/full"))?.code, Some(0));
    // What failed is told by the exit code, if by nothing else.
    for redirected in ["2>/dev/full", "2>&-"] {
        assert_eq!(run(&format!("\"$0\" --kernel /dev/zero {redirected}"))?.code, Some(2));
        assert_eq!(run(&format!("{plays} --expect a.expect {redirected}"))?.code, Some(1));
    }
    for format in ["text", "json"] {
        let piped = format!("{plays} --expect a.expect --format {format} 2>&1 | head -n 1; :");
        assert!(!run(&piped)?.stderr.contains("panicked"));
    }
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn no_width_of_a_terminal_is_too_wide_or_too_narrow() -> Result<()> {
    let session = Session::new()?;
    assert_eq!(session.run(&["--scenario", "probe", "--quiet"])?.code, Some(0));
    for columns in ["18446744073709551615", "70000", "0", "1", "-1"] {
        for arguments in [
            &["--scenario", "probe", "--trace", "t"][..],
            &["show", "barscope.trace"],
            &["maps", "barscope.trace"],
            &["stats", "barscope.trace"],
            &["explain", "barscope.trace", "20"],
            &["explain", "barscope.trace", "--compare", "20", "40"],
            &["--help"],
        ] {
            let ended = Ended::from(session.barscope(arguments)?.env("COLUMNS", columns).output()?);
            assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{columns} {arguments:?}");
        }
    }
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_file_name_that_is_no_utf_8_is_shown_as_well_as_it_can_be() -> Result<()> {
    let session = Session::new()?;
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.expect");
    fs::write(session.path("").join(name), "test \"t\"\n  read BAR0.ID at least 1\n")?;
    let run = ["--scenario", "probe", "--format", "json", "--expect"];
    let ended = Ended::from(session.barscope(&run)?.arg(name).output()?);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let clause = ended.stdout.lines().find(|line| line.contains("\"clause\"")).context("no clause")?;
    let clause: serde_json::Value = serde_json::from_str(clause)?;
    assert_eq!(clause["file"], "caf\u{fffd}.expect");
    Ok(())
}

#[test]
fn every_test_that_the_list_of_faults_names_exists() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let list = fs::read_to_string(root.join("docs/faults.md"))?;
    let mut sources = String::new();
    for file in list.split('`').skip(1).step_by(2).filter(|text| text.ends_with(".rs")) {
        sources += &fs::read_to_string(root.join(file)).with_context(|| file.to_owned())?;
    }
    let rows = list.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| fault"));
    let mut count = 0;
    for row in rows {
        let named = row.trim_end_matches([' ', '|']).rsplit('|').next().unwrap_or_default();
        let tests: Vec<_> = named.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test: {row}");
        for test in tests {
            assert!(sources.contains(&format!("fn {test}(")), "no test {test}");
        }
        count += 1;
    }
    assert!(count > 20, "{count} rows");
    Ok(())
}
