//! `barscope lint`: what traces prove to be wrong about a driver.

use std::io::Write;
use std::path::Path;

use barscope_analysis::lint::{self, Class};

use crate::args::{Deny, Lint};
use crate::ending::{Code, Failure, worst};
use crate::output::{self, Format};

/// Runs the command.
///
/// # Errors
/// A trace can't be read, there is no such lint, standard output can't be written.
pub fn lint(args: &Lint) -> Result<Code, Failure> {
    let mut out = output::buffered();
    if let Some(name) = &args.explain {
        let about = lint::named(name).ok_or_else(|| Failure::Lint { name: name.clone() })?;
        out.write_all(about.markdown().as_bytes())?;
    }
    if args.list {
        for about in lint::all() {
            writeln!(out, "{:<22} {:<8} {}", about.name, about.class.name(), about.title)?;
        }
    }
    out.flush()?;
    let mut codes = Vec::new();
    for path in &args.traces {
        if args.traces.len() > 1 && args.format == Format::Text {
            writeln!(out, "{}:\n", path.display())?;
            out.flush()?;
        }
        codes.push(judge(path, args.format, args.sites, args.deny)?);
    }
    Ok(worst(&codes))
}

/// Prints what lints find in a trace, and their sites if these are wanted. A failure if there is something of the class that is denied, or of a surer one.
///
/// # Errors
/// The trace can't be read, or standard output not be written.
pub fn judge(trace: &Path, format: Format, sites: bool, deny: Option<Deny>) -> Result<Code, Failure> {
    let report = lint::lint(trace)?;
    let mut out = output::buffered();
    match format {
        Format::Json => report.print_json(&trace.display().to_string(), &mut out)?,
        Format::Text => report.print_text(sites, &mut out)?,
    }
    out.flush()?;
    let denied = deny.is_some_and(|deny| match deny {
        Deny::Certain => report.has(Class::Certain),
        Deny::Likely => report.has(Class::Likely),
    });
    Ok(if denied { Code::Failed } else { Code::Passed })
}
