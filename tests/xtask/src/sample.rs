//! `cargo xtask sample`: makes the trace that is checked in.

use std::fs::File;
use std::process::Command;

use crate::cargo::{cargo, root, succeed, target};

/// Where it lies, in the repository.
const SAMPLE: &str = "tests/data/sample.trace.gz";

/// Plays every scenario of the test kernel, and compresses the trace.
///
/// # Errors
/// The run fails, or a file can't be written.
pub fn run() -> Result<(), String> {
    let trace = target()?.join("sample.trace");
    let mut run = cargo(["run", "--release", "--package", "barscope", "--", "run", "--quiet", "--trace"]);
    succeed(run.arg(&trace))?;
    let sample = File::create(root().join(SAMPLE)).map_err(|error| format!("{SAMPLE}: {error}"))?;
    // Without the file's name and time: equal traces give equal files.
    let mut gzip = Command::new("gzip");
    succeed(gzip.args(["-9", "--no-name", "--stdout"]).arg(&trace).stdout(sample))?;
    eprintln!("xtask: {SAMPLE} is new");
    Ok(())
}
