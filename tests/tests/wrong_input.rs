//! What does a user see who has no KVM, gives a wrong file, or boots a guest that goes wrong?
//!
//! Each time one error that says what to do, the right exit code, and a trace of what happened until then.

use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use barscope_analysis::Trace;
use barscope_bench::Bench;
use barscope_bench::access_loop::{SCRATCH, access_loop};
use barscope_bench::command::{Ended, Session};
use barscope_bench::raw_guest::{assemble, configure, store};
use barscope_trace::definition::MemoryType;
use barscope_trace::event::Target;
use barscope_trace::{Capability, End, EventKind, Knowledge};
use iced_x86::code_asm::{CodeAssembler, dword_ptr, edi};

/// Runs the command; it has to fail with `code` and one error that contains every one of `words`.
fn fails(session: &Session, arguments: &[&str], code: i32, words: &[&str]) -> Result<Ended> {
    let ended = session.run(arguments)?;
    let said = &ended.stderr;
    assert_eq!(ended.code, Some(code), "{arguments:?} said: {said}");
    assert_eq!(said.matches("error: ").count(), 1, "{arguments:?} said: {said}");
    for word in words {
        assert!(said.contains(word), "{arguments:?} doesn't mention {word:?}: {said}");
    }
    Ok(ended)
}

/// Boots a guest that is made of `code`.
fn boot_fails(
    code: impl FnOnce(&mut CodeAssembler) -> Result<(), iced_x86::IcedError>,
    arguments: &[&str],
    exit_code: i32,
    words: &[&str],
) -> Result<Session> {
    let session = Session::new()?;
    session.file("guest", &assemble(code)?)?;
    let ended = fails(&session, &[&["--kernel", "guest"], arguments].concat(), exit_code, words)?;
    assert!(ended.stdout.contains("trace: barscope.trace"), "no summary: {}", ended.stdout);
    Ok(session)
}

/// Writes `value` to SCRATCH, for a trace to hold something.
fn write_scratch(a: &mut CodeAssembler, value: i32) -> Result<(), iced_x86::IcedError> {
    for (register, value) in [(0x10, 0xfe00_0000), (0x04, 2)] {
        configure(a, 4, register, value)?;
    }
    store(a, SCRATCH as u32, value as u32)
}

fn scratch_writes(trace: &Trace) -> Vec<u64> {
    let accesses = trace.events().iter().filter_map(|event| match event.kind {
        EventKind::Access(access) if access.target == Target::Memory(SCRATCH) && access.write => {
            Some(access.value)
        }
        _ => None,
    });
    accesses.collect()
}

#[test]
fn without_dev_kvm_it_says_how_to_get_it() -> Result<()> {
    fails(&Session::new()?, &["--kvm", "/nonexistent"], 3, &["/dev/kvm: not found", "modprobe"])?;
    Ok(())
}

#[test]
fn an_unknown_scenario_is_answered_with_the_known_ones() -> Result<()> {
    let session = Session::new()?;
    fails(&session, &["--scenario", "prob"], 2, &["'prob'", "same-register"])?;
    Ok(())
}

#[test]
fn memory_out_of_range_is_answered_with_the_range() -> Result<()> {
    fails(&Session::new()?, &["--memory", "1"], 2, &["16..=3072"])?;
    Ok(())
}

#[test]
fn a_scenario_that_needs_another_option_names_it() -> Result<()> {
    fails(&Session::new()?, &["--scenario", "two-vcpus"], 2, &["two-vcpus needs --cpus 2"])?;
    Ok(())
}

