//! A writer that holds nobody up: bytes go through a bounded buffer to a thread of their own. A terminal that is
//! stopped, or a pipe that nobody reads, makes the guest wait as a serial line would, but not the machine's end.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::spawn;
use crate::host::HostError;

/// How many bytes wait at most.
const ROOM: usize = 1 << 20;

/// The way to a writer. Clones share it.
#[derive(Clone)]
pub struct Relay(Arc<Pipe>);

struct Pipe {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<u8>,
    /// The thread writes what it took.
    busy: bool,
    closed: bool,
}

impl Relay {
    /// Starts the thread that writes to `out`.
    ///
    /// # Errors
    /// [`HostError::Thread`].
    pub fn start(mut out: Box<dyn Write + Send>) -> Result<Self, HostError> {
        let relay = Self(Arc::new(Pipe { state: Mutex::default(), changed: Condvar::new() }));
        let pipe = Arc::clone(&relay.0);
        spawn("console".to_owned(), move || pipe.drain(&mut out))?;
        Ok(relay)
    }

    /// Takes no more, and keeps nobody waiting for room. What was taken is still written.
    pub fn close(&self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }

    /// Waits until everything is written: for ever, if nobody reads.
    pub fn wait(&self) {
        let state = self.0.lock();
        let rest = |state: &mut State| state.busy || !state.waiting.is_empty();
        drop(self.0.changed.wait_while(state, rest).unwrap_or_else(PoisonError::into_inner));
    }
}

impl Write for Relay {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let state = self.0.lock();
        let full = |state: &mut State| state.waiting.len() >= ROOM && !state.closed;
        let mut state = self.0.changed.wait_while(state, full).unwrap_or_else(PoisonError::into_inner);
        if state.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let taken = bytes.len().min(ROOM - state.waiting.len());
        state.waiting.extend(&bytes[..taken]);
        self.0.changed.notify_all();
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drain(&self, out: &mut dyn Write) {
        loop {
            let state = self.lock();
            let idle = |state: &mut State| state.waiting.is_empty() && !state.closed;
            let mut state = self.changed.wait_while(state, idle).unwrap_or_else(PoisonError::into_inner);
            if state.waiting.is_empty() {
                return;
            }
            let bytes: Vec<u8> = state.waiting.drain(..).collect();
            state.busy = true;
            self.changed.notify_all();
            drop(state);
            // What the host can't print is dropped: the guest isn't to blame.
            let _ = out.write_all(&bytes).and_then(|()| out.flush());
            self.lock().busy = false;
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_written_arrives_in_order() {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        let mut relay = Relay::start(Box::new(writer)).unwrap();
        let text: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
        let expected = text.clone();
        let reading = thread::spawn(move || {
            let mut got = vec![0; expected.len()];
            reader.read_exact(&mut got).unwrap();
            got == expected
        });
        relay.write_all(&text).unwrap();
        relay.close();
        relay.wait();
        assert!(reading.join().unwrap());
    }

    #[test]
    fn a_writer_that_waits_for_room_is_let_go_when_it_is_closed() {
        let (_unread, writer) = UnixStream::pair().unwrap();
        let mut relay = Relay::start(Box::new(writer)).unwrap();
        let other = relay.clone();
        let writing = thread::spawn(move || relay.write_all(&vec![0; 8 << 20]));
        thread::sleep(Duration::from_millis(50));
        assert!(!writing.is_finished());
        other.close();
        assert_eq!(writing.join().unwrap().unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
