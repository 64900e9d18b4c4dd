//! `barscope devices`: what devices there are, from the data that they run on.

use std::io::{self, Write};

use barscope_devices::{catalog, document};

use crate::args::Devices;
use crate::ending::{Code, Failure};

/// Runs the command.
///
/// # Errors
/// [`Failure::Print`] if standard output can't be written.
pub fn devices(args: &Devices) -> Result<Code, Failure> {
    let mut out = io::stdout().lock();
    let chosen =
        |entry: &&catalog::Entry| args.names.is_empty() || args.names.iter().any(|name| name == entry.name);
    for (index, entry) in catalog::DEVICES.iter().filter(chosen).enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        write!(out, "{}", document::markdown(entry))?;
    }
    Ok(Code::Passed)
}
