//! Where a file holds something: a hole of a terabyte takes no longer than a small one.

use std::fs::File;
use std::ops::Range;

use rustix::fs::{SeekFrom, seek};

/// A search for data, from the beginning of a file to its end.
#[derive(Debug, Default)]
pub(crate) struct Sparse {
    /// Bytes that are no hole.
    data: Range<u64>,
}

impl Sparse {
    /// The first byte from `offset` on that isn't in a hole; `None` if there is none. Where the file system can't
    /// tell, nothing is a hole.
    pub(super) fn next_data(&mut self, file: &File, offset: u64) -> Option<u64> {
        if self.data.contains(&offset) {
            return Some(offset);
        }
        let start = match seek(file, SeekFrom::Data(offset)) {
            Ok(start) => start,
            Err(rustix::io::Errno::NXIO) => return None,
            Err(_) => {
                self.data = offset..u64::MAX;
                return Some(offset);
            }
        };
        let end = seek(file, SeekFrom::Hole(start)).unwrap_or(u64::MAX);
        self.data = start..end;
        Some(start)
    }
}
