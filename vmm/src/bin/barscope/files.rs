//! Files that the command line names, read without taking more than they should.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use crate::ending::Failure;

/// The longest text: nobody writes more expectations.
const TEXT_MAX: u64 = 16 << 20;

/// Reads a text. Neither a device without an end nor a pipe that nobody writes to holds it up.
///
/// # Errors
/// [`Failure::File`] if it is no regular file, too long, no UTF-8, or can't be read.
pub fn read_text(path: &Path) -> Result<String, Failure> {
    let failed = |source| Failure::File { path: path.to_owned(), source };
    let bytes = read_bounded(path, TEXT_MAX).map_err(failed)?;
    String::from_utf8(bytes).map_err(|_| failed(io::Error::other("is no text in UTF-8")))
}

/// Reads a regular file of at most `limit` bytes.
///
/// # Errors
/// It is something else, longer, or can't be read.
pub fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("is no regular file"));
    }
    let mut bytes = Vec::new();
    // What a file says of its length needs not be so.
    file.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!("has more than {limit} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_end_or_is_too_long_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read_bounded(&path, 5).unwrap(), b"12345");
        assert_eq!(read_bounded(&path, 4).unwrap_err().to_string(), "has more than 4 bytes");
        for other in ["/dev/zero".as_ref(), folder.path()] {
            assert_eq!(read_bounded(other, 5).unwrap_err().to_string(), "is no regular file");
        }
        std::fs::write(&path, [0xff]).unwrap();
        assert!(read_text(&path).is_err());
    }
}
