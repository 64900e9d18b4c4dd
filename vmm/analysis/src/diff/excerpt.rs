//! Excerpts: some records of a trace, printed as everywhere.

use std::io::{self, Write};
use std::path::Path;

use barscope_trace::Stream;

use crate::print::{Printer, TextPrinter};
use crate::view::Viewer;

/// How many records before the first one are looked at: what runs then has mostly begun within them.
const BEFORE: u64 = 1 << 16;

/// Prints the records with these sequence numbers, which ascend.
pub(super) fn print(
    path: &Path,
    seqs: &[u64],
    out: &mut dyn Write,
    (width, color): (usize, bool),
) -> io::Result<()> {
    let (Some(first), Some(last)) = (seqs.first(), seqs.last()) else { return Ok(()) };
    let read = |error: barscope_trace::ReadError| io::Error::other(error);
    let mut stream = Stream::open(path).map_err(read)?;
    stream.seek(first.saturating_sub(BEFORE)).map_err(read)?;
    let mut viewer = Viewer::knowing(&stream.info().capabilities);
    let mut printer = TextPrinter::new(out, stream.info().clock, width, color).excerpt();
    while let Some(event) = stream.next().map_err(read)? {
        if event.seq > *last {
            break;
        }
        let view = viewer.view(stream.definitions(), &event);
        if seqs.binary_search(&event.seq).is_ok() {
            printer.print(stream.definitions(), &view)?;
        } else {
            printer.pass(&view);
        }
    }
    printer.end_excerpt(stream.definitions())
}
