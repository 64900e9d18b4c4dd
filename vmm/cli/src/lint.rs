//! `barscope lint`: what traces prove to be wrong about a driver.

use std::io::Write;

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
    let mut codes = Vec::new();
    for path in &args.traces {
        let report = lint::lint(path)?;
        match args.format {
            Format::Json => report.print_json(&path.display().to_string(), &mut out)?,
            Format::Text => {
                if args.traces.len() > 1 {
                    writeln!(out, "{}:\n", path.display())?;
                }
                report.print_text(&mut out)?;
            }
        }
        let denied = args.deny.is_some_and(|deny| match deny {
            Deny::Certain => report.has(Class::Certain),
            Deny::Likely => report.has(Class::Likely),
        });
        codes.extend(denied.then_some(Code::Failed));
    }
    out.flush()?;
    Ok(worst(&codes))
}
