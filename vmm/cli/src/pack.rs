//! `barscope pack`: a trace in a fraction of its bytes, and back.

use std::ffi::OsStr;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use barscope_trace::pack::{BEGINS, PackError, Packed, UNPACKED_BEGINS, pack as pack_to, unpack};

use crate::args::Pack;
use crate::ending::{Code, Failure};
use crate::output::complain;
use crate::replaced::Replaced;

/// What the name of a packed trace ends in.
const EXTENSION: &str = "pack";

/// Runs the command.
///
/// # Errors
/// The trace can't be read, what it becomes can't be written, or would replace something else.
pub fn pack(args: &Pack) -> Result<Code, Failure> {
    let path = match &args.output {
        Some(path) => path.clone(),
        None => name(args)?,
    };
    let (magic, what) = if args.unpack { (UNPACKED_BEGINS, "trace") } else { (BEGINS, "packed trace") };
    let replaced = Replaced::new(&path, &magic, what, args.force)?;
    let failed = |error| match error {
        PackError::Read(error) => Failure::Read(error),
        PackError::Write(source) => replaced.failed(source),
    };
    let file = replaced.file()?;
    let Packed { before, after } = if args.unpack {
        unpack(&args.trace, &file).map_err(failed)?
    } else {
        let mut out = BufWriter::new(file);
        let packed = pack_to(&args.trace, &mut out).map_err(failed)?;
        out.flush().map_err(|source| replaced.failed(source))?;
        packed
    };
    replaced.complete()?;
    if args.unpack {
        complain(format_args!("{}: {after} bytes", path.display()));
    } else {
        let percent = 100.0 * after as f64 / before as f64;
        complain(format_args!("{}: {after} bytes of {before}, {percent:.1} %", path.display()));
    }
    Ok(Code::Passed)
}

/// Where it goes if nothing is said.
fn name(args: &Pack) -> Result<PathBuf, Failure> {
    if args.unpack {
        if args.trace.extension() != Some(OsStr::new(EXTENSION)) {
            return Err(Failure::NoName { path: args.trace.clone() });
        }
        return Ok(args.trace.with_extension(""));
    }
    let mut name = args.trace.clone().into_os_string();
    name.push(".");
    name.push(EXTENSION);
    Ok(name.into())
}
