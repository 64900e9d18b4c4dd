//! Files that the command line names, read without taking more than they should.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::Path;

use barscope_vmm::host_file;
use rustix::fs::{Mode, OFlags};

use crate::ending::Failure;

/// The longest text: nobody writes more expectations, nor more steps.
pub const TEXT_MAX: u64 = 16 << 20;
/// The most that a guest's console takes on the disk.
pub const CONSOLE_MAX: u64 = 64 << 20;

/// Reads a text of at most `limit` bytes. Neither a device without an end nor a pipe that nobody writes to holds it up.
///
/// # Errors
/// [`Failure::File`] if it is no regular file, too long, no UTF-8, or can't be read.
pub fn read_text(path: &Path, limit: u64) -> Result<String, Failure> {
    let failed = |source| Failure::File { path: path.to_owned(), source };
    let bytes = host_file::read(path, limit).map_err(failed)?;
    String::from_utf8(bytes).map_err(|_| failed(io::Error::other("is no text in UTF-8")))
}

/// Creates a file, or empties what is there. A pipe that nobody reads doesn't hold it up.
///
/// # Errors
/// It can't be created; nobody reads the pipe.
pub fn create(path: &Path) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, Mode::from(0o666))?;
    // A reader that is there may be slow.
    rustix::fs::fcntl_setfl(&file, OFlags::empty())?;
    Ok(File::from(file))
}

/// A file that begins anew when it has as many bytes as it may have: the end is what counts of a console.
pub struct Rewound {
    file: File,
    length: u64,
    limit: u64,
}

impl Rewound {
    /// `file`, which is empty, with at most `limit` bytes.
    pub fn new(file: File, limit: u64) -> Self {
        Self { file, length: 0, limit }
    }
}

impl Write for Rewound {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.length >= self.limit {
            self.file.set_len(0)?;
            self.file.rewind()?;
            writeln!(self.file, "[{} bytes before this are left out]", self.length)?;
            self.length = 0;
        }
        let written = self.file.write(bytes)?;
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, [0xff]).unwrap();
        assert!(read_text(&path, 1).is_err());
    }

    #[test]
    fn a_file_at_its_limit_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console");
        let mut file = Rewound::new(create(&path).unwrap(), 8);
        for part in ["12345", "678", "9"] {
            file.write_all(part.as_bytes()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), "[8 bytes before this are left out]\n9");
    }
}
