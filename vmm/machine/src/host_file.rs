//! Files of the host that somebody names: opened so that none of them holds anybody up.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// The longest kernel, and the longest first file system: with all that debuggers like, Linux has half as much.
pub const KERNEL_MAX: u64 = 1 << 30;
/// The longest module or program that is looked into.
pub const MODULE_MAX: u64 = 1 << 30;

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
/// It is something else, longer, or can't be read.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = open(path, limit)?;
    let mut bytes = Vec::new();
    // What a file says of its length needs not be so.
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(too_long(limit));
    }
    Ok(bytes)
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_or_is_too_long_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read(&path, 5).unwrap(), b"12345");
        let error = read(&path, 4).unwrap_err();
        assert_eq!(error.to_string(), "has more than 4 bytes");
        for other in ["/dev/zero".as_ref(), folder.path()] {
            assert_eq!(read(other, 5).unwrap_err().to_string(), "is no regular file");
        }
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        let error = read(&path, KERNEL_MAX).unwrap_err();
        assert_eq!(error.to_string(), "has more than 1073741824 bytes");
    }
}
