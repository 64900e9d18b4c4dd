//! `barscope check`: holds expectation files against a trace.

use crate::args::Check;
use crate::ending::{Code, Failure};
use crate::expectations::Expectations;

/// Runs the command.
///
/// # Errors
/// A file can't be read, or an expectation can't be understood.
pub fn check(args: &Check) -> Result<Code, Failure> {
    let outcome = Expectations::read(&args.expect)?.judge(&args.trace)?;
    if let Some(path) = &args.junit {
        outcome.write_junit(path)?;
    }
    outcome.print(args.format)?;
    Ok(outcome.code())
}
