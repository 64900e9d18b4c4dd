//! The terminal that barscope was started at, while a shell in the guest has it.

use std::env;
use std::io::{self, IsTerminal, Read, Write};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level;

use crate::files::Rewound;

/// The key that ends the run, whatever the guest does: Ctrl-].
const LEAVE: u8 = 0x1d;
/// Bytes that are read at once.
const KEYS: usize = 256;
/// A terminal that says nothing of itself.
const KIND: &str = "vt100";
const SIZE: (u16, u16) = (80, 24);

/// What the terminal was like before a shell got it.
static BEFORE: OnceLock<Termios> = OnceLock::new();

/// Its kind, as `TERM` has it, its columns and its rows.
pub fn described() -> (String, u16, u16) {
    let kind = env::var("TERM").unwrap_or_else(|_| KIND.to_owned());
    match tcgetwinsize(stdin()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (kind, size.ws_col, size.ws_row),
        _ => (kind, SIZE.0, SIZE.1),
    }
}

/// The terminal while a shell in the guest has it: keys mean there what they mean, but for Ctrl-].
pub struct Terminal(());

impl Terminal {
    /// Gives it to the shell.
    ///
    /// # Errors
    /// What the system said.
    pub fn take() -> io::Result<Self> {
        eprintln!("shell: `exit` or Ctrl-D leaves it, Ctrl-] ends the run");
        let attributes = tcgetattr(stdin())?;
        let before = BEFORE.get_or_init(|| attributes);
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // SAFETY: what it does is a load and one system call, which are async-signal-safe.
            unsafe { low_level::register(signal, restore)? };
        }
        let mut raw = before.clone();
        raw.make_raw();
        // What is printed here has lines that end as ever.
        raw.output_modes = before.output_modes;
        tcsetattr(stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(()))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

/// Makes the terminal what it was before.
pub fn restore() {
    if let Some(before) = BEFORE.get() {
        let _ = tcsetattr(stdin(), OptionalActions::Now, before);
    }
}

/// What is typed, up to the key that ends the run, which counts as Ctrl-C.
pub struct Keyboard(());

impl Keyboard {
    /// Whatever is typed from here on.
    pub fn new() -> Self {
        Self(())
    }

    /// Its keys as they come, from a thread of its own; nobody waits for more than one piece.
    pub fn into_pieces(mut self) -> Receiver<Vec<u8>> {
        let (sender, pieces) = sync_channel(0);
        thread::spawn(move || {
            let mut buffer = [0; KEYS];
            while let Ok(read @ 1..) = self.read(&mut buffer)
                && sender.send(buffer[..read].to_vec()).is_ok()
            {}
        });
        pieces
    }
}

impl Read for Keyboard {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = loop {
            match rustix::io::read(stdin(), &mut *buffer) {
                Err(rustix::io::Errno::INTR) => {}
                other => break other?,
            }
        };
        if io::stdin().is_terminal() && buffer[..read].contains(&LEAVE) {
            low_level::raise(SIGINT)?;
            return Ok(0);
        }
        Ok(read)
    }
}

/// A console that somebody looks at while it is written down.
pub struct Seen(pub Rewound);

impl Write for Seen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Nobody to tell if it fails.
        let _ = io::stderr().write_all(bytes);
        self.0.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
