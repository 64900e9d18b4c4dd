//! The programs: each plays one scenario.

mod device;
mod in_use;
mod lifetime;
mod memory;
mod paths;
mod two_cpus;

use std::io;
use std::process::ExitCode;

use crate::bench;

/// What a scenario shows, or what did not hold.
type Outcome = Result<String, Box<dyn std::error::Error>>;

/// When the driver is loaded.
#[derive(Clone, Copy)]
pub enum Loaded {
    /// Before the scenario begins, with these parameters.
    Before(&'static str),
    /// As part of it.
    Within(&'static str),
}

/// A scenario as its program plays it.
#[derive(Clone, Copy)]
pub struct Entry {
    /// When the driver is loaded.
    pub driver: Loaded,
    /// The driver is not as it was when it ends.
    pub leaves_it_changed: bool,
    play: fn() -> Outcome,
}

/// The scenario with this name.
pub fn named(name: &str) -> Option<Entry> {
    use Loaded::{Before, Within};
    let (driver, play): (Loaded, fn() -> Outcome) = match name {
        "probe" => (Within(""), paths::probe),
        "ioctl-and-mmap" => (Before(""), paths::ioctl_and_mmap),
        "calls-or-loads" => (Before(""), paths::calls_or_loads),
        "mmap-by-fault" => (Before(""), paths::mmap_by_fault),
        "no-ioremap" => (Before("map_registers=0"), paths::no_ioremap),
        "iounmap" => (Before("irq=none"), paths::iounmap),
        "munmap" => (Before(""), paths::munmap),
        "small-bar" => (Before(""), paths::small_bar),
        "write-combining" => (Before(""), memory::write_combining),
        "sysfs" => (Before(""), memory::sysfs),
        "dev-mem" => (Before(""), memory::dev_mem),
        "file-mapping" => (Before(""), memory::file_mapping),
        "msi-x" => (Before("irq=msix"), device::msi_x),
        "msi" => (Before("irq=msi"), device::msi),
        "msi-shared" => (Before("irq=msi"), two_cpus::msi_shared),
        "intx" => (Before("irq=intx"), device::intx),
        "dma" => (Before(""), device::dma),
        "taken-back" => (Before("zap=1"), lifetime::taken_back),
        "outlives-driver" => (Before("zap=0"), lifetime::outlives_driver),
        "rescan" => (Before(""), lifetime::rescan),
        "unbind-in-use" => (Before(""), in_use::unbind_in_use),
        "signals" => (Before(""), two_cpus::signals),
        "two-cpus" => (Before(""), two_cpus::two_cpus),
        "memcpy" => (Before(""), memory::memcpy),
        _ => return None,
    };
    let leaves_it_changed =
        matches!(name, "sysfs" | "dev-mem" | "taken-back" | "outlives-driver" | "rescan" | "unbind-in-use");
    Some(Entry { driver, leaves_it_changed, play })
}

/// This process is the program `name`.
pub fn program(name: &str, arguments: &[String]) -> ExitCode {
    let played = bench::open(name).map_err(Into::into).and_then(|()| match arguments {
        [] => named(name).map_or_else(|| Err("no such program".into()), |entry| (entry.play)()),
        // What a scenario wants done in a process of its own, which may not survive it.
        [part] if part == "touch" => lifetime::touch(),
        [part] if part == "copy" => memory::copy(),
        [part] if part == "use" => in_use::use_until_gone(),
        [part, file, text] if part == "write" => write(file, text),
        _ => Err("no such argument".into()),
    });
    match played {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// The part of a scenario that writes to a file of the system.
fn write(file: &str, text: &str) -> Outcome {
    std::fs::write(file, text)?;
    Ok("written".to_owned())
}

/// What didn't hold, unless it did.
fn ensure(holds: bool, otherwise: impl Into<String>) -> io::Result<()> {
    if holds { Ok(()) } else { Err(io::Error::other(otherwise.into())) }
}

/// Both are equal, or what was there instead.
fn same(what: &str, found: u32, expected: u32) -> io::Result<()> {
    ensure(found == expected, format!("{what}: {found:#x} instead of {expected:#x}"))
}

/// The work failed with this system error, which the trace then tells.
fn refused<T>(what: &str, result: io::Result<T>, error: Errno) -> io::Result<()> {
    match result {
        Err(found) if found.raw_os_error() == Some(error as i32) => {
            bench::mark(&format!("{error:?}: {what}"));
            Ok(())
        }
        Err(found) => Err(io::Error::other(format!("{what} failed otherwise: {found}"))),
        Ok(_) => Err(io::Error::other(format!("{what} was not refused"))),
    }
}

/// System errors, by the numbers of Linux on x86-64.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::upper_case_acronyms, reason = "so they are called")]
enum Errno {
    EPERM = 1,
    EFAULT = 14,
    ENODEV = 19,
    EINVAL = 22,
}
