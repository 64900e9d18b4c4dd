#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod bar_at;
mod described;
mod jsonl;
mod lines;
mod mmiotrace;
mod output;
mod places;
mod qemu;
mod rwmmio;
mod text;

use std::io::{self, BufRead};
use std::path::Path;

use barscope_device::{BarIndex, Description};
use barscope_trace::{Clock, WriteError, WriteOptions};

pub use self::bar_at::{BadBar, BarAt, BarPlace};
use self::lines::Lines;
use self::output::Output;

/// What another program wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// The kernel's mmiotrace.
    Mmiotrace,
    /// QEMU's `memory_region_ops_*` events.
    Qemu,
    /// The kernel's `rwmmio` events.
    Rwmmio,
    /// JSON Lines of ours.
    Jsonl,
}

/// What came of an import.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many lines there were.
    pub lines: u64,
    /// How many accesses of the device are in the trace.
    pub accesses: u64,
    /// How many other records.
    pub others: u64,
    /// How many records are lost: those that the file says so of, and one for each line that can't be understood.
    pub lost: u64,
    /// How many accesses went elsewhere, and the first pages and names of those.
    pub elsewhere: u64,
    /// Where some of them went: addresses, or regions by their names.
    pub elsewhere_at: Vec<String>,
    /// How many lines can't be understood.
    pub bad: u64,
    /// The first of them, by their numbers.
    pub bad_lines: Vec<(u64, String)>,
    /// How many lines are of other kinds than those that are read.
    pub skipped: u64,
    /// The most that a person should know besides.
    pub notes: Vec<String>,
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file can't be read.
    #[error("can't be read")]
    Read(#[source] io::Error),
    /// The trace can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The device has no such BAR.
    #[error("the device has no BAR{}", bar.get())]
    NoBar {
        /// The BAR.
        bar: BarIndex,
    },
    /// Nothing says where the device is.
    #[error("{0}")]
    NoPlace(&'static str),
    /// Nothing of the file was understood, or nothing of it is about the device.
    #[error("{0}")]
    Nothing(String),
}

/// Reads `input` and writes what it tells of the device to `trace`.
///
/// # Errors
/// [`ImportError`].
pub fn import(
    mut input: impl BufRead,
    format: Format,
    device: &Description,
    bars: &[BarAt],
    trace: &Path,
    options: WriteOptions,
) -> Result<Summary, ImportError> {
    let clock = match format {
        Format::Jsonl => jsonl::clock(input.fill_buf().map_err(ImportError::Read)?),
        Format::Mmiotrace => mmiotrace::clock(input.fill_buf().map_err(ImportError::Read)?),
        Format::Qemu | Format::Rwmmio => Clock::Host,
    };
    let mut lines = Lines::new(input);
    let mut output = Output::new(device, bars, trace, options, (format, clock))?;
    let mut reader: Box<dyn Reader> = match format {
        Format::Mmiotrace => Box::new(mmiotrace::Mmiotrace::default()),
        Format::Qemu => Box::new(qemu::Qemu),
        Format::Rwmmio => Box::new(rwmmio::Rwmmio::default()),
        Format::Jsonl => Box::new(jsonl::Jsonl::default()),
    };
    reader.begin(&mut output);
    while let Some(line) = lines.next().map_err(ImportError::Read)? {
        let number = line.number;
        output.line(number);
        let read = match line.text {
            Ok(text) => reader.line(text, &mut output)?,
            Err(why) => Line::Bad(why.to_owned()),
        };
        match read {
            Line::Taken => {}
            Line::Other => output.skip(),
            Line::Bad(why) => output.bad(number, why)?,
        }
    }
    reader.end(&mut output)?;
    output.finish()
}

/// What came of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Line {
    /// It was understood.
    Taken,
    /// It is something else, which is no concern of this format.
    Other,
    /// It should be understood, and isn't.
    Bad(String),
}

/// A format.
trait Reader {
    /// Says what the format can tell, before its first line.
    fn begin(&mut self, _: &mut Output) {}

    /// Takes a line.
    fn line(&mut self, text: &str, output: &mut Output) -> Result<Line, WriteError>;

    /// There are no more.
    fn end(&mut self, _: &mut Output) -> Result<(), WriteError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
