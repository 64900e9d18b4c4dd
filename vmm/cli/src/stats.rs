//! `barscope stats`: what traces come to.

use std::io::{self, Write};

use barscope_analysis::stats::Stats;

use crate::args::{Stats as Args, StatsFormat};
use crate::ending::{Code, Failure};
use crate::output;

/// Runs the command. Figures of a trace that isn't complete are printed all the same, and said to be partial.
///
/// # Errors
/// A trace can't be read, standard output can't be written.
pub fn stats(args: &Args) -> Result<Code, Failure> {
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
