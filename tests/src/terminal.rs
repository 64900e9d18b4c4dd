//! A terminal that somebody sits at, for tests of what the command does there.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};

use crate::command::Session;

/// How long anything may take that the guest does.
const PATIENCE: Duration = Duration::from_secs(120);
/// A terminal, and a command in it.
pub struct Terminal {
    keys: File,
    screen: Receiver<Vec<u8>>,
    /// What it showed after what was waited for.
    pub shown: String,
    command: Child,
    /// The command's side of it.
    inside: File,
}

impl Terminal {
    /// One of 100 columns and 30 rows, in which the command is started.
    /// # Errors
    /// The system has no terminal left, or the command can't be started.
    pub fn start(session: &Session, arguments: &[&str], variables: &[(&str, &str)]) -> Result<Self> {
        let outside = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
        grantpt(&outside)?;
        unlockpt(&outside)?;
        let name = ptsname(&outside, Vec::new())?;
        let inside = File::options().read(true).write(true).open(name.to_str()?)?;
        tcsetwinsize(&inside, Winsize { ws_col: 100, ws_row: 30, ws_xpixel: 0, ws_ypixel: 0 })?;
        let side = || inside.try_clone().map(Stdio::from);
        let mut command = session.barscope(arguments)?;
        command.env("TERM", "linux").envs(variables.iter().copied());
        let command = command.stdin(side()?).stdout(side()?).stderr(side()?).spawn()?;
        let keys = File::from(outside);
        let mut output = keys.try_clone()?;
        let (sender, screen) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut buffer)
                && sender.send(buffer[..read].to_vec()).is_ok()
            {}
        });
        Ok(Self { keys, screen, shown: String::new(), command, inside })
    }

    /// Waits until it shows this, after what was waited for before.
    ///
    /// # Errors
    /// It doesn't in two minutes.
    pub fn shows(&mut self, text: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = self.shown.find(text) {
                self.shown.drain(..found + text.len());
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.screen.recv_timeout(left) {
                Ok(bytes) => self.shown.push_str(&String::from_utf8_lossy(&bytes)),
                Err(error) => bail!("no {text:?} ({error}) after:\n{}", self.shown),
            }
        }
    }

    /// Types this.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn types(&mut self, keys: &str) -> Result<()> {
        Ok(self.keys.write_all(keys.as_bytes())?)
    }

    /// How it treats keys and what is printed: modes of input, output, control, and its own.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn modes(&self) -> Result<[u32; 4]> {
        let modes = tcgetattr(&self.inside)?;
        Ok([
            modes.input_modes.bits(),
            modes.output_modes.bits(),
            modes.control_modes.bits(),
            modes.local_modes.bits(),
        ])
    }

    /// Waits until the command ends.
    ///
    /// # Errors
    /// It doesn't in two minutes.
    pub fn ends(&mut self) -> Result<ExitStatus> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            // It has room to print.
            match self.screen.recv_timeout(Duration::from_millis(20)) {
                Ok(bytes) => self.shown.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            if let Some(status) = self.command.try_wait()? {
                return Ok(status);
            }
        }
        self.command.kill()?;
        bail!("it doesn't end:\n{}", self.shown)
    }
}
