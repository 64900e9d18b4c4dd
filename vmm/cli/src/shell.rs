//! `--shell`: a shell in the guest, on the terminal that barscope was started at, or with standard input for its script.

use std::io::{self, IsTerminal, Read};

use crate::args::{Guest, Run};
use crate::ending::Failure;
use crate::files::TEXT_MAX;
use crate::terminal::{Keyboard, Terminal};

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

/// The terminal, if somebody types here at a shell.
///
/// # Errors
/// What the system said.
pub fn terminal(args: &Run) -> io::Result<Option<Terminal>> {
    (args.is_typed() && !args.typed).then(Terminal::take).transpose()
}

/// What is typed at a shell, if anybody does.
pub fn keyboard(args: &Run) -> Option<Keyboard> {
    args.is_typed().then(Keyboard::new)
}
