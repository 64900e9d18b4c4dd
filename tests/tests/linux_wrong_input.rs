//! What does a user see who has no kernel, no headers, no QEMU, or whose Linux guest goes wrong?
//!
//! Each time one error that says what to do, the right exit code, and a trace of what happened until then.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use barscope_analysis::Trace;
use barscope_bench::command::{Ended, Session, binary, debian};
use barscope_trace::{End, EventKind};

const LINUX: [&str; 4] = ["run", "--guest", "linux", "--quiet"];

/// Has it failed with `code` and one error, and said every one of `words`?
fn failed(ended: &Ended, code: i32, words: &[&str]) {
    let said = &ended.stderr;
    assert_eq!(ended.code, Some(code), "{said}");
    assert_eq!(said.matches("error: ").count(), 1, "{said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in: {said}");
    }
}

/// Runs a Linux guest with these arguments; it has to fail.
fn fails(session: &Session, arguments: &[&str], code: i32, words: &[&str]) -> Result<()> {
    failed(&session.run(&[&LINUX[..], arguments].concat())?, code, words);
    Ok(())
}

/// The same in QEMU; the trace that is left.
fn fails_nested(session: &Session, arguments: &[&str], code: i32, words: &[&str]) -> Result<Trace> {
    fails(session, &[&["--nested"], arguments].concat(), code, words)?;
    let trace = session.trace()?;
    let accesses = trace.events().iter().filter(|event| matches!(event.kind, EventKind::Access(_))).count();
    // Linux has at least looked for devices.
    ensure!(accesses > 100, "{accesses} accesses traced");
    Ok(trace)
}

/// A file that begins like a bzImage of this version.
fn kernel_of(version: &str) -> Vec<u8> {
    let mut file = vec![0; 0x400];
    file[0x202..0x206].copy_from_slice(b"HdrS");
    file[0x20e] = 0x10;
    file[0x210..0x210 + version.len()].copy_from_slice(version.as_bytes());
    file
}

#[test]
fn a_kernel_that_is_not_there_is_named() -> Result<()> {
    let session = Session::new()?;
    fails(&session, &["--kernel", ""], 2, &["a value is required for '--kernel <FILE|VERSION>'"])?;
    fails(&session, &["--kernel", "vmlinuz"], 2, &["vmlinuz: no such file"])?;
    fails(&session, &["--nested", "--kernel", "vmlinuz"], 2, &["vmlinuz: no such file"])
}

#[test]
fn a_file_that_is_no_linux_kernel_is_refused() -> Result<()> {
    let session = Session::new()?;
    session.file("notes.txt", b"not a kernel")?;
    fails(&session, &["--kernel", "notes.txt"], 2, &["notes.txt: neither a bzImage", "--kernel", "--module"])
}

#[test]
fn headers_of_another_version_are_not_taken() -> Result<()> {
    let session = Session::new()?;
    session.file("vmlinuz", &kernel_of("9.9.9-cloud-amd64"))?;
    let words = ["9.9.9-cloud-amd64/build: no headers of kernel 9.9.9", "cargo xtask setup", "--module"];
    fails(&session, &["--kernel", "vmlinuz"], 3, &words)
}

#[test]
fn a_module_and_a_program_that_are_not_there_are_named() -> Result<()> {
    let session = Session::new()?;
    session.file("vmlinuz", &kernel_of("9.9.9"))?;
    fails(&session, &["--kernel", "vmlinuz", "--module", "their.ko"], 2, &["their.ko: No such file"])?;
    let program = ["--kernel", "vmlinuz", "--program"];
    fails(&session, &[&program[..], &["their_test --fast"]].concat(), 2, &["their_test: No such file"])
}

#[test]
fn what_can_not_travel_into_a_guest_is_told_in_one_error() -> Result<()> {
    let session = Session::new()?;
    session.file("vmlinuz", &kernel_of("9.9.9"))?;
    session.file("text", b"echo\n")?;
    session.file("script", b"#!/no/such/interpreter -x\n")?;
    session.file("dos", b"#!/bin/sh\r\necho\r\n")?;
    session.file("packed.ko.xz", b"not packed")?;
    for (option, value, words) in [
        ("--program", "./test 'a", &["--program", "a quote is not closed"][..]),
        ("--program", "", &["--program", "names no program"]),
        ("--program", "./text", &["./text: neither an ELF program nor a script"]),
        ("--program", "./script", &["./script: its interpreter \"/no/such/interpreter\" isn't here"]),
        ("--program", "./dos", &["./dos: its interpreter \"/bin/sh\\r\" isn't here"]),
        ("--file", "none:/etc/none", &["none: No such file"]),
        ("--file", "text:/init", &["text: would be where a file of barscope's is in the guest"]),
        ("--file", ":", &["--file", "names no file"]),
        ("--dir", "text:/srv", &["text: not a directory"]),
        ("--dir", "text", &["--dir", "names no two folders"]),
        ("--module", "packed.ko.xz", &["packed.ko.xz: can't be unpacked"]),
    ] {
        fails(&session, &["--kernel", "vmlinuz", option, value], 2, words)
            .with_context(|| format!("{option} {value:?}"))?;
    }
    Ok(())
}

