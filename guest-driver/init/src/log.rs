//! What the kernel logs from some time on.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

const FILE: &str = "/dev/kmsg";
const O_NONBLOCK: i32 = 0o4000;
/// The longest record of this file.
const RECORD: usize = 8192;

/// The kernel's log from here on.
pub struct Log(File);

impl Log {
    /// Starts to listen.
    ///
    /// # Errors
    /// What the system said.
    pub fn from_now() -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(FILE)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self(file))
    }

    /// The last line since then, if there is one.
    pub fn last(&mut self) -> Option<String> {
        let mut last = None;
        let mut record = vec![0; RECORD];
        while let Ok(length @ 1..) = self.0.read(&mut record) {
            let text = String::from_utf8_lossy(&record[..length]);
            let line = text.lines().next().unwrap_or_default();
            // `LEVEL,NUMBER,TIME,FLAGS;MESSAGE`
            last = Some(line.split_once(';').map_or(line, |(_, message)| message).to_owned());
        }
        last
    }
}
