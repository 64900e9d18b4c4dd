//! Who looks on while events come: the printer, a filter, expectations. Each event is resolved once, for all
//! of them.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::time::Instant;

use barscope_trace::{Capabilities, Definitions, Event, ReadError, Stream, TraceInfo};

use crate::check::Expectations;
use crate::completeness::Completeness;
use crate::filter::Compiled;
use crate::lint::{Linter, Report};
use crate::print::{Printer, Totals};
use crate::reports::Reports;
use crate::results::Played;
use crate::view::{View, Viewer};

/// Looks on.
pub struct Watch {
    viewer: Viewer,
    totals: Totals,
    reports: Reports,
    played: Played,
    selection: Option<Selection>,
    /// `None` if nothing is to be printed, or once nobody reads standard output any more.
    printer: Option<Box<dyn Printer + Send>>,
    expectations: Expectations,
    linter: Option<Linter>,
    /// From when on nothing is printed any more, and how many records were left out for that.
    hurry: Option<Instant>,
    left_out: u64,
}

/// Which records are shown.
pub struct Selection {
    like: Compiled,
    /// What a record led to is shown with it.
    with_effects: bool,
    /// The last record that was selected.
    last: Option<u64>,
}

impl Selection {
    /// Records like this; with what devices did because of them, if that is wanted.
    pub fn new(like: Compiled, with_effects: bool) -> Self {
        Self { like, with_effects, last: None }
    }

    fn takes(&mut self, view: &View) -> bool {
        if self.like.matches(view) {
            self.last = Some(view.seq);
            return true;
        }
        self.with_effects && view.is_effect() && view.cause().is_some() && view.cause() == self.last
    }
}

impl Watch {
    /// Prints what is selected, and holds everything against expectations.
    pub fn new(
        selection: Option<Selection>,
        printer: Option<Box<dyn Printer + Send>>,
        expectations: Expectations,
    ) -> Self {
        Self {
            viewer: Viewer::default(),
            totals: Totals::default(),
            reports: Reports::default(),
            played: Played::default(),
            selection,
            printer,
            expectations,
            linter: None,
            hurry: None,
            left_out: 0,
        }
    }

    /// The same of a trace of which this is told.
    #[must_use]
    pub fn knowing(self, capabilities: &Capabilities) -> Self {
        Self { viewer: Viewer::knowing(capabilities), ..self }
    }

    /// The same, with lints.
    #[must_use]
    pub fn linting(self, linter: Option<Linter>) -> Self {
        Self { linter, ..self }
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// Standard output can't be written.
    pub fn event(&mut self, definitions: &Definitions, event: &Event) -> io::Result<()> {
        let view = self.viewer.view(definitions, event);
        self.totals.add(&view);
        if let Some(line) = view.console_line() {
            self.reports.take(view.seq, view.host_ns, line);
        }
        self.played.take(&view);
        self.expectations.take(definitions, &view);
        if let Some(linter) = &mut self.linter {
            linter.take(definitions, &view);
        }
        let shown = self.selection.as_mut().is_none_or(|selection| selection.takes(&view));
        let Some(printer) = &mut self.printer else { return Ok(()) };
        if shown && self.hurry.is_some_and(|hurry| Instant::now() >= hurry) {
            self.left_out += 1;
            Ok(())
        } else if shown {
            let printed = printer.print(definitions, &view);
            self.printed(printed)
        } else {
            printer.pass(&view);
            Ok(())
        }
    }

    /// Takes an event that comes before those that matter.
    pub fn pass(&mut self, definitions: &Definitions, event: &Event) {
        let view = self.viewer.view(definitions, event);
        if let Some(printer) = &mut self.printer {
            printer.pass(&view);
        }
    }

    /// Has what was printed so far seen, by a reader of a pipe too.
    ///
    /// # Errors
    /// Standard output can't be written.
    pub fn flush(&mut self) -> io::Result<()> {
        let Some(printer) = &mut self.printer else { return Ok(()) };
        let flushed = printer.flush();
        self.printed(flushed)
    }

    /// Takes the end.
    ///
    /// # Errors
    /// Standard output can't be written.
    pub fn finish(&mut self, info: &TraceInfo<'_>) -> io::Result<()> {
        let Some(printer) = &mut self.printer else { return Ok(()) };
        let printed = printer.finish(info);
        self.printed(printed)
    }

    /// Prints no record after that time.
    pub fn hurry(&mut self, until: Option<Instant>) {
        self.hurry = until;
    }

    /// How many records were not printed for want of time.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Whether anybody reads what is printed.
    pub fn is_read(&self) -> bool {
        self.printer.is_some()
    }

    /// What it all came to.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// What the guest's kernel reported.
    pub fn reports(&self) -> &Reports {
        &self.reports
    }

    /// The scenarios that were played.
    pub fn played(&self) -> &Played {
        &self.played
    }

    /// The expectations.
    pub fn expectations(&mut self) -> &mut Expectations {
        &mut self.expectations
    }

    /// What lints found, of a trace that can tell this, if they were asked. Names that a guest told late are missing in it.
    pub fn lints(&mut self, capabilities: &Capabilities) -> Option<Report> {
        Some(self.linter.take()?.finish(capabilities, Completeness::default()))
    }

    /// A reader that has seen enough (`| head`) ends the printing, and nothing else.
    fn printed(&mut self, result: io::Result<()>) -> io::Result<()> {
        match result {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.printer = None;
                Ok(())
            }
            other => other,
        }
    }
}

/// The last events that match, as many as `count`.
///
/// # Errors
/// The trace can't be read.
pub fn last_like(
    stream: &mut Stream,
    selection: &Compiled,
    count: u64,
) -> Result<VecDeque<Event>, ReadError> {
    let mut viewer = Viewer::default();
    let mut kept = VecDeque::new();
    while let Some(event) = stream.next()? {
        let view = viewer.view(stream.definitions(), &event);
        if selection.matches(&view) {
            kept.push_back(event);
            if kept.len() as u64 > count {
                kept.pop_front();
            }
        }
    }
    Ok(kept)
}
