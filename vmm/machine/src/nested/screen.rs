//! Standard output and standard error as a thread, so that a reader who takes his time holds up nothing else.

use std::io::{self, ErrorKind, Write};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};

/// Pieces of text that may wait to be printed.
const WAITING: usize = 16;

/// What the command printed.
pub enum Text {
    /// To standard output.
    Out(Vec<u8>),
    /// To standard error.
    Err(Vec<u8>),
}

/// Prints in the order in which text comes.
pub struct Screen {
    sender: Option<SyncSender<Text>>,
    thread: Option<JoinHandle<io::Result<()>>>,
    /// Text that there was no room for.
    kept: Option<Text>,
}

impl Screen {
    /// Starts the thread; `before` is called before it prints to standard output.
    pub fn new(before: Option<fn()>) -> Self {
        let (sender, texts) = sync_channel(WAITING);
        let thread = thread::spawn(move || {
            // A reader that has seen enough (`| head`) ends the printing, not the run.
            let mut is_read = true;
            for text in texts {
                match text {
                    Text::Out(bytes) if is_read => is_read = print(&bytes, before)?,
                    Text::Out(_) => {}
                    // Nobody to tell if it fails.
                    Text::Err(bytes) => drop(io::stderr().write_all(&bytes)),
                }
            }
            Ok(())
        });
        Self { sender: Some(sender), thread: Some(thread), kept: None }
    }

    /// Has it printed, now or when there is room.
    pub fn print(&mut self, text: Text) {
        self.kept = Some(text);
        self.has_room();
    }

    /// Whether more can be taken.
    pub fn has_room(&mut self) -> bool {
        let (Some(text), Some(sender)) = (self.kept.take(), &self.sender) else { return true };
        match sender.try_send(text) {
            Err(TrySendError::Full(text)) => {
                self.kept = Some(text);
                false
            }
            // Why is told in the end.
            Ok(()) | Err(TrySendError::Disconnected(_)) => true,
        }
    }

    /// Nothing more comes; `true` once everything is printed.
    pub fn is_done(&mut self) -> bool {
        if self.has_room() {
            self.sender = None;
        }
        self.failed()
    }

    /// Whether the thread has ended, which it does early if it can't print.
    pub fn failed(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// What became of it, once the thread has ended.
    ///
    /// # Errors
    /// Standard output can't be written.
    pub fn result(&mut self) -> io::Result<()> {
        match self.thread.take() {
            Some(thread) => thread.join().unwrap_or_else(|_| Err(io::Error::other("a thread panicked"))),
            None => Ok(()),
        }
    }
}

/// Prints to standard output; `false` if nobody reads it any more.
fn print(bytes: &[u8], before: Option<fn()>) -> io::Result<bool> {
    if let Some(before) = before {
        before();
    }
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        other => other.map(|()| true),
    }
}
