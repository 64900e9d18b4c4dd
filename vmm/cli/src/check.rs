//! `barscope check`: holds expectation files and goldens against a trace.

use std::time::Duration;

use barscope_analysis::reports::Reports;
use barscope_analysis::results::{GuestEnd, Played, Results};
use barscope_analysis::view::Viewer;
use barscope_trace::Stream;

use crate::args::Check;
use crate::ending::{Code, Failure, worst};
use crate::expectations;
use crate::golden::Goldens;

/// Runs the command.
///
/// # Errors
/// A file can't be read, or an expectation can't be understood.
pub fn check(args: &Check) -> Result<Code, Failure> {
    let goldens = Goldens::read(&args.golden)?;
    let expectations = expectations::read(&args.expect)?;
    if goldens.is_empty() && expectations.is_empty() && !args.expect.is_empty() {
        let why = "no test in these files: what their lines allow is for `barscope lint`";
        return Err(Failure::Diagnostic(why.to_owned()));
    }
    let (mut codes, mut groups) = goldens.check(&args.trace, args.format)?;
    if !expectations.is_empty() || goldens.is_empty() {
        let outcome = expectations.judge(&args.trace)?;
        codes.push(expectations::print(&outcome, args.format)?);
        groups.splice(0..0, outcome.groups());
    }
    if args.results.are_wanted() {
        let mut results = Results { groups };
        add_run(&mut results, args)?;
        args.results.write(results, args.format)?;
    }
    Ok(worst(&codes))
}

/// Adds what the trace tells of the run itself.
fn add_run(results: &mut Results, args: &Check) -> Result<(), Failure> {
    let (mut played, mut reports) = (Played::default(), Reports::default());
    let mut last_ns = 0;
    let mut viewer = Viewer::default();
    let mut stream = Stream::open(&args.trace)?;
    while let Some(event) = stream.next()? {
        last_ns = last_ns.max(event.host_ns);
        let view = viewer.view(stream.definitions(), &event);
        played.take(&view);
        if let Some(line) = view.console_line() {
            reports.take(view.seq, view.host_ns, line);
        }
    }
    let end = GuestEnd::of_trace(stream.info().end, Duration::from_nanos(last_ns));
    results.add_played(&played, &[]);
    results.add_guest(&end, &reports, stream.definitions());
    Ok(())
}
