//! Ctrl-C and friends, as something that an event loop can wait for.

use std::io::{self, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level::pipe;

/// One stream a signal; it is readable once the signal came.
pub struct Signals(Vec<(i32, UnixStream)>);

impl Signals {
    /// Catches SIGINT, SIGTERM and SIGHUP from here on.
    ///
    /// # Errors
    /// If the system has no descriptors left.
    pub fn catch() -> io::Result<Self> {
        let mut streams = Vec::new();
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            let (reader, writer) = UnixStream::pair()?;
            reader.set_nonblocking(true)?;
            pipe::register(signal, writer)?;
            streams.push((signal, reader));
        }
        Ok(Self(streams))
    }

    /// The descriptors to wait for.
    pub fn descriptors(&self) -> impl Iterator<Item = RawFd> + '_ {
        self.0.iter().map(|(_, stream)| stream.as_raw_fd())
    }

    /// The signal that came, if one did.
    pub fn received(&mut self) -> Option<i32> {
        let mut byte = [0];
        self.0.iter_mut().find_map(|(signal, stream)| (stream.read(&mut byte).ok()? > 0).then_some(*signal))
    }
}
