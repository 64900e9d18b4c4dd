//! `barscope report`: writes a trace as a page.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;

use barscope_analysis::view::Viewer;
use barscope_report::{MAGIC, RECORDS_MAX};
use barscope_trace::Stream;
use barscope_vmm::HostError;

use crate::args::Report;
use crate::ending::{Code, Failure};
use crate::expectations;
use crate::filters::{compile, filter};
use crate::meant;
use crate::replaced::Replaced;
use crate::signals::Signals;

/// How many records pass before it is asked whether a signal came.
const LOOK: u64 = 1 << 14;

/// Runs the command.
///
/// # Errors
/// The trace or an expectation file can't be read, the filter is wrong, or the page can't be written, or would replace something else.
pub fn report(args: &Report) -> Result<Code, Failure> {
    let scenario = args.scenario.as_ref().map(|name| format!("scenario == \"{name}\""));
    let wanted: Vec<_> = match (&args.filter, scenario) {
        (Some(text), Some(scenario)) => vec![format!("({text}) {scenario}")],
        (text, scenario) => text.iter().cloned().chain(scenario).collect(),
    };
    let filter = filter(&wanted)?;
    let text = filter.as_ref().map(|(_, text)| text.clone());
    let expectations = expectations::read(&args.expect)?;
    let mut stream = Stream::open(&args.trace)?;
    let selection = compile(filter, stream.definitions())?.zip(text);
    let replaced = match &args.output {
        Some(path) => Some(Replaced::new(path, MAGIC, "report", args.force)?),
        None => None,
    };
    let mut signals = Signals::catch().map_err(|source| HostError::System { what: "signals", source })?;
    let mut viewer = Viewer::knowing(&stream.info().capabilities);
    let mut report = barscope_report::Report::new(RECORDS_MAX, selection);
    if !expectations.is_empty() {
        report.judged(&expectations.judge(&args.trace)?);
    }
    let mut allows = expectations.allows().to_vec();
    allows.extend(meant::in_trace(stream.definitions()));
    report.allow(allows.into());
    let mut count = 0_u64;
    while let Some(event) = stream.next()? {
        let view = viewer.view(stream.definitions(), &event);
        report.add(stream.definitions(), &view);
        count += 1;
        if count.is_multiple_of(LOOK) && signals.received().is_some() {
            return Ok(Code::Interrupted);
        }
    }
    let file = match &replaced {
        Some(replaced) => replaced.file()?,
        None => File::from(io::stdout().as_fd().try_clone_to_owned()?),
    };
    let mut out = BufWriter::new(file);
    let written = report.finish(&mut out, &stream).and_then(|()| out.flush());
    match (written, replaced) {
        (Ok(()), Some(replaced)) => replaced.complete()?,
        (Ok(()), None) => {}
        (Err(error), Some(replaced)) => return Err(replaced.failed(error)),
        (Err(error), None) => return Err(Failure::Print(error)),
    }
    Ok(Code::Passed)
}
