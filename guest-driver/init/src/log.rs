//! What the kernel logs from some time on.

use std::fs::{self, File, OpenOptions};
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

    /// The lines since then, or since they were last asked for.
    pub fn lines(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut record = vec![0; RECORD];
        while let Ok(length @ 1..) = self.0.read(&mut record) {
            let text = String::from_utf8_lossy(&record[..length]);
            let line = text.lines().next().unwrap_or_default();
            // `LEVEL,NUMBER,TIME,FLAGS;MESSAGE`
            lines.push(line.split_once(';').map_or(line, |(_, message)| message).to_owned());
        }
        lines
    }
}

/// Has the kernel's console, which the bench records, get all messages from here on, unless the command line says how many
/// it is to get. Until here it gets errors only: a boot says much that nobody asked for.
///
/// # Errors
/// What the system said.
pub fn show_all() -> io::Result<()> {
    const CHOSEN: [&str; 3] = ["loglevel=", "ignore_loglevel", "debug"];
    let command_line = fs::read_to_string("/proc/cmdline")?;
    let mut words = command_line.split_whitespace();
    if words.any(|word| CHOSEN.iter().any(|chosen| word.starts_with(chosen))) {
        return Ok(());
    }
    // The level that a message has to be below: debugging is 7.
    fs::write("/proc/sys/kernel/printk", "8")
}
