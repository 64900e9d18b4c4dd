//! `barscope check`: holds expectation files against a trace.

use crate::args::Check;
use crate::ending::{Code, Failure};
use crate::expectations;

/// Runs the command.
///
/// # Errors
/// A file can't be read, or an expectation can't be understood.
pub fn check(args: &Check) -> Result<Code, Failure> {
    let outcome = expectations::read(&args.expect)?.judge(&args.trace)?;
    if let Some(path) = &args.junit {
        expectations::write_junit(&outcome, path)?;
    }
    Ok(expectations::print(&outcome, args.format)?)
}
