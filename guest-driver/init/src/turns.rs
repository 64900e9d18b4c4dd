//! Turns: task after task in one guest, each in a file system, with modules and with devices of its own.
//!
//! Process 1 gets the files of a turn from the host and has a process of its own play it. When that is over, the trace is.
//! Then nothing may be left of it: processes are killed, modules unloaded, devices removed, files gone. If anything is, or the
//! kernel has met an error, the guest ends, and the host boots another one for the next turn.

use std::fs;
use std::io;
use std::os::unix::fs::chroot;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use crate::task::Task;
use crate::{archive, bench, mounts, symbols, system, work};

/// This file by that name plays a turn.
pub const PLAYER: &str = "turn";
/// By that name it removes modules and devices: what their drivers do wrong then kills it alone.
pub const TIDIER: &str = "tidy";

/// Where a turn's files are.
const ROOT: &str = "/turn";
/// How long it may take until nothing is left of a turn.
const PATIENCE: Duration = Duration::from_secs(8);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// Which messages go to the console.
const PRINTK: &str = "/proc/sys/kernel/printk";
const TAINTED: &str = "/proc/sys/kernel/tainted";
const MODULES: &str = "/proc/modules";
const DEVICES: &str = "/sys/bus/pci/devices";
const RESCAN: &str = "/sys/bus/pci/rescan";
/// What taints a kernel and is no error of its: modules that are proprietary, forced, staging, from outside or unsigned
/// (`tainted-kernels.rst`).
const HARMLESS: u64 = 1 << 0 | 1 << 1 | 1 << 3 | 1 << 10 | 1 << 12 | 1 << 13;

/// Plays turns until something is left of one. Whether that one went well.
///
/// # Errors
/// What the system said.
pub fn play() -> io::Result<bool> {
    let messages = fs::read_to_string(PRINTK)?;
    let harmless = tainted()? | HARMLESS;
    fs::create_dir_all(ROOT)?;
    loop {
        let passed = play_one()?;
        bench::turn_end(u64::from(!passed));
        if let Err(error) = clean(harmless) {
            eprintln!("init: {error}");
            return Ok(passed);
        }
        fs::write(PRINTK, &messages)?;
        bench::tidy();
        // Another one begins, with devices that nobody has seen.
        fs::write(RESCAN, "1")?;
        symbols::tell_kernel()?;
    }
}

fn play_one() -> io::Result<bool> {
    system::mount_kind("tmpfs", ROOT)?;
    archive::unpack(&fetched()?, Path::new(ROOT))?;
    mounts::mount_below("/turn/")?;
    let mut player = named(PLAYER).spawn()?;
    // Whoever has no parent any more is process 1's.
    Ok(until_ended(&mut player, None)?.is_some_and(|status| status.success()))
}

/// The archive that the host has.
fn fetched() -> io::Result<Vec<u8>> {
    let mut length = [0; 8];
    bench::fetch(0, &mut length);
    let length = usize::try_from(u64::from_le_bytes(length)).map_err(io::Error::other)?;
    let mut archive = Vec::new();
    archive.try_reserve_exact(length).map_err(io::Error::other)?;
    archive.resize(length, 0);
    bench::fetch(8, &mut archive);
    Ok(archive)
}

/// What [`PLAYER`] does.
pub fn play_here() -> ExitCode {
    let played = chroot(ROOT).and_then(|()| bench::open("init")).and_then(|()| work::play(&Task::read()?));
    match played {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("init: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Leaves nothing of a turn.
fn clean(harmless: u64) -> io::Result<()> {
    // Its locks may be held for ever.
    sound(harmless)?;
    let deadline = Instant::now() + PATIENCE;
    while are_others()? {
        if Instant::now() > deadline {
            return Err(io::Error::other("a process of the turn can't be killed"));
        }
        system::kill_all()?;
        thread::sleep(LOOK);
        while system::reap()? {}
    }
    let mut tidier = named(TIDIER).spawn()?;
    match until_ended(&mut tidier, Some(deadline))? {
        Some(status) if status.success() => {}
        _ => return Err(io::Error::other("modules or devices of the turn can't be removed")),
    }
    system::unmount(ROOT)?;
    sound(harmless)
}

/// Refuses a kernel that has met an error.
fn sound(harmless: u64) -> io::Result<()> {
    if tainted()? & !harmless == 0 { Ok(()) } else { Err(io::Error::other("the kernel has met an error")) }
}

fn tainted() -> io::Result<u64> {
    fs::read_to_string(TAINTED)?.trim().parse().map_err(io::Error::other)
}

/// Whether there are processes but this one. A thread of the kernel has no program, nor has one that has ended.
fn are_others() -> io::Result<bool> {
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let number = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        if number.is_some_and(|number| number != 1) && fs::read_link(entry.path().join("exe")).is_ok() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What [`TIDIER`] does.
pub fn tidy_up() -> ExitCode {
    match unload_all().and_then(|()| remove_devices()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("init: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Unloads modules, each before those that it needs.
fn unload_all() -> io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let loaded = fs::read_to_string(MODULES)?;
        let Some(newest) = loaded.lines().next() else { return Ok(()) };
        for line in loaded.lines() {
            // `NAME SIZE USES USERS STATE ADDRESS`
            let mut words = line.split_whitespace();
            let (name, uses) = (words.next().unwrap_or_default(), words.nth(1).unwrap_or_default());
            if uses == "0" && system::unload_module(name).is_ok() {
                break;
            }
        }
        if Instant::now() > deadline {
            return Err(io::Error::other(format!("can't be unloaded: {newest}")));
        }
        if fs::read_to_string(MODULES)? == loaded {
            thread::sleep(LOOK);
        }
    }
}

fn remove_devices() -> io::Result<()> {
    for device in fs::read_dir(DEVICES)? {
        let remove = device?.path().join("remove");
        // It may have gone with another one.
        if remove.exists() {
            fs::write(remove, "1")?;
        }
    }
    Ok(())
}

fn named(name: &str) -> Command {
    let mut command = Command::new("/init");
    command.arg0(name);
    command
}

/// Waits for a child, and takes in what others leave; its status, or `None` past the deadline.
fn until_ended(child: &mut Child, deadline: Option<Instant>) -> io::Result<Option<ExitStatus>> {
    let Some(deadline) = deadline else { return child.wait().map(Some) };
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() > deadline {
            return Ok(None);
        }
        thread::sleep(LOOK);
    }
}
