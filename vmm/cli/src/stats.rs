//! `barscope stats`: what traces come to.

use std::io::{self, Write};

use barscope_analysis::stats::Stats;
use barscope_analysis::unmodelled::Unmodelled;

use crate::args::{Stats as Args, StatsFormat};
use crate::ending::{Code, Failure};
use crate::output;

/// Runs the command. Figures of a trace that isn't complete are printed all the same, and said to be partial.
///
/// # Errors
/// A trace can't be read, standard output can't be written.
pub fn stats(args: &Args) -> Result<Code, Failure> {
    if args.unmodelled {
        return unmodelled(args);
    }
    let mut stats = Stats::default();
    for path in &args.traces {
        stats.merge(Stats::of(path)?);
    }
    let mut out = output::buffered();
    match args.format {
        StatsFormat::Json => {
            serde_json::to_writer(&mut out, &stats).map_err(io::Error::from)?;
            writeln!(out)?;
        }
        StatsFormat::Text => {
            out.write_all(stats.text(output::width(), args.top, output::color()).as_bytes())?;
        }
        StatsFormat::Markdown => out.write_all(stats.markdown(args.top).as_bytes())?,
    }
    out.flush()?;
    Ok(Code::Passed)
}

/// Prints what no device has, of one trace after the other.
fn unmodelled(args: &Args) -> Result<Code, Failure> {
    let mut out = output::buffered();
    for path in &args.traces {
        let found = Unmodelled::of(path)?;
        match args.format {
            StatsFormat::Json => {
                serde_json::to_writer(&mut out, &found).map_err(io::Error::from)?;
                writeln!(out)?;
            }
            StatsFormat::Text => {
                if args.traces.len() > 1 {
                    writeln!(out, "{}:", path.display())?;
                }
                out.write_all(found.text(output::width(), args.top, output::color()).as_bytes())?;
            }
            StatsFormat::Markdown => return Err(Failure::Unmodelled),
        }
    }
    out.flush()?;
    Ok(Code::Passed)
}