/// A program elsewhere finds nothing that `cargo xtask setup` has unpacked.
#[test]
fn without_qemu_nested_names_what_is_missing() -> Result<()> {
    let session = Session::new()?;
    let elsewhere = session.path("barscope");
    fs::copy(binary()?, &elsewhere)?;
    let mut command = std::process::Command::new(&elsewhere);
    command.args(LINUX).arg("--nested").env("PATH", "").current_dir(session.path(""));
    let words = ["--nested needs qemu-system-x86_64", "cargo xtask setup"];
    failed(&command.output()?.into(), 3, &words);
    Ok(())
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn on_linux_without_make_it_says_what_is_missing() -> Result<()> {
    let session = Session::new()?;
    let mut command = session.barscope(&LINUX)?;
    // No driver of an earlier time either.
    command.env("PATH", "").env("XDG_CACHE_HOME", session.path("cache"));
    failed(&command.output()?.into(), 3, &["no make here", "cargo xtask setup", "--module"]);
    Ok(())
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn on_linux_an_initramfs_that_memory_has_no_room_for_is_told_its_size() -> Result<()> {
    let session = Session::new()?;
    // The kernel takes the better part of 96 MiB.
    session.file("large.ko", &vec![0; 60 << 20])?;
    let arguments = ["--nested", "--memory", "96", "--module", "large.ko"];
    fails(&session, &arguments, 2, &["an initramfs of 6", "into 96 MiB", "try a larger --memory"])
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn on_linux_a_module_that_the_kernel_refuses_is_shown_with_the_kernels_word_on_it() -> Result<()> {
    const SIGNATURE: &[u8] = b"~Module signature appended~\n";
    let session = Session::new()?;
    let mut module = fs::read(a_module()?)?;
    // Compiled for another kernel: its signature goes, and what it says that it is for is changed.
    if module.ends_with(SIGNATURE) {
        module.truncate(module.len() - SIGNATURE.len());
    }
    let made_for = module.windows(10).position(|bytes| bytes == b"mod_unload").context("no vermagic")?;
    module[made_for..made_for + 10].copy_from_slice(b"mod_unlike");
    session.file("other.ko", &module)?;
    let words = ["/modules/other.ko: Exec format error", "version magic '", "mod_unlike", "should be '"];
    fails_nested(&session, &["--module", "other.ko"], 1, &words)?;
    Ok(())
}

/// One of the kernel's own.
fn a_module() -> Result<PathBuf> {
    for root in debian()? {
        for kernel in fs::read_dir(root.join("lib/modules")).into_iter().flatten().flatten() {
            let module = kernel.path().join("kernel/drivers/char/virtio_console.ko");
            if kernel.file_name().to_string_lossy().ends_with("-cloud-amd64") && module.is_file() {
                return Ok(module);
            }
        }
    }
    anyhow::bail!("no virtio_console.ko: cargo xtask setup")
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn on_linux_a_guest_that_panics_is_told_with_its_reason() -> Result<()> {
    let words = [
        "error: Kernel panic - not syncing: VFS",
        "Call Trace:",
        "the guest reset the machine",
        "the guest's console is in barscope.console",
    ];
    fails_nested(&Session::new()?, &["--append", "rdinit=/none"], 1, &words)?;
    Ok(())
}

#[test]
#[ignore = "needs QEMU, Debian's kernel and its headers"]
fn on_linux_a_guest_that_hangs_is_stopped_by_the_time_limit_and_located() -> Result<()> {
    let arguments = ["--timeout", "25", "--program", "/usr/bin/sleep 1000"];
    let words = ["did not end in time", "--timeout S", "vCPU 0 at "];
    let session = Session::new()?;
    let mut command = session.barscope(&[&LINUX[..], &["--nested"], &arguments].concat())?;
    // As if standard error were a terminal.
    let ended = Ended::from(command.env("BARSCOPE_PROGRESS", "1").output()?);
    failed(&ended, 1, &words);
    for stage in ["booting Linux .. 1 s", "program 1 of 1 sleep 1000 .. "] {
        assert!(ended.stderr.contains(stage), "no {stage:?} in: {}", ended.stderr);
    }
    let trace = session.trace()?;
    ensure!(matches!(trace.info().end, Some(End::Interrupted(_))), "{:?}", trace.info().end);
    Ok(())
}
