//! A pager for what may be longer than a screen, where standard output is a terminal.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};

use anstream::ColorChoice;
use rustix::stdio::dup2_stdout;
use signal_hook::consts::SIGINT;
use signal_hook::flag;

/// What is used unless PAGER says something else: it leaves at the end of what fits on the screen, and passes colours on.
const PAGER: &str = "less";
/// How it does that.
const OPTIONS: (&str, &str) = ("LESS", "FRX");

/// Columns of the terminal behind the pager.
static WIDTH: OnceLock<usize> = OnceLock::new();

/// A pager that standard output goes to.
pub struct Pager(Child);

impl Pager {
    /// Starts it for lines of `width` columns, coloured or not; `None` without a terminal, or if there is no such program. PAGER is a command for the shell; `cat` or
    /// nothing is no pager.
    pub fn start(width: usize, color: bool) -> Option<Self> {
        let asked = env::var("PAGER").unwrap_or_else(|_| PAGER.to_owned());
        if !io::stdout().is_terminal() || matches!(asked.trim(), "" | "cat") {
            return None;
        }
        let mut command = Command::new("sh");
        // Without the pager, what is printed comes all the same.
        command.arg("-c").arg(format!("{asked} || exec cat")).stdin(Stdio::piped());
        if env::var_os(OPTIONS.0).is_none() {
            command.env(OPTIONS.0, OPTIONS.1);
        }
        let mut child = command.spawn().ok()?;
        dup2_stdout(child.stdin.take()?).ok()?;
        // Ctrl-C is the pager's.
        flag::register(SIGINT, Arc::default()).ok()?;
        WIDTH.get_or_init(|| width);
        if color { ColorChoice::Always } else { ColorChoice::Never }.write_global();
        Some(Self(child))
    }
}

impl Drop for Pager {
    /// Waits until it has been read.
    fn drop(&mut self) {
        // Nobody to tell if it fails: whoever reads may have left.
        let _ = io::stdout().flush();
        if let Ok(nowhere) = std::fs::File::options().write(true).open("/dev/null") {
            let _ = dup2_stdout(nowhere);
            let _ = self.0.wait();
        }
    }
}

/// Columns of the terminal behind the pager, if there is one.
pub fn width() -> Option<usize> {
    WIDTH.get().copied()
}
