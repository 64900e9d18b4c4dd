//! Standard output: how wide it is, and whether it takes colours.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use barscope_analysis::print::{JsonPrinter, Printer, TextPrinter};
use barscope_analysis::summary::Summary;
use barscope_trace::Clock;
use clap::ValueEnum;
use serde::Serialize;

use crate::pager;

/// The most columns: nothing that is printed is padded to more than formatting takes.
const WIDEST: usize = 10_000;

/// Columns to print in where there is no terminal: one line an access, good for `grep`.
const WIDE: usize = 160;

/// How something is printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// When something is coloured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR or the like says otherwise.
    Auto,
    /// Wherever it is printed to.
    Always,
    /// Nowhere.
    Never,
}

impl Color {
    /// Makes it hold for all that is printed from here on.
    pub fn set(self) {
        match self {
            Self::Auto => {}
            Self::Always => ColorChoice::Always.write_global(),
            Self::Never => ColorChoice::Never.write_global(),
        }
    }
}

/// Columns to print in: what COLUMNS says, or the terminal's, behind a pager too.
pub fn width() -> usize {
    if let Some(width) = pager::width() {
        return width;
    }
    let asked = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let width = asked.unwrap_or_else(|| match terminal_size::terminal_size() {
        Some((width, _)) if io::stdout().is_terminal() => width.0.into(),
        _ => WIDE,
    });
    width.min(WIDEST)
}

/// Whether to colour: on a terminal, unless NO_COLOR or the like says otherwise.
pub fn color() -> bool {
    AutoStream::choice(&io::stdout()) != ColorChoice::Never
}

/// Standard output, buffered; colours are left out where they don't belong.
pub fn buffered() -> impl Write + Send {
    io::BufWriter::new(AutoStream::auto(io::stdout()))
}

/// Tells something on standard error. One that takes nothing is no reason to stop.
pub fn complain(text: impl fmt::Display) {
    writeln!(io::stderr(), "{text}").ok();
}

/// Prints records to standard output; `selective` if not all of them.
pub fn printer(format: Format, clock: Clock, selective: bool) -> Box<dyn Printer + Send> {
    match format {
        Format::Json => Box::new(JsonPrinter::new(io::BufWriter::new(io::stdout()), clock)),
        Format::Text if color() => text(buffered(), clock, true, selective),
        // It leaves colours out itself, and looking through every byte for some takes its time.
        Format::Text => text(io::BufWriter::new(io::stdout()), clock, false, selective),
    }
}

/// Prints what a run came to, on one screen.
pub fn summary(clock: Clock) -> Box<dyn Printer + Send> {
    Box::new(Summary::new(buffered(), clock, width(), color()))
}

fn text(
    out: impl Write + Send + 'static,
    clock: Clock,
    color: bool,
    selective: bool,
) -> Box<dyn Printer + Send> {
    let printer = TextPrinter::new(out, clock, width(), color);
    Box::new(if selective { printer.selective() } else { printer })
}

/// Prints one JSON object, on a line.
///
/// # Errors
/// `out` can't be written to.
pub fn json(out: &mut impl Write, object: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, object)?;
    writeln!(out)
}
