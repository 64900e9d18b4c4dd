//! Files of the host that somebody names: opened so that none of them holds anybody up.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// Opens a regular file for reading, whose length is `limit` bytes at most. A pipe that nobody writes to and a device
/// without an end are refused at once, and so is a file that is longer, be it of holes.
///
/// # Errors
/// It is something else, longer, or can't be opened.
pub fn open(path: &Path, limit: u64) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("is no regular file"));
    }
    if found.len() > limit {
        return Err(too_long(limit));
    }
    Ok(file)
}

/// What to say of a file that has more than `limit` bytes.
pub fn too_long(limit: u64) -> io::Error {
    io::Error::other(format!("has more than {limit} bytes"))
}