#[test]
fn an_address_that_is_given_twice_is_refused() -> Result<()> {
    let device = "lab,bdf=00:04.0,bdf=00:05.0";
    fails(&Session::new()?, &["--device", device], 2, &["lab: bdf is given twice"])?;
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn addresses_that_guests_could_not_find_are_refused() -> Result<()> {
    let session = Session::new()?;
    fails(&session, &["--device", "lab,bdf=00:04.1"], 2, &["no function 0", "00:04.0"])?;
    let twice = ["--device", "lab,bdf=00:04.0", "--device", "ticker,bdf=00:04.0"];
    fails(&session, &twice, 2, &["two devices at 00:04.0"])?;
    fails(&session, &["--device", "lab,bdf=01:00.0"], 2, &["no bus 01"])?;
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn bars_that_find_no_room_are_refused_with_the_sums() -> Result<()> {
    // BAR0 of edu has 1 MiB, below 4 GiB: as many as bus 0 has places for, but for the host bridge's device.
    let places = (1..32).flat_map(|device| (0..8).map(move |function| (device, function)));
    let devices = places.flat_map(|(device, function)| {
        ["--device".to_owned(), format!("edu,bdf=00:{device:02x}.{function}")]
    });
    let devices: Vec<_> = devices.collect();
    let devices: Vec<_> = devices.iter().map(String::as_str).collect();
    let words = [
        "error: the devices ask for 248 MiB below 4 GiB: edu at 00:01.0 BAR0 1 MiB, ",
        ", and 240 more with 240 MiB; the window there holds 236 MiB",
    ];
    fails(&Session::new()?, &devices, 2, &words)?;
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_guest_finds_both_functions_of_a_device() -> Result<()> {
    let devices = ["--device", "lab,bdf=00:04.0", "--device", "ticker,bdf=00:04.1"];
    let arguments = [&devices[..], &["--scenario", "shared-line", "--scenario", "sub-page-bar"]].concat();
    let ended = Session::new()?.run(&arguments)?;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("2 scenarios, 2 passed"), "{}", ended.stdout);
    Ok(())
}

#[test]
fn scenarios_are_listed_without_a_guest() -> Result<()> {
    let ended = Session::new()?.run(&["--list-scenarios", "--kvm", "/nonexistent"])?;
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.stdout.lines().count(), barscope_guest_abi::scenario::SCENARIOS.len());
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_file_that_is_no_kernel_is_refused() -> Result<()> {
    let session = Session::new()?;
    session.file("notes.txt", b"not a kernel")?;
    fails(&session, &["--kernel", "notes.txt"], 2, &["notes.txt: no kernel", "PVH"])?;
    fails(&session, &["--kernel", "missing"], 2, &["missing", "No such file"])?;
    fails(&session, &["--kernel", "."], 2, &[".: is no regular file"])?;
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_trace_path_that_cannot_be_written_is_named() -> Result<()> {
    fails(
        &Session::new()?,
        &["--trace", "no/such/folder/trace"],
        2,
        &["no/such/folder/trace", "--trace FILE"],
    )?;
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_full_disk_stops_the_guest_and_keeps_the_trace_until_then() -> Result<()> {
    let session = Session::new()?;
    session.file("guest", &access_loop(100_000, 0)?)?;
    let barscope = session.barscope(&["--kernel", "guest", "--quiet"])?;
    // 2 MiB in blocks of 512 bytes: a file size limit fails like a full disk, when space is reserved.
    let script = "ulimit -f 4096; exec \"$0\" \"$@\"";
    let mut shell = std::process::Command::new("sh");
    shell.arg("-c").arg(script).arg(barscope.get_program()).args(barscope.get_args());
    if let Some(folder) = barscope.get_current_dir() {
        shell.current_dir(folder);
    }
    let ended = Ended::from(shell.output()?);
    assert_eq!(ended.code, Some(3), "{}", ended.stderr);
    assert!(ended.stderr.contains("cannot extend the trace barscope.trace"), "{}", ended.stderr);
    let trace = session.trace()?;
    assert!(matches!(trace.info().end, Some(End::Failed(_))), "{:?}", trace.info().end);
    assert!(scratch_writes(&trace).len() > 1000);
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_triple_fault_is_named_with_its_place() -> Result<()> {
    let session = boot_fails(
        |a| {
            write_scratch(a, 0x77)?;
            a.ud2()
        },
        &[],
        1,
        &["triple fault", "ud2"],
    )?;
    assert_eq!(scratch_writes(&session.trace()?), [0x77]);
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_guest_that_halts_forever_is_stopped_at_once() -> Result<()> {
    let began = Instant::now();
    let session = boot_fails(
        |a| {
            write_scratch(a, 0x78)?;
            a.cli()?;
            a.hlt()
        },
        &["--timeout", "50"],
        1,
        &["halted with interrupts off", "hlt"],
    )?;
    assert!(began.elapsed() < Duration::from_secs(20));
    assert_eq!(scratch_writes(&session.trace()?), [0x78]);
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_guest_that_hangs_is_stopped_by_the_time_limit_and_located() -> Result<()> {
    let session = boot_fails(
        |a| {
            write_scratch(a, 0x79)?;
            let mut forever = a.create_label();
            a.set_label(&mut forever)?;
            a.jmp(forever)
        },
        &["--timeout", "1"],
        1,
        &["--timeout", "jmp"],
    )?;
    let trace = session.trace()?;
    assert!(matches!(trace.info().end, Some(End::Interrupted(_))), "{:?}", trace.info().end);
    assert_eq!(scratch_writes(&trace), [0x79]);
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn an_instruction_that_kvm_cannot_emulate_is_printed() -> Result<()> {
    // Fetching code from device memory is beyond every KVM.
    boot_fails(
        |a| {
            write_scratch(a, 0x7a)?;
            a.jmp(edi)
        },
        &[],
        3,
        &["KVM_EXIT_INTERNAL_ERROR", "fe000008"],
    )?;
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn an_access_that_kvm_cannot_emulate_is_traced_and_becomes_an_invalid_opcode() -> Result<()> {
    let session = boot_fails(
        |a| {
            write_scratch(a, 0x7b)?;
            a.fld(dword_ptr(edi))
        },
        &[],
        1,
        // The guest has no handler for it.
        &["triple fault"],
    )?;
    let trace = session.trace()?;
    let not_emulated = trace.events().iter().find_map(|event| match event.kind {
        EventKind::NotEmulated { gpa, .. } => gpa,
        _ => None,
    });
    assert_eq!(not_emulated, Some(SCRATCH));
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn ctrl_c_ends_in_order() -> Result<()> {
    let session = Session::new()?;
    session.file("guest", &access_loop(i32::MAX, 0)?)?;
    let child = session
        .barscope(&["--kernel", "guest", "--quiet"])?
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    sleep(Duration::from_millis(500));
    signal(&child, "INT")?;
    let ended = Ended::from(child.wait_with_output()?);
    assert_eq!(ended.code, Some(130));
    assert!(ended.stderr.starts_with("error: stopped by Ctrl-C, at\n  vCPU 0 at "), "{}", ended.stderr);
    let trace = session.trace()?;
    assert!(matches!(trace.info().end, Some(End::Interrupted(_))), "{:?}", trace.info().end);
    assert!(!scratch_writes(&trace).is_empty());
    assert_eq!(trace.info().lost, 0);
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_killed_run_leaves_a_readable_trace() -> Result<()> {
    let session = Session::new()?;
    session.file("guest", &access_loop(i32::MAX, 0)?)?;
    let mut child = session.barscope(&["--kernel", "guest", "--quiet"])?.spawn()?;
    // A busy machine takes its time to begin.
    let deadline = Instant::now() + Duration::from_secs(60);
    let is_begun = || session.trace().is_ok_and(|trace| scratch_writes(&trace).len() > 1000);
    while !is_begun() && Instant::now() < deadline {
        sleep(Duration::from_millis(50));
    }
    signal(&child, "KILL")?;
    child.wait()?;
    let trace = session.trace()?;
    assert_eq!(trace.info().end, None);
    assert!(scratch_writes(&trace).len() > 100);
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_file_that_is_no_trace_is_replaced_by_force_only() -> Result<()> {
    let session = Session::new()?;
    session.file("notes.txt", b"dear diary")?;
    let run = ["--trace", "notes.txt", "--quiet", "--scenario", "probe"];
    for arguments in [&run[..], &[&run[..], &["--nested"]].concat()] {
        fails(&session, arguments, 2, &["notes.txt is no trace", "--trace FILE", "--force"])?;
        assert_eq!(std::fs::read(session.path("notes.txt"))?, b"dear diary");
    }
    let forced = session.run(&[&run[..], &["--force"]].concat())?;
    assert_eq!((forced.code, forced.stderr.as_str()), (Some(0), ""));
    // Now it is one.
    assert_eq!(session.run(&run)?.code, Some(0));
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_trace_that_reaches_its_limit_ends_the_run_and_is_whole() -> Result<()> {
    const LIMIT: u64 = 2 << 20;
    let session = Session::new()?;
    let guest = assemble(|a| {
        write_scratch(a, 1)?;
        let mut again = a.create_label();
        a.set_label(&mut again)?;
        a.mov(dword_ptr(edi), 7)?;
        a.jmp(again)
    })?;
    session.file("guest", &guest)?;
    let arguments = ["--kernel", "guest", "--quiet", "--trace-limit", "2M"];
    let ended =
        fails(&session, &arguments, 1, &["barscope.trace reached its limit of 2 MiB", "--trace-limit"])?;
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    let length = std::fs::metadata(session.path("barscope.trace"))?.len();
    assert!((LIMIT - (1 << 18)..=LIMIT).contains(&length), "{length}");
    let trace = session.trace()?;
    assert_eq!((trace.info().lost, trace.info().damage), (0, &[][..]));
    assert_eq!(trace.info().end, Some(&End::Interrupted("the trace reached its limit".to_owned())));
    let shown = session.run(&["show", "barscope.trace", "--last", "1"])?;
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    Ok(())
}

#[test]
fn a_trace_limit_that_leaves_no_room_is_refused() -> Result<()> {
    for limit in ["0", "1K", "much"] {
        fails(&Session::new()?, &["--trace-limit", limit], 2, &["--trace-limit"])?;
    }
    Ok(())
}

#[test]
fn expectations_and_traces_that_are_no_files_are_refused_at_once() -> Result<()> {
    let session = Session::new()?;
    assert!(std::process::Command::new("mkfifo").arg(session.path("pipe")).status()?.success());
    session.file("long.expect", &vec![b'#'; (16 << 20) + 1])?;
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample.trace.gz");
    let began = Instant::now();
    for file in ["/dev/zero", "pipe", "."] {
        fails(&session, &["check", sample, file], 2, &[file, "is no regular file"])?;
        fails(&session, &["run", "--expect", file], 2, &[file, "is no regular file"])?;
        fails(&session, &["show", file], 2, &[file, "is no regular file"])?;
    }
    fails(&session, &["check", sample, "long.expect"], 2, &["has more than 16777216 bytes"])?;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_guest_that_announces_nothing_leaves_a_trace_that_says_so() -> Result<()> {
    let run = Bench::kernel(access_loop(2, 3)?).run()?;
    let known = run.trace.info().capabilities;
    assert_eq!(known.of(Capability::Paths), Knowledge::Inferred);
    let told: Vec<_> = Capability::ALL.into_iter().filter(|capability| known.tells(*capability)).collect();
    let by_machine = [
        Capability::Paths,
        Capability::Effects,
        Capability::Configuration,
        Capability::ProgramAccesses,
        Capability::Privilege,
        Capability::MemoryTypes,
    ];
    assert_eq!(told, by_machine);
    let access = run.trace.events().iter().find_map(|event| match event.kind {
        EventKind::Access(access) if access.target == Target::Memory(SCRATCH) => Some(access),
        _ => None,
    });
    let access = access.context("no access")?;
    assert_eq!(
        (access.pat, access.memory_type, access.stack),
        (Some(MemoryType::UncacheableMinus), Some(MemoryType::Uncacheable), 0)
    );
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn what_any_guest_announces_its_trace_can_tell_from_then_on() -> Result<()> {
    // Another file, so that nothing is known of it beforehand.
    let kernel = [barscope_guests::TEST_KERNEL, b" "].concat();
    let trace = Bench::kernel(kernel).run()?.trace;
    for capability in Capability::ALL {
        let expected = match capability {
            Capability::Paths => Knowledge::Inferred,
            // This kernel makes no such request.
            Capability::Processes | Capability::Stacks => Knowledge::Unknown,
            _ => Knowledge::Announced,
        };
        assert_eq!(trace.info().capabilities.of(capability), expected, "{capability:?}");
    }
    Ok(())
}

fn signal(child: &std::process::Child, name: &str) -> Result<()> {
    let status = std::process::Command::new("kill").args(["-s", name, &child.id().to_string()]).status()?;
    status.success().then_some(()).context("kill failed")
}
