//! `barscope diff`: compares two traces by what their records mean.

use std::io::Write;

use barscope_analysis::diff::{Verdict, compare};

use crate::args::Diff;
use crate::ending::{Code, Failure};
use crate::output::{self, Format};

/// Runs the command.
///
/// # Errors
/// A trace can't be read, a filter is wrong, standard output can't be written.
pub fn diff(args: &Diff) -> Result<Code, Failure> {
    let difference = compare(&args.left, &args.right, &args.terms.terms())?;
    let mut out = output::buffered();
    match args.format {
        Format::Text => difference.print_text(&mut out, output::width(), true)?,
        Format::Json => difference.print_json(&mut out)?,
    }
    out.flush()?;
    Ok(code(difference.verdict()))
}

/// The exit code that a verdict means.
pub fn code(verdict: Verdict) -> Code {
    match verdict {
        Verdict::Equal => Code::Passed,
        Verdict::Different => Code::Failed,
        Verdict::Inconclusive => Code::Inconclusive,
    }
}
