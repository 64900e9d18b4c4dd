//! Is what other programs read what the trace says? Each export of a run of all scenarios, and of a Linux guest's calls,
//! is read back by a reader that isn't ours.

mod csv_rows;
mod mmiotrace;
mod perfetto;
mod waves;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use barscope_analysis::Trace;
use barscope_analysis::print::{self, Printer};
use serde_json::Value;
use tempfile::TempDir;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/sample.trace.gz");

fn sample() -> Result<Trace> {
    Ok(Trace::open(SAMPLE.as_ref())?)
}

/// A file that a printer made of a trace.
fn exported(trace: &Trace, mut printer: impl Printer) -> Result<()> {
    Ok(print::print(trace, &mut printer)?)
}

/// A place for a file.
fn place(name: &str) -> Result<(TempDir, PathBuf)> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join(name);
    Ok((folder, path))
}

/// What a reader in Python says of a file: an object a line.
fn read_by(python: &Path, script: &str, path: &Path) -> Result<Vec<Value>> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(script);
    let output = Command::new(python).arg(&script).arg(path).output();
    let output = output.with_context(|| format!("cannot start {}", python.display()))?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
}
