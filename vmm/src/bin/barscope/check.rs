//! `barscope check`: holds expectation files against a trace.

use trace::Stream;

use crate::args::Check;
use crate::ending::{Code, Failure};
use crate::expectations::Expectations;
use trace::view::Viewer;

/// Runs the command.
///
/// # Errors
/// A file can't be read, or an expectation can't be understood.
pub fn check(args: &Check) -> Result<Code, Failure> {
    let mut expectations = Expectations::read(&args.expect)?;
    let mut stream = Stream::open(&args.trace)?;
    let mut viewer = Viewer::default();
    while let Some(event) = stream.next()? {
        let view = viewer.view(stream.definitions(), &event);
        expectations.take(stream.definitions(), &view);
    }
    let outcome = expectations.finish(&(&stream).into())?;
    if let Some(path) = &args.junit {
        outcome.write_junit(path)?;
    }
    outcome.print(args.format)?;
    Ok(outcome.code())
}
