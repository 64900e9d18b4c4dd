//! A trace as waveforms: registers with their fields, lines and counts as signals over device time.

mod fst;
mod names;
mod signals;
mod state;
mod vcd;

use std::io;

use barscope_analysis::print::Printer;
use barscope_analysis::view::View;
use barscope_trace::{Definitions, End, TraceInfo};

pub use self::fst::FstPrinter;
use self::signals::{Node, Signals};
use self::state::State;
pub use self::vcd::VcdPrinter;
use crate::gaps::Gaps;

/// A file of waveforms.
trait Sink {
    /// Writes which signals there are.
    fn begin(&mut self, nodes: &[Node]) -> io::Result<()>;

    /// Goes on to a later time, in nanoseconds.
    fn time(&mut self, ns: u64) -> io::Result<()>;

    /// Writes the new value of the signal at this place among all signals, `width` bits wide.
    fn change(&mut self, signal: usize, width: u32, value: u64) -> io::Result<()>;

    /// Writes something for people, where the format has room for that.
    fn comment(&mut self, text: &str) -> io::Result<()>;

    /// Has what was written so far seen.
    fn flush(&mut self) -> io::Result<()>;

    /// Writes the end.
    fn end(&mut self) -> io::Result<()>;
}

/// Writes what changes, when it does.
struct Wave<S> {
    sink: S,
    /// `None` before the first record.
    state: Option<State>,
    gaps: Gaps,
    /// What changed: place of the signal, width, new value.
    changes: Vec<(usize, u32, u64)>,
    /// The time that was written last; `None` before the first.
    time: Option<u64>,
}

impl<S: Sink> Wave<S> {
    fn new(sink: S) -> Self {
        Self { sink, state: None, gaps: Gaps::default(), changes: Vec::new(), time: None }
    }

    fn state(&mut self, definitions: &Definitions) -> io::Result<&mut State> {
        if self.state.is_none() {
            let signals = Signals::of(definitions);
            self.sink.begin(&signals.nodes)?;
            self.go_to(0)?;
            self.state = Some(State::new(signals));
        }
        self.state.as_mut().ok_or_else(|| io::Error::other("no signals"))
    }

    /// Time never goes back in these formats.
    fn go_to(&mut self, ns: u64) -> io::Result<()> {
        if self.time.is_none_or(|time| ns > time) {
            self.time = Some(ns);
            self.sink.time(ns)?;
        }
        Ok(())
    }

    fn write(&mut self, ns: u64) -> io::Result<()> {
        if self.changes.is_empty() {
            return Ok(());
        }
        self.go_to(ns)?;
        for (signal, width, value) in self.changes.drain(..) {
            self.sink.change(signal, width, value)?;
        }
        Ok(())
    }

    fn lost(&mut self, missing: u64, ns: u64) -> io::Result<()> {
        if missing == 0 {
            return Ok(());
        }
        if let Some(state) = &mut self.state {
            state.lose(missing, &mut self.changes);
        }
        self.write(ns)?;
        self.sink.comment(&format!("{missing} records are missing before this"))
    }

    /// What ends before `ns`, each at its time.
    fn elapse(&mut self, ns: u64) -> io::Result<()> {
        while let Some(state) = &mut self.state
            && let Some(at) = state.elapse(ns, &mut self.changes)
        {
            self.write(at)?;
        }
        Ok(())
    }
}

impl<S: Sink> Printer for Wave<S> {
    fn print(&mut self, definitions: &Definitions, view: &View) -> io::Result<()> {
        self.state(definitions)?;
        self.elapse(view.device_ns)?;
        let missing = self.gaps.before(view);
        self.lost(missing, view.device_ns)?;
        if let Some(state) = &mut self.state {
            state.take(definitions, &view.event, &mut self.changes);
        }
        self.write(view.device_ns)
    }

    fn pass(&mut self, view: &View) {
        self.gaps.before(view);
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }

    fn finish(&mut self, info: &TraceInfo<'_>) -> io::Result<()> {
        let last = self.state(info.definitions)?.last_ns();
        self.elapse(u64::MAX)?;
        self.lost(self.gaps.at_end(info), last)?;
        self.go_to(last)?;
        match info.end {
            None => self
                .sink
                .comment("the trace has no end: it was still being written, or its writer was killed")?,
            Some(End::Finished) => {}
            Some(end) => self.sink.comment(&format!("{}: {}", end.name(), end.reason()))?,
        }
        self.sink.end()
    }
}

/// The printer of a format is what writes its waveforms.
macro_rules! wave_printer {
    ($printer:ident: $($bounds:tt)+) => {
        impl<W: $($bounds)+> barscope_analysis::print::Printer for $printer<W> {
            fn print(
                &mut self,
                definitions: &barscope_trace::Definitions,
                view: &barscope_analysis::view::View,
            ) -> std::io::Result<()> {
                self.0.print(definitions, view)
            }

            fn pass(&mut self, view: &barscope_analysis::view::View) {
                self.0.pass(view);
            }

            fn flush(&mut self) -> std::io::Result<()> {
                self.0.flush()
            }

            fn finish(&mut self, info: &barscope_trace::TraceInfo<'_>) -> std::io::Result<()> {
                self.0.finish(info)
            }
        }
    };
}
use wave_printer;
