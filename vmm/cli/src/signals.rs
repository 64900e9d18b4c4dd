//! Ctrl-C and friends, as something that an event loop can wait for.

use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use signal_hook::low_level::pipe;

use crate::ending::Code;

/// One stream a signal; it is readable once the signal came.
pub struct Signals(Vec<(i32, UnixStream)>);

impl Signals {
    /// Catches SIGINT, SIGTERM and SIGHUP from here on; a second one of them ends the process at once. Survives
    /// SIGXFSZ: a trace that meets a file size limit fails like one that meets a full disk.
    ///
    /// # Errors
    /// If the system has no descriptors left.
    pub fn catch() -> io::Result<Self> {
        flag::register(SIGXFSZ, Arc::default())?;
        let mut streams = Vec::new();
        let came = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // In this order: the one that comes first only says that it came.
            flag::register_conditional_shutdown(signal, Code::Interrupted as i32, Arc::clone(&came))?;
            flag::register(signal, Arc::clone(&came))?;
            let (reader, writer) = UnixStream::pair()?;
            reader.set_nonblocking(true)?;
            pipe::register(signal, writer)?;
            streams.push((signal, reader));
        }
        Ok(Self(streams))
    }

    /// The signal that came, if one did.
    pub fn received(&mut self) -> Option<i32> {
        let mut byte = [0];
        self.0.iter_mut().find_map(|(signal, stream)| (stream.read(&mut byte).ok()? > 0).then_some(*signal))
    }
}
