//! `barscope import`: makes a trace of what another tracer wrote.

use std::io::{BufReader, Write};

use barscope_device::{BarIndex, Description, Region};
use barscope_import::{BarAt, BarPlace, ImportError, Summary};
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

/// Reads `N=ADDRESS[,LENGTH]` or `N=NAME`.
///
/// # Errors
/// What is wrong with it.
pub fn bar(text: &str) -> Result<BarAt, String> {
    const FORM: &str = "write it as 0=0xfebf0000, 0=0xfebf0000,0x1000 or 0=REGION";
    let (index, place) = text.split_once('=').ok_or(FORM)?;
    let bar = index.parse().ok().and_then(BarIndex::new).ok_or("BARs have the numbers 0 to 5")?;
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    let (first, length) =
        place.split_once(',').map_or((place, None), |(first, length)| (first, Some(length)));
    let place = match (number(first), length) {
        (Some(base), None) => BarPlace::Address(base, None),
        (Some(base), Some(length)) => {
            let length = number(length).filter(|length| base.checked_add(*length).is_some());
            BarPlace::Address(base, Some(length.ok_or("the length is no number, or past all addresses")?))
        }
        (None, None) if !first.is_empty() && !first.starts_with("0x") => BarPlace::Region(first.to_owned()),
        _ => return Err(format!("{}: {FORM}", Region::Bar(bar))),
    };
    Ok(BarAt { bar, place })
}
