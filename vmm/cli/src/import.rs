//! `barscope import`: makes a trace of what another tracer wrote.

use std::io::{BufReader, Write};

use barscope_device::Description;
use barscope_import::{ImportError, Summary};
use barscope_trace::WriteOptions;
use barscope_vmm::host_file;

use crate::args::Import as Args;
use crate::choice::Catalog;
use crate::devices;
use crate::ending::{Code, Failure};
use crate::output;

/// Runs the command.
///
/// # Errors
/// The file can't be read, nothing of it is the device's, or the trace can't be written.
pub fn import(args: &Args, catalog: &Catalog) -> Result<Code, Failure> {
    let device = device(&args.device, catalog)?;
    let path = &args.file;
    let file =
        host_file::open(path, u64::MAX).map_err(|source| Failure::File { path: path.clone(), source })?;
    let options = WriteOptions { force: args.force, ..WriteOptions::default() };
    let input = BufReader::with_capacity(1 << 16, file);
    let summary = barscope_import::import(input, args.from.into(), &device, &args.bars, &args.out, options);
    let summary = summary.map_err(|error| match error {
        ImportError::Read(source) => Failure::File { path: path.clone(), source },
        ImportError::Write(error) => Failure::Host(error.into()),
        error => Failure::Diagnostic(format!("{}: {error}", path.display())),
    })?;
    print(&summary, args)?;
    Ok(Code::Passed)
}

/// What a device is like by its name, or what a file says.
fn device(name: &str, catalog: &Catalog) -> Result<Description, Failure> {
    let text = devices::toml(name, catalog)?;
    Description::read(&text).map_err(|bad| Failure::Diagnostic(bad.show(name, &text)))
}

fn print(summary: &Summary, args: &Args) -> Result<(), Failure> {
    let Summary { lines, accesses, others, lost, elsewhere, bad, skipped, .. } = summary;
    let mut out = output::buffered();
    writeln!(out, "{lines} lines: {accesses} accesses, {others} other records, {lost} lost")?;
    if *elsewhere > 0 {
        let at = summary.elsewhere_at.join(", ");
        writeln!(out, "{elsewhere} accesses went elsewhere: {at}")?;
    }
    if *skipped > 0 {
        writeln!(out, "{skipped} lines are about something else")?;
    }
    if *bad > 0 {
        writeln!(out, "{bad} bad lines, each of which counts as a lost record:")?;
    }
    for (number, why) in &summary.bad_lines {
        writeln!(out, "  line {number}: {why}")?;
    }
    if *bad > summary.bad_lines.len() as u64 {
        writeln!(out, "  ..")?;
    }
    for note in &summary.notes {
        writeln!(out, "note: {note}")?;
    }
    writeln!(out, "trace: {}", args.out.display())?;
    Ok(out.flush()?)
}
