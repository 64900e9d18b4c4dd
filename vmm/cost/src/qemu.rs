//! The same guest in QEMU, with its `edu`.

use std::fs;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use barscope_vmm::debian;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::time::Timespec;
use tempfile::TempDir;

use crate::Error;
use crate::clock::Stamp;

/// A machine with nothing but `edu`. Its first bytes of firmware are qboot's, which need no second; the guest's marks come
/// out at standard output; its thread of the vCPU has a name.
const ARGUMENTS: [&str; 20] = [
    "-M",
    "q35",
    "-accel",
    "kvm",
    "-m",
    "32",
    "-nodefaults",
    "-no-user-config",
    "-no-reboot",
    "-display",
    "none",
    "-bios",
    "qboot.rom",
    "-device",
    "edu",
    "-chardev",
    "stdio,id=marks,signal=off",
    "-name",
    "loop,debug-threads=on",
    "-device",
];
const MARKS: &str = "isa-debugcon,chardev=marks,iobase=0xe9";
/// What QEMU calls the thread.
const THREAD: &str = "CPU 0/KVM";
/// What it records of accesses to devices.
const EVENTS: [&str; 2] = ["memory_region_ops_read", "memory_region_ops_write"];
/// How often a loop is run whose marks come late, and by what part of its time they may.
const TRIES: usize = 5;
const LATE: f64 = 0.01;
/// Seconds that a mark may take to come.
const LIMIT: i64 = 60;

/// Ends with QEMU's process.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It fails if QEMU has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether there is a QEMU, installed or unpacked.
pub fn is_there() -> bool {
    debian::qemu().is_some()
}

/// Time between a guest's marks, as they come out of QEMU. With `traced`, it records each access in a file.
///
/// # Errors
/// If QEMU isn't there or can't be started, or the guest does something else than its loop.
pub fn time(image: &[u8], traced: bool) -> Result<Duration, Error> {
    let mut best = once(image, traced)?;
    for _ in 1..TRIES {
        if best.late <= best.time.mul_f64(LATE) {
            break;
        }
        best = [best, once(image, traced)?].into_iter().min_by_key(|timed| timed.late).unwrap_or(best);
    }
    Ok(best.time)
}

/// A loop's time.
#[derive(Clone, Copy)]
struct Timed {
    time: Duration,
    /// How late its marks were seen. What its thread waited for meanwhile may have been before a mark or after it.
    late: Duration,
}

fn once(image: &[u8], traced: bool) -> Result<Timed, Error> {
    let missing = || Error::system("qemu-system-x86_64")(io::ErrorKind::NotFound.into());
    let command = debian::qemu().ok_or_else(missing)?;
    let folder = TempDir::new().map_err(Error::system("a folder for QEMU"))?;
    let process = start(command, folder.path(), image, traced);
    let mut process = process.map_err(Error::system("qemu-system-x86_64"))?;
    let marks = process.0.stdout.take().ok_or_else(|| ended(folder.path()))?;
    between_marks(marks, process.0.id()).map_err(|_| ended(folder.path()))
}

fn start(mut command: Command, folder: &Path, image: &[u8], traced: bool) -> io::Result<Process> {
    fs::write(folder.join("guest"), image)?;
    command.args(ARGUMENTS).args([MARKS, "-kernel", "guest", "-D", "trace"]).current_dir(folder);
    if traced {
        command.args(EVENTS.iter().flat_map(|event| ["-trace", event]));
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(fs::File::create(folder.join("complaints"))?);
    command.spawn().map(Process)
}

fn between_marks(mut marks: ChildStdout, process: u32) -> io::Result<Timed> {
    let (began, first_late) = arrival(&mut marks)?;
    let thread = schedstat(process).unwrap_or_default();
    let began = Stamp::of(began, &thread);
    let (ended, second_late) = arrival(&mut marks)?;
    Ok(Timed { time: Stamp::of(ended, &thread).since(began), late: first_late + second_late })
}

/// When the next mark came, and how much later this thread, which waited for a processor, saw it.
fn arrival(marks: &mut ChildStdout) -> io::Result<(Instant, Duration)> {
    let asleep = Stamp::now();
    let limit = Timespec { tv_sec: LIMIT, tv_nsec: 0 };
    if poll(&mut [PollFd::new(marks, PollFlags::IN)], Some(&limit))? == 0 {
        return Err(io::ErrorKind::TimedOut.into());
    }
    marks.read_exact(&mut [0])?;
    let awake = Stamp::now();
    let came = asleep.at() + awake.since(asleep);
    Ok((came, awake.at().saturating_duration_since(came)))
}

/// The file with what the scheduler knows of the vCPU's thread.
fn schedstat(process: u32) -> io::Result<String> {
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let folder = thread?.path();
        if fs::read_to_string(folder.join("comm")).is_ok_and(|name| name.trim_end() == THREAD) {
            return Ok(folder.join("schedstat").display().to_string());
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

fn ended(folder: &Path) -> Error {
    let complaints = fs::read_to_string(folder.join("complaints")).unwrap_or_default();
    let said = complaints.lines().find(|line| !line.contains(": warning: "));
    let what = said.unwrap_or("its second mark did not come").to_owned();
    Error::Guest { machine: "QEMU", what }
}
