//! `barscope lint`: what traces prove to be wrong about a driver.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use barscope_analysis::lint::{self, Allow, Allows, Report};
use barscope_analysis::results::Results;

use crate::args::{Deny, Lint, LintFormat};
use crate::ending::{Code, Failure};
use crate::output::{self, complain};
use crate::results::repositories;
use crate::{expectations, sarif};

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
    if args.traces.is_empty() {
        return Ok(Code::Passed);
    }
    let traces: Vec<_> = args.traces.iter().map(PathBuf::as_path).collect();
    judge(&traces, args.format, args.sites, (args.deny, expectations::allows(&args.expect)?))
}

/// Prints what lints find in traces, and their sites if these are wanted. A failure if there is something of the class that
/// is denied, or of a surer one, or a line that allows what isn't there.
///
/// # Errors
/// A trace can't be read, or standard output not be written.
pub fn judge(
    traces: &[&Path],
    format: LintFormat,
    sites: bool,
    (deny, mut allows): (Option<Deny>, Allows),
) -> Result<Code, Failure> {
    let mut reports = Vec::new();
    for trace in traces {
        let mut report = lint::lint(trace)?;
        allows.mark(&mut report);
        let report = repositories().fold(report, |report, folder| report.relative_to(&folder));
        reports.push((trace.display().to_string(), report));
    }
    let unused: Vec<_> = allows.unused().collect();
    let mut out = output::buffered();
    print(&reports, &unused, (format, sites), &mut out)?;
    out.flush()?;
    let is_denied = |deny: Deny| {
        let class = deny.into();
        !unused.is_empty() || reports.iter().any(|(_, report)| report.has(class))
    };
    Ok(if deny.is_some_and(is_denied) { Code::Failed } else { Code::Passed })
}

/// Tells on standard error of certain findings that nobody allows, in one line.
pub fn hint(mut report: Report, allows: Vec<Allow>, trace: &Path) {
    Allows::from(allows).mark(&mut report);
    if let Some(findings) = report.certain() {
        complain(format_args!("lints: {findings} (barscope lint {})", trace.display()));
    }
}

fn print(
    reports: &[(String, Report)],
    unused: &[&Allow],
    (format, sites): (LintFormat, bool),
    out: &mut impl Write,
) -> io::Result<()> {
    match format {
        LintFormat::Text => {
            for (trace, report) in reports {
                if reports.len() > 1 {
                    writeln!(out, "{trace}:\n")?;
                }
                report.print_text(sites, out)?;
            }
            unused.iter().try_for_each(|allow| writeln!(out, "{}", allow.unused()))
        }
        LintFormat::Json => {
            reports.iter().try_for_each(|(trace, report)| report.print_json(trace, out))?;
            unused.iter().try_for_each(|allow| output::json(out, allow))
        }
        LintFormat::Sarif => sarif::write(reports, unused, out),
        LintFormat::Github => {
            reports.iter().try_for_each(|(_, report)| report.write_github(out))?;
            unused.iter().try_for_each(|allow| allow.write_unused_to_github(out))
        }
        LintFormat::Junit => {
            let mut groups: Vec<_> = reports.iter().map(|(trace, report)| report.group(trace)).collect();
            if let Some(last) = groups.last_mut() {
                last.cases.extend(unused.iter().map(|allow| allow.unused_case()));
            }
            Results { groups }.write_junit(out)
        }
    }
}
