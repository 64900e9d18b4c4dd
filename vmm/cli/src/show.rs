//! `barscope show`: prints a trace, or the records of it that a filter selects.

use barscope_analysis::check::Expectations;
use barscope_analysis::watch::{Selection, Watch, last_like};
use barscope_trace::Stream;

use crate::args::Show;
use crate::ending::{Code, Failure};
use crate::filters::{compile, filter};
use crate::output::{self, Format};

/// How many records before the first one that is shown are looked at: what runs then (the scenario, interrupt
/// handlers) has mostly begun within them.
const BEFORE: u64 = 1 << 16;

/// Runs the command.
///
/// # Errors
/// The trace can't be read, the filter is wrong, standard output can't be written.
pub fn show(args: &Show) -> Result<Code, Failure> {
    let filter = filter(&args.filter)?;
    let mut stream = Stream::open(&args.trace)?;
    let selection = compile(filter, stream.definitions())?;
    let all = selection.is_none() && args.last.is_none() && args.from.is_none() && args.to.is_none();
    let printer = output::printer(args.format, stream.info().clock, !all);
    match (args.last, selection) {
        // Which ones match shows only at the end.
        (Some(last), Some(selection)) => {
            let events = last_like(&mut stream, &selection, last)?;
            let watch = Watch::new(None, Some(printer), Expectations::default());
            let mut watch = watch.knowing(&stream.info().capabilities);
            let wanted: Vec<_> = events.iter().map(|event| event.seq).collect();
            let Some(first) = wanted.first() else { return end(&stream, watch) };
            stream.seek(first.saturating_sub(BEFORE))?;
            while let Some(event) = stream.next()? {
                if wanted.binary_search(&event.seq).is_ok() {
                    watch.event(stream.definitions(), &event)?;
                } else {
                    watch.pass(stream.definitions(), &event);
                }
            }
            end(&stream, watch)
        }
        (last, selection) => {
            let selection = selection.map(|like| Selection::new(like, args.format == Format::Text));
            let watch = Watch::new(selection, Some(printer), Expectations::default());
            let mut watch = watch.knowing(&stream.info().capabilities);
            let from = match last {
                Some(last) => (stream.last_seq()? + 1).saturating_sub(last),
                None => args.from.unwrap_or(0),
            };
            stream.seek(from.saturating_sub(BEFORE))?;
            while let Some(event) = stream.next()? {
                if args.to.is_some_and(|to| event.seq > to) || !watch.is_read() {
                    break;
                }
                if event.seq < from {
                    watch.pass(stream.definitions(), &event);
                } else {
                    watch.event(stream.definitions(), &event)?;
                }
            }
            end(&stream, watch)
        }
    }
}

fn end(stream: &Stream, mut watch: Watch) -> Result<Code, Failure> {
    watch.finish(&stream.info())?;
    Ok(Code::Passed)
}
