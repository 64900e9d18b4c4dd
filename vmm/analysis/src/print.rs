//! Printing traces: as text for people, as JSON for programs; while they grow, or whole.

mod json;
mod text;
mod totals;

use std::io;

use barscope_trace::{Definitions, TraceInfo};

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
/// while tail.info().end.is_none() {
///     for event in tail.poll()? {
///         let view = viewer.view(tail.definitions(), &event);
///         printer.print(tail.definitions(), &view)?;
///     }
/// }
/// printer.finish(&tail.info())?;
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
    fn finish(&mut self, info: &TraceInfo<'_>) -> io::Result<()>;
}

/// Prints a whole trace.
///
/// # Errors
/// What is printed to can't be written to.
pub fn print(trace: &Trace, printer: &mut dyn Printer) -> io::Result<()> {
    for view in trace.views().all() {
        printer.print(trace.definitions(), view)?;
    }
    printer.finish(&trace.info())
}
