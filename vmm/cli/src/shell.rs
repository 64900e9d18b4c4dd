//! `--shell`: a shell in the guest, on the terminal that barscope was started at, or with standard input for its script.

use std::env;
use std::io::{self, IsTerminal, Read, Write};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use barscope_vmm::linux::Shell;
use rustix::stdio::stdin;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::low_level;

use crate::args::{Guest, Run};
use crate::ending::Failure;
use crate::files::{Rewound, TEXT_MAX};

/// The key that ends the run, whatever the guest does: Ctrl-].
const LEAVE: u8 = 0x1d;
/// Bytes that are read at once.
const KEYS: usize = 256;
/// A terminal that says nothing of itself.
const KIND: &str = "vt100";
const SIZE: (u16, u16) = (80, 24);

/// What the terminal was like before a shell got it.
static BEFORE: OnceLock<Termios> = OnceLock::new();

/// Reads the script, if the shell has one.
///
/// # Errors
/// [`Failure::File`] if it is too long or can't be read.
pub fn prepare(args: &mut Run) -> Result<(), Failure> {
    if args.shell && args.guest == Guest::Linux && !io::stdin().is_terminal() {
        let failed = |source| Failure::File { path: "standard input".into(), source };
        let mut script = Vec::new();
        io::stdin().lock().take(TEXT_MAX + 1).read_to_end(&mut script).map_err(failed)?;
        if script.len() as u64 > TEXT_MAX {
            return Err(failed(io::Error::other("is too long for a script: 16 MiB at most")));
        }
        args.script = Some(script);
    }
    Ok(())
}

/// Whether somebody types at a shell.
pub fn is_typed(args: &Run) -> bool {
    args.typed || args.shell && args.script.is_none()
}

/// The shell that is asked for.
pub fn of(args: &Run) -> Option<Shell> {
    if let Some(script) = &args.script {
        return Some(Shell::Script(script.clone()));
    }
    is_typed(args).then(|| {
        let kind = env::var("TERM").unwrap_or_else(|_| KIND.to_owned());
        let (columns, rows) = match tcgetwinsize(stdin()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col, size.ws_row),
            _ => SIZE,
        };
        Shell::Typed { kind, columns, rows }
    })
}

/// The terminal while a shell in the guest has it: keys mean there what they mean, but for Ctrl-].
pub struct Terminal(());

impl Terminal {
    /// Gives it to the shell, if somebody types at one here.
    ///
    /// # Errors
    /// What the system said.
    pub fn take(args: &Run) -> io::Result<Option<Self>> {
        if args.typed || !is_typed(args) {
            return Ok(None);
        }
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
        Ok(Some(Self(())))
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
    /// That of a shell that is typed at.
    pub fn of(args: &Run) -> Option<Self> {
        is_typed(args).then_some(Self(()))
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
