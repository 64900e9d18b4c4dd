//! `barscope explain`: one record layer by layer, or two accesses side by side.

use std::io::Write;

use barscope_analysis::explain;

use crate::args::Explain;
use crate::ending::{Code, Failure};
use crate::output::{self, Format};

/// Runs the command.
///
/// # Errors
/// [`Failure`] if the trace or the record can't be read, or standard output can't be written.
pub fn explain(args: &Explain) -> Result<Code, Failure> {
    let (mut out, color) = (output::buffered(), output::color());
    let width = output::width();
    match (args.seq, args.compare.as_slice()) {
        (_, [left, right]) => {
            let comparison = explain::compare(&args.trace, *left, *right)?;
            match args.format {
                Format::Text => comparison.print(&mut out, width, color)?,
                Format::Json => output::json(&mut out, &comparison)?,
            }
        }
        (seq, _) => {
            let explanation = explain::explain(&args.trace, seq.unwrap_or_default())?;
            match args.format {
                Format::Text => explain::print(&mut out, &explanation, width, color)?,
                Format::Json => output::json(&mut out, &explanation)?,
            }
        }
    }
    out.flush()?;
    Ok(Code::Passed)
}
