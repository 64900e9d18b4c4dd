//! Expectation files of the command line: read, and what came of them printed.

use std::io::{self, Write};
use std::path::PathBuf;

use barscope_analysis::check::{Expectations, Outcome, Tally};
use barscope_analysis::lint::Allows;

use crate::ending::{Code, Failure};
use crate::files::{TEXT_MAX, read_text};
use crate::output::{self, Format};

/// Reads files.
///
/// # Errors
/// The first that can't be read, or the first mistake in one.
pub fn read(paths: &[PathBuf]) -> Result<Expectations, Failure> {
    let mut expectations = Expectations::default();
    for path in paths {
        let text = read_text(path, TEXT_MAX)?;
        let name = path.display().to_string();
        expectations
            .add(path, &text)
            .map_err(|diagnostic| Failure::Diagnostic(diagnostic.show(&name, &text)))?;
    }
    Ok(expectations)
}

/// Reads files for what their lines allow lints to find.
///
/// # Errors
/// As [`read`].
pub fn allows(paths: &[PathBuf]) -> Result<Allows, Failure> {
    Ok(read(paths)?.allows().to_vec().into())
}

/// Prints what came of them; the exit code that it means.
///
/// # Errors
/// Standard output can't be written.
pub fn print(outcome: &Outcome, format: Format) -> io::Result<Code> {
    let mut out = output::buffered();
    match format {
        Format::Text => outcome.print_text(&mut out)?,
        Format::Json => outcome.print_json(&mut out)?,
    }
    out.flush()?;
    let Tally { failed, inconclusive, .. } = outcome.tally();
    Ok(match (failed, inconclusive) {
        (0, 0) => Code::Passed,
        (0, _) => Code::Inconclusive,
        _ => Code::Failed,
    })
}
