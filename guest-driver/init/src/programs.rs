//! A user's programs: how they are started, and followed while they run.

use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use barscope_guest_abi::linux::PATH;

use crate::follow::Follower;
use crate::ptrace;
use crate::task::Program;

/// This file by that name starts a program once it is followed: its arguments are the program and that one's arguments.
pub const STARTER: &str = "start";
/// What shells say of a program that can't be started.
const NOT_STARTED: u8 = 127;

/// Runs a program to its end, which finds shared libraries in these folders. It reads nothing.
///
/// # Errors
/// It can't be started or followed.
pub fn run(program: &Program, libraries: &str, follower: Option<&mut Follower>) -> io::Result<ExitStatus> {
    let Some(follower) = follower else {
        return with_environment(&mut Command::new(&program.path), libraries)
            .args(&program.arguments)
            .stdin(Stdio::null())
            .status()
            .map_err(|error| named(&program.path, &error));
    };
    let mut starter = with_environment(&mut Command::new("/init"), libraries)
        .arg0(STARTER)
        .arg(&program.path)
        .args(&program.arguments)
        .stdin(Stdio::piped())
        .spawn()?;
    let child = starter.id() as ptrace::Thread;
    follower.seize(child)?;
    // It begins when there is nothing more to read.
    drop(starter.stdin.take());
    follower.until_ended(child)
}

fn with_environment<'a>(command: &'a mut Command, libraries: &str) -> &'a mut Command {
    command.env("PATH", PATH).env("LD_LIBRARY_PATH", libraries)
}

/// What [`STARTER`] does: it becomes the program when it is followed.
pub fn start(arguments: &[String]) -> ExitCode {
    let error = match become_program(arguments) {
        Err(error) => error,
        Ok(never) => match never {},
    };
    eprintln!("init: {error}");
    ExitCode::from(NOT_STARTED)
}

fn become_program(arguments: &[String]) -> io::Result<std::convert::Infallible> {
    let [path, arguments @ ..] = arguments else {
        return Err(io::Error::other("no program is named"));
    };
    io::stdin().read_to_end(&mut Vec::new())?;
    ptrace::report_tracers()?;
    let error = Command::new(path).args(arguments).stdin(Stdio::null()).exec();
    Err(named(path, &error))
}

fn named(path: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{path}: {error}"))
}
