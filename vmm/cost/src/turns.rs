//! Turns of `barscope run --keep`: a module and a program in a guest that is there, next to a run that boots one.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::row::{Aim, Row};
use crate::samples::Samples;
use crate::{Each, Error, Plan};

const RUN: &str = "linux-run";
const TURN: &str = "kept-turn";

/// Names of rows.
pub const NAMES: [&str; 2] = [RUN, TURN];

/// A turn, from the command's start to its end.
const AIM: Aim = Aim::at_most(4e9);
/// How often each is measured at most: a run takes ten seconds.
const MOST: usize = 5;
/// The driver for lab is compiled once, and sent and loaded anew each time.
const WHAT: [&str; 6] = ["run", "--guest", "linux", "--nested", "--program", "/usr/bin/true"];

/// Measures both, if they are asked for by their names: that takes minutes.
pub fn measure(plan: &Plan, each: &mut Each<'_>) -> Result<(), Error> {
    if !NAMES.iter().any(|name| plan.names_row(name)) {
        return Ok(());
    }
    let folder = TempDir::new().map_err(Error::system("a folder for runs"))?;
    let kept = Kept { program: &plan.program, folder: &folder };
    // The first turn boots what is kept.
    kept.time(&["--keep"])?;
    let (mut runs, mut turns) = (Samples::default(), Samples::default());
    for _ in 0..plan.blocks.min(MOST) {
        runs.extend(kept.time(&[])?.as_nanos() as f64);
        turns.extend(kept.time(&["--keep"])?.as_nanos() as f64);
    }
    each(Row::of_blocks(RUN, "ns", &runs, None))?;
    each(Row::of_blocks(TURN, "ns", &turns, Some(&runs)).aim(AIM))
}

/// What is kept, apart from what the user keeps.
struct Kept<'a> {
    program: &'a Path,
    folder: &'a TempDir,
}

impl Kept<'_> {
    /// How long the command takes with these arguments besides.
    fn time(&self, arguments: &[&str]) -> Result<Duration, Error> {
        let began = Instant::now();
        let status = self.command().args(WHAT).arg("--quiet").args(arguments).status();
        let status = status.map_err(Error::system("barscope run"))?;
        if status.success() {
            return Ok(began.elapsed());
        }
        Err(Error::Guest { machine: "barscope run", what: status.to_string() })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.program);
        command.current_dir(self.folder).env("XDG_RUNTIME_DIR", self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command
    }
}

impl Drop for Kept<'_> {
    fn drop(&mut self) {
        // Otherwise it ends by itself, later.
        self.command().args(["nested", "--stop"]).status().ok();
    }
}
