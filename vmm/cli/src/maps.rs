//! `barscope maps`: who mapped what, from the BAR register on.

use std::io::Write;

use barscope_analysis::maps;

use crate::args::Maps;
use crate::ending::{Code, Failure};
use crate::output::{self, Format};

/// Runs the command.
///
/// # Errors
/// [`Failure`] if the trace can't be read, or standard output can't be written.
pub fn maps(args: &Maps) -> Result<Code, Failure> {
    let (maps, completeness) = maps::Maps::read(&args.trace)?;
    let (mut out, color) = (output::buffered(), output::color());
    match args.format {
        Format::Text => maps::print(&mut out, &maps, &completeness, output::width(), color)?,
        Format::Json => {
            output::json(&mut out, &serde_json::json!({ "maps": maps, "trace": completeness }))?;
        }
    }
    out.flush()?;
    Ok(Code::Passed)
}
