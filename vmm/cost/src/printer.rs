//! A live printer as `barscope run` has one, whose output nobody keeps.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use barscope_analysis::check::Expectations;
use barscope_analysis::print::TextPrinter;
use barscope_analysis::watch::Watch;
use barscope_trace::Tail;

use crate::Error;

/// How long the machine runs between two looks at its trace, as in `barscope run`.
const TURN: Duration = Duration::from_millis(50);
/// Columns to print in.
const WIDTH: usize = 80;

/// A thread that follows a trace and prints it.
pub struct Printer {
    leave: Sender<()>,
    thread: JoinHandle<Result<(), Error>>,
}

impl Printer {
    /// Begins to print the trace of a machine that was just started.
    ///
    /// # Errors
    /// The trace can't be read.
    pub fn start(trace: &Path) -> Result<Self, Error> {
        let mut tail = Tail::open(trace)?;
        let nowhere = File::options().write(true).open("/dev/null").map_err(Error::system("/dev/null"))?;
        let printer = TextPrinter::new(BufWriter::new(nowhere), tail.info().clock, WIDTH, false);
        let mut watch = Watch::new(None, Some(Box::new(printer)), Expectations::default());
        let (leave, orders) = channel();
        let thread = thread::spawn(move || {
            // It leaves only after a look at all that was there when it was told to.
            loop {
                let last = orders.recv_timeout(TURN) != Err(RecvTimeoutError::Timeout);
                loop {
                    let events = tail.poll()?;
                    for event in &events {
                        watch.event(tail.definitions(), event).map_err(Error::system("/dev/null"))?;
                    }
                    if events.is_empty() || !last {
                        break;
                    }
                }
                watch.flush().map_err(Error::system("/dev/null"))?;
                if last {
                    return Ok(());
                }
            }
        });
        Ok(Self { leave, thread })
    }

    /// Has it print the rest.
    ///
    /// # Errors
    /// The trace can't be read.
    pub fn finish(self) -> Result<(), Error> {
        // If it is gone, what it left is there.
        self.leave.send(()).ok();
        let gone = || Error::Guest { machine: "barscope", what: "its printer panicked".to_owned() };
        self.thread.join().map_err(|_| gone())?
    }
}
