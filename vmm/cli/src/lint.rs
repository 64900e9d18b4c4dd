//! `barscope lint`: what traces prove to be wrong about a driver.

use std::io::Write;
use std::path::{Path, PathBuf};

use barscope_analysis::lint::{self, Allows};

use crate::args::{Deny, Lint};
use crate::ending::{Code, Failure};
use crate::expectations;
use crate::output::{self, Format};

/// Runs the command.
///
/// # Errors
/// A trace or an expectation file can't be read, there is no such lint, standard output can't be written.
pub fn lint(args: &Lint) -> Result<Code, Failure> {
    let mut out = output::buffered();
    if let Some(name) = &args.explain {
        let about = lint::find(name).map_err(Failure::Diagnostic)?;
        out.write_all(about.markdown().as_bytes())?;
    }
    if args.list {
        for about in lint::all() {
            writeln!(out, "{:<22} {:<8} {}", about.name, about.class.name(), about.title)?;
        }
    }
    out.flush()?;
    let traces: Vec<_> = args.traces.iter().map(PathBuf::as_path).collect();
    judge(&traces, args.format, args.deny, expectations::allows(&args.expect)?)
}

/// Prints what lints find in traces. A failure if there is something of the class that is denied, or of a surer one, or a
/// line that allows what isn't there.
///
/// # Errors
/// A trace can't be read, or standard output not be written.
pub fn judge(
    traces: &[&Path],
    format: Format,
    deny: Option<Deny>,
    mut allows: Allows,
) -> Result<Code, Failure> {
    let mut out = output::buffered();
    let mut is_denied = false;
    for trace in traces {
        let mut report = lint::lint(trace)?;
        allows.mark(&mut report);
        if traces.len() > 1 && format == Format::Text {
            writeln!(out, "{}:\n", trace.display())?;
        }
        match format {
            Format::Json => report.print_json(&trace.display().to_string(), &mut out)?,
            Format::Text => report.print_text(&mut out)?,
        }
        out.flush()?;
        is_denied |= deny.is_some_and(|deny| report.has(deny.into()));
    }
    for allow in allows.unused() {
        match format {
            Format::Text => writeln!(out, "{}", allow.unused())?,
            Format::Json => output::json(&mut out, allow)?,
        }
        is_denied |= deny.is_some();
    }
    out.flush()?;
    Ok(if is_denied { Code::Failed } else { Code::Passed })
}
