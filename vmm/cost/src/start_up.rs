//! How long it takes from the start of the command to the guest's first access.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use barscope_trace::{EventKind, Stream};
use tempfile::TempDir;

use crate::image::{Loop, Op, SCRATCH};
use crate::row::{Aim, Row};
use crate::samples::Samples;
use crate::{Each, Error, Plan, bare};

const BARE: &str = "start-up-bare";
const COMMAND: &str = "start-up";

/// The whole command, from `exec` to the first access of scenario `probe`.
const AIM: Aim = Aim::at_most(25_000_000.0);
/// How often the trace is looked for.
const LOOK: Duration = Duration::from_micros(20);
/// How long it may take to appear.
const LIMIT: Duration = Duration::from_secs(20);

/// Names of rows.
pub(crate) const NAMES: [&str; 2] = [BARE, COMMAND];

/// Measures what the plan asks for: whole processes, in turns.
pub(crate) fn measure(plan: &Plan, each: &mut Each<'_>) -> Result<(), Error> {
    if !NAMES.into_iter().any(|name| plan.wants(name)) {
        return Ok(());
    }
    let (mut bare, mut command) = (Samples::default(), Samples::default());
    // The first turn has files read.
    for turn in 0..=plan.blocks {
        let (without, with) = (bare_start(plan)?, command_start(&plan.program)?);
        if turn > 0 {
            bare.extend(without.as_nanos() as f64);
            command.extend(with.as_nanos() as f64);
        }
    }
    each(Row::of_blocks(BARE, "ns", &bare, None))?;
    each(Row::of_blocks(COMMAND, "ns", &command, Some(&bare)).aim(AIM))?;
    Ok(())
}

/// From the start of a process that runs [`first_access`] to its first byte.
fn bare_start(plan: &Plan) -> Result<Duration, Error> {
    let mut process = Command::new(&plan.program);
    process.args(&plan.bare_start).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    let began = Instant::now();
    let mut child = process.spawn().map_err(Error::system("the bare loop's process"))?;
    let mut byte = [0];
    let read = child.stdout.take().map(|mut out| out.read(&mut byte));
    let time = began.elapsed();
    child.wait().map_err(Error::system("the bare loop's process"))?;
    match read {
        Some(Ok(1)) => Ok(time),
        _ => Err(Error::Guest { machine: "the bare loop", what: "it made no access".to_owned() }),
    }
}

/// What the process of the bare loop does: runs to the first access, and says so by a byte.
///
/// # Errors
/// If the host can't run it.
pub fn first_access(mut out: impl std::io::Write) -> Result<(), Error> {
    let guest = Loop { place: SCRATCH, op: Op::Read, ring: 0, accesses: 1 };
    bare::run_to_access(&guest.image()?, guest.place.function.id)?;
    out.write_all(b"a").and_then(|()| out.flush()).map_err(Error::system("standard output"))
}

/// From the start of `barscope run --scenario probe` to its first access: when its trace appears, and what the trace says
/// of the time from there.
fn command_start(program: &Path) -> Result<Duration, Error> {
    let folder = TempDir::new().map_err(Error::system("a folder for the trace"))?;
    let trace = folder.path().join("trace");
    let mut process = Command::new(program);
    process.args(["run", "--quiet", "--no-config", "--scenario", "probe", "--trace"]).arg(&trace);
    process.stdin(Stdio::null()).stdout(Stdio::null());
    let began = Instant::now();
    let mut child = process.spawn().map_err(Error::system("barscope run"))?;
    let mut appeared = None;
    while appeared.is_none() && began.elapsed() < LIMIT {
        thread::sleep(LOOK);
        appeared = has_begun(&trace).then(|| began.elapsed());
    }
    let status = child.wait().map_err(Error::system("barscope run"))?;
    let failed = || Error::Guest { machine: "barscope run", what: status.to_string() };
    let appeared = appeared.filter(|_| status.success()).ok_or_else(failed)?;
    let mut stream = Stream::open(&trace)?;
    while let Some(event) = stream.next()? {
        if let EventKind::Access(_) = event.kind {
            return Ok(appeared + Duration::from_nanos(event.host_ns));
        }
    }
    Err(failed())
}

/// Whether a trace is there: its clock starts right after its first word, the magic one, is written.
fn has_begun(trace: &Path) -> bool {
    let mut magic = [0; 8];
    File::open(trace).is_ok_and(|file| file.read_exact_at(&mut magic, 0).is_ok()) && magic != [0; 8]
}
