//! `barscope export`: writes a trace for other programs.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Seek};
use std::os::fd::AsFd;

use barscope_analysis::check::Expectations;
use barscope_analysis::print::{JsonPrinter, Printer};
use barscope_analysis::watch::{Selection, Watch};
use barscope_export::{CsvPrinter, FstPrinter, MmiotracePrinter, PerfettoPrinter, VcdPrinter};
use barscope_trace::{Clock, End, Stream, TraceInfo};
use barscope_vmm::HostError;

use crate::args::{Export, ExportFormat};
use crate::ending::{Code, Failure};
use crate::filters::{compile, filter};
use crate::output::complain;
use crate::replaced::Replaced;
use crate::signals::Signals;

/// How many records pass before it is asked whether a signal came.
const LOOK: u64 = 1 << 14;
/// Bytes that are written at once.
const BUFFER: usize = 1 << 16;

impl ExportFormat {
    /// What it is, for people.
    fn what(self) -> &'static str {
        match self {
            ExportFormat::Jsonl => "export as JSON lines",
            ExportFormat::Csv => "export as CSV",
            ExportFormat::Mmiotrace => "export as mmiotrace",
            ExportFormat::Perfetto => "export for Perfetto",
            ExportFormat::Vcd => "export as VCD",
            ExportFormat::Fst => "export as FST",
        }
    }

    /// What every such file begins with.
    fn magic(self) -> &'static [u8] {
        match self {
            ExportFormat::Jsonl => br#"{"event":"machine","#,
            ExportFormat::Csv => b"seq,event,device_ns,",
            ExportFormat::Mmiotrace => b"VERSION 20070824\n",
            // A packet, field 1, of 4 bytes: its sequence is 1, and begins.
            ExportFormat::Perfetto => b"\x0a\x04\x50\x01\x68\x01",
            ExportFormat::Vcd => b"$comment barscope",
            // A header block of 329 bytes.
            ExportFormat::Fst => b"\x00\x00\x00\x00\x00\x00\x00\x01\x49",
        }
    }

    fn is_binary(self) -> bool {
        matches!(self, ExportFormat::Perfetto | ExportFormat::Fst)
    }
}

/// Runs the command.
///
/// # Errors
/// The trace can't be read, the filter is wrong, what is written can't be, or would replace something else.
pub fn export(args: &Export) -> Result<Code, Failure> {
    let filter = filter(&args.filter)?;
    let mut stream = Stream::open(&args.trace)?;
    let selection = compile(filter, stream.definitions())?;
    let what = args.to.what();
    if args.output.is_none() && args.to.is_binary() && io::stdout().is_terminal() {
        return Err(Failure::Binary { what });
    }
    let replaced = match &args.output {
        Some(path) => Some(Replaced::new(path, args.to.magic(), what, args.force)?),
        None => None,
    };
    let mut signals = Signals::catch().map_err(|source| HostError::System { what: "signals", source })?;
    // What is written from the end as well goes through a file.
    let seeks = replaced.as_ref().is_some_and(Replaced::seeks);
    let between = match args.to {
        ExportFormat::Fst if !seeks => Some(tempfile::tempfile()?),
        _ => None,
    };
    let clock = stream.info().clock;
    let printer = match (&between, &replaced) {
        (Some(file), _) => printer(args.to, file.try_clone()?, clock),
        (None, Some(replaced)) => printer(args.to, replaced.file()?, clock),
        (None, None) => printer(args.to, stdout()?, clock),
    };
    let failed = |error| match &replaced {
        Some(replaced) => replaced.failed(error),
        None => Failure::Print(error),
    };
    let selection = selection.map(|like| Selection::new(like, false));
    let mut watch =
        Watch::new(selection, Some(printer), Expectations::default()).knowing(&stream.info().capabilities);
    let mut count = 0_u64;
    while let Some(event) = stream.next()? {
        watch.event(stream.definitions(), &event).map_err(failed)?;
        count += 1;
        if !watch.is_read() {
            break;
        }
        if count.is_multiple_of(LOOK) && signals.received().is_some() {
            return Ok(Code::Interrupted);
        }
    }
    watch.finish(&stream.info()).map_err(failed)?;
    if !watch.is_read() {
        return Ok(Code::Passed);
    }
    if let Some(mut file) = between {
        file.rewind()?;
        let mut out = match &replaced {
            Some(replaced) => replaced.file()?,
            None => stdout()?,
        };
        io::copy(&mut file, &mut out).map_err(failed)?;
    }
    if let Some(replaced) = replaced {
        replaced.complete()?;
    }
    tell(&stream.info());
    Ok(Code::Passed)
}

/// Standard output, without a buffer that looks for ends of lines.
fn stdout() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

fn printer(format: ExportFormat, file: File, clock: Clock) -> Box<dyn Printer + Send> {
    let out = BufWriter::with_capacity(BUFFER, file);
    match format {
        ExportFormat::Jsonl => Box::new(JsonPrinter::new(out, clock)),
        ExportFormat::Csv => Box::new(CsvPrinter::new(out)),
        ExportFormat::Mmiotrace => Box::new(MmiotracePrinter::new(out, clock)),
        ExportFormat::Perfetto => Box::new(PerfettoPrinter::new(out)),
        ExportFormat::Vcd => Box::new(VcdPrinter::new(out)),
        ExportFormat::Fst => Box::new(FstPrinter::new(out)),
    }
}

/// Tells what the export lacks.
fn tell(info: &TraceInfo<'_>) {
    for damage in info.damage {
        complain(format_args!("warning: damaged trace: {damage}"));
    }
    if info.lost > 0 {
        complain(format_args!("warning: {} records are missing", info.lost));
    }
    if info.unknown_kinds > 0 {
        complain(format_args!(
            "warning: {} records are of kinds that a later program wrote",
            info.unknown_kinds
        ));
    }
    match info.end {
        None => {
            complain("warning: the trace has no end: it is still being written, or its writer was killed");
        }
        Some(End::Finished) => {}
        Some(end) => {
            complain(format_args!("warning: the trace ended early ({}): {}", end.name(), end.reason()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An export that this program wrote is one that it may replace.
    #[test]
    fn every_export_begins_as_its_format_says() {
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/sample.trace.gz");
        let folder = tempfile::tempdir().unwrap();
        use clap::ValueEnum;
        for format in ExportFormat::value_variants() {
            let path = folder.path().join("export");
            let export = || {
                export(&Export {
                    trace: sample.into(),
                    filter: Vec::new(),
                    to: *format,
                    output: Some(path.clone()),
                    force: false,
                })
            };
            assert!(matches!(export(), Ok(Code::Passed)), "{format:?}");
            let first = std::fs::read(&path).unwrap();
            assert!(matches!(export(), Ok(Code::Passed)), "{format:?} again");
            assert_eq!(std::fs::read(&path).unwrap(), first, "{format:?}");
            std::fs::remove_file(&path).unwrap();
        }
    }
}
