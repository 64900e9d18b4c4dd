//! Traces that `gzip` compressed, as they are kept and passed around.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use flate2::read::MultiGzDecoder;

/// What a compressed file begins with; RFC 1952, section 2.3.1.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Opens the file at `path`. One that is compressed is unpacked to a file that has no name and goes with its
/// last user. If it can't be unpacked to its end, then up to where it is broken: that comes second.
pub(super) fn open(path: &Path) -> io::Result<(File, Option<u64>)> {
    let file = File::open(path)?;
    let mut magic = [0; MAGIC.len()];
    // A folder can be opened, but not read: that comes out where the header is read.
    let compressed = file.read_at(&mut magic, 0).is_ok_and(|length| length == MAGIC.len()) && magic == MAGIC;
    if compressed { unpack(file) } else { Ok((file, None)) }
}

fn unpack(packed: File) -> io::Result<(File, Option<u64>)> {
    let mut unpacked = tempfile::tempfile()?;
    let mut decoder = MultiGzDecoder::new(packed);
    let mut buffer = vec![0; 64 << 10];
    let mut length = 0;
    loop {
        match decoder.read(&mut buffer) {
            Ok(0) => return Ok((unpacked, None)),
            Ok(count) => {
                unpacked.write_all(&buffer[..count])?;
                length += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
            Err(_) => return Ok((unpacked, Some(length))),
        }
    }
}
