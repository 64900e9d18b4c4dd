//! Printing traces: as text for people, as JSON for programs; while they grow, or whole.

pub(crate) mod json;
pub(crate) mod style;
mod text;
mod totals;
pub(crate) mod words;
pub(crate) mod wrap;

use std::io;
use std::path::Path;

use barscope_trace::Capabilities;
use barscope_trace::Definitions;
use barscope_trace::{Clock, End};
use barscope_trace::{Damage, Stream, Tail};

pub use json::{JsonPrinter, schema};
pub use text::TextPrinter;
pub use totals::Totals;

use crate::Trace;
use crate::view::View;

/// Prints events in their order, then what they come to.
///
/// ```no_run
/// # use barscope_analysis::{print::Printer, view::Viewer};
/// # use barscope_trace::Tail;
/// # fn follow(tail: &mut Tail, printer: &mut dyn Printer) -> Result<(), Box<dyn std::error::Error>> {
/// let mut viewer = Viewer::default();
/// while tail.end().is_none() {
///     for event in tail.poll()? {
///         let view = viewer.view(tail.definitions(), &event);
///         printer.print(tail.definitions(), &view)?;
///     }
/// }
/// printer.finish(&(&*tail).into())?;
/// # Ok(())
/// # }
/// ```
pub trait Printer {
    /// Prints an event, or keeps it to print it together with later ones.
    ///
    /// # Errors
    /// What is printed to can't be written to.
    fn print(&mut self, definitions: &Definitions, view: &View) -> io::Result<()>;

    /// Takes note of an event that isn't to be printed.
    fn pass(&mut self, view: &View);

    /// Has what was printed so far seen.
    ///
    /// # Errors
    /// What is printed to can't be written to.
    fn flush(&mut self) -> io::Result<()>;

    /// Prints what is kept, and the end.
    ///
    /// # Errors
    /// What is printed to can't be written to.
    fn finish(&mut self, ending: &Ending<'_>) -> io::Result<()>;
}

/// Prints a whole trace.
///
/// # Errors
/// What is printed to can't be written to.
pub fn print(trace: &Trace, printer: &mut dyn Printer) -> io::Result<()> {
    for view in trace.views().all() {
        printer.print(trace.definitions(), view)?;
    }
    printer.finish(&trace.into())
}

/// What is known when there are no more events.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'a> {
    /// Where the trace lies.
    pub path: &'a Path,
    /// Everything that was defined.
    pub definitions: &'a Definitions,
    /// What the device clock was.
    pub clock: Clock,
    /// How it ended; `None` if it didn't.
    pub end: Option<&'a End>,
    /// How many events are missing.
    pub lost: u64,
    /// Parts of the file that can't be trusted.
    pub damage: &'a [Damage],
    /// What the trace can tell.
    pub capabilities: Capabilities,
    /// How many records and definitions were skipped because this program doesn't know their kinds.
    pub unknown_kinds: u64,
}

impl<'a> From<&'a Trace> for Ending<'a> {
    fn from(trace: &'a Trace) -> Self {
        Self {
            path: trace.path(),
            definitions: trace.definitions(),
            clock: trace.clock(),
            end: trace.end(),
            lost: trace.lost(),
            damage: trace.damage(),
            capabilities: trace.capabilities(),
            unknown_kinds: trace.unknown_kinds(),
        }
    }
}

impl<'a> From<&'a Tail> for Ending<'a> {
    fn from(tail: &'a Tail) -> Self {
        Self {
            path: tail.path(),
            definitions: tail.definitions(),
            clock: tail.clock(),
            end: tail.end(),
            lost: tail.lost(),
            damage: tail.damage(),
            capabilities: tail.capabilities(),
            unknown_kinds: tail.unknown_kinds(),
        }
    }
}

impl<'a> From<&'a Stream> for Ending<'a> {
    fn from(stream: &'a Stream) -> Self {
        Self {
            path: stream.path(),
            definitions: stream.definitions(),
            clock: stream.clock(),
            end: stream.end(),
            lost: stream.lost(),
            damage: stream.damage(),
            capabilities: stream.capabilities(),
            unknown_kinds: stream.unknown_kinds(),
        }
    }
}
