//! A user's programs: how they are started.

use std::io;
use std::process::{Command, ExitStatus, Stdio};

use barscope_guest_abi::linux::PATH;

use crate::task::Program;

/// Runs a program to its end, which finds shared libraries in these folders. It reads nothing.
///
/// # Errors
/// It can't be started.
pub fn run(program: &Program, libraries: &str) -> io::Result<ExitStatus> {
    Command::new(&program.path)
        .args(&program.arguments)
        .env("PATH", PATH)
        .env("LD_LIBRARY_PATH", libraries)
        .stdin(Stdio::null())
        .status()
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", program.path)))
}
