//! `barscope devices`: what devices there are, from the data that they run on.

use std::io::{self, Write};

use barscope_device::Entry;
use barscope_devices::document;

use crate::args::Devices;
use crate::choice::Catalog;
use crate::ending::{Code, Failure};

/// Runs the command.
///
/// # Errors
/// [`Failure::Print`] if standard output can't be written.
pub fn devices(args: &Devices, catalog: &Catalog) -> Result<Code, Failure> {
    let mut out = io::stdout().lock();
    let chosen = |entry: &&Entry| args.names.is_empty() || args.names.contains(&entry.name);
    for (index, entry) in catalog.entries().iter().filter(chosen).enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        write!(out, "{}", document::markdown(entry))?;
    }
    Ok(Code::Passed)
}
