//! `barscope lint`: what traces prove to be wrong about a driver.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use barscope_analysis::lint::{self, Allow, Allows, Class, Report};
use barscope_analysis::results::{Group, Results};

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
        out.write_all(about.text(output::width()).as_bytes())?;
    }
    if args.list {
        for about in lint::all() {
            out.write_all(about.row(output::width()).as_bytes())?;
        }
    }
    out.flush()?;
    if args.traces.is_empty() {
        return Ok(Code::Passed);
    }
    let traces: Vec<_> = args.traces.iter().map(PathBuf::as_path).collect();
    let linted = Linted::of(&traces, expectations::allows(&args.expect)?)?;
    linted.print(args.format, args.sites)?;
    Ok(linted.code(args.deny))
}

/// What lints make of traces.
pub struct Linted {
    /// The traces' names, and what is found in each.
    reports: Vec<(String, Report)>,
    /// Lines that allow what isn't there.
    unused: Vec<Allow>,
}

impl Linted {
    /// Lints traces, of whose findings some may be allowed.
    ///
    /// # Errors
    /// A trace can't be read.
    pub fn of(traces: &[&Path], mut allows: Allows) -> Result<Self, Failure> {
        let mut reports = Vec::new();
        for trace in traces {
            let mut report = lint::lint(trace)?;
            allows.mark(&mut report);
            let report = repositories().fold(report, |report, folder| report.relative_to(&folder));
            reports.push((trace.display().to_string(), report));
        }
        Ok(Self { reports, unused: allows.unused().cloned().collect() })
    }

    /// Prints findings, and sites if these are wanted.
    ///
    /// # Errors
    /// Standard output can't be written.
    pub fn print(&self, format: LintFormat, sites: bool) -> Result<(), Failure> {
        let mut out = output::buffered();
        self.write(format, sites, &mut out)?;
        out.flush()?;
        Ok(())
    }

    /// A failure if there is something of the class that is denied, or of a surer one, or a line that allows what isn't there.
    pub fn code(&self, deny: Option<Deny>) -> Code {
        let is_denied = |deny: Deny| {
            let class = deny.into();
            !self.unused.is_empty() || self.reports.iter().any(|(_, report)| report.has(class))
        };
        if deny.is_some_and(is_denied) { Code::Failed } else { Code::Passed }
    }

    /// The lints as cases of a run, in a group of this name: those fail of which something is denied.
    pub fn group(&self, name: &str, deny: Option<Deny>) -> Group {
        let mut group = Group { name: name.to_owned(), time: Duration::ZERO, cases: Vec::new() };
        for (_, report) in &self.reports {
            group.cases.extend(report.cases(deny.map(Class::from)));
        }
        if deny.is_some() {
            group.cases.extend(self.unused.iter().map(Allow::unused_case));
        }
        group
    }

    fn write(&self, format: LintFormat, sites: bool, out: &mut impl Write) -> io::Result<()> {
        let Self { reports, unused } = self;
        match format {
            LintFormat::Text => {
                for (trace, report) in reports {
                    if reports.len() > 1 {
                        writeln!(out, "{trace}:\n")?;
                    }
                    report.print_text(sites, (output::width(), output::color()), out)?;
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
                // Whoever asks for a report of findings takes each for a failure.
                let of_trace = |(trace, report): &(String, Report)| Group {
                    name: trace.clone(),
                    time: Duration::ZERO,
                    cases: report.cases(Some(Class::Likely)),
                };
                let mut groups: Vec<_> = reports.iter().map(of_trace).collect();
                if let Some(last) = groups.last_mut() {
                    last.cases.extend(unused.iter().map(Allow::unused_case));
                }
                Results { groups }.write_junit(out)
            }
        }
    }
}

/// Tells on standard error of certain findings that nobody allows, in one line.
pub fn hint(mut report: Report, allows: Vec<Allow>, trace: &Path) {
    Allows::from(allows).mark(&mut report);
    if let Some(findings) = report.certain() {
        complain(format_args!("lints: {findings} (barscope lint {})", trace.display()));
    }
}
