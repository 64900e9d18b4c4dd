//! A user's programs: how they are started, and followed while they run.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use barscope_guest_abi::linux::PATH;

use crate::follow::Follower;
use crate::task::{Program, Terminal};
use crate::{ptrace, system};

/// This file by that name starts a program once it is followed: its arguments are the program and that one's arguments.
pub const STARTER: &str = "start";
/// Set for [`STARTER`] where the console becomes the program's terminal: its rows and columns.
const TERMINAL: &str = "BARSCOPE_TERMINAL";
/// Set for [`STARTER`] where nobody follows.
const ALONE: &str = "BARSCOPE_ALONE";
/// What shells say of a program that can't be started.
const NOT_STARTED: u8 = 127;

/// Runs a program to its end, which finds shared libraries in these folders.
///
/// # Errors
/// It can't be started or followed.
pub fn run(program: &Program, libraries: &str, follower: Option<&mut Follower>) -> io::Result<ExitStatus> {
    if follower.is_none() && program.terminal.is_none() {
        return with_environment(&mut Command::new(&program.path), libraries)
            .args(&program.arguments)
            .stdin(Stdio::null())
            .status()
            .map_err(|error| named(&program.path, &error));
    }
    let mut starter = Command::new("/init");
    with_environment(&mut starter, libraries).arg0(STARTER).arg(&program.path).args(&program.arguments);
    if let Some(Terminal { kind, size: [rows, columns] }) = &program.terminal {
        starter.env("TERM", kind).env(TERMINAL, format!("{rows} {columns}"));
    }
    let Some(follower) = follower else {
        return starter.env(ALONE, "").stdin(Stdio::null()).status();
    };
    let mut starter = starter.stdin(Stdio::piped()).spawn()?;
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
    if std::env::var_os(ALONE).is_none() {
        ptrace::report_tracers()?;
    }
    let mut program = Command::new(path);
    program.args(arguments).env_remove(ALONE).env_remove(TERMINAL);
    match std::env::var(TERMINAL) {
        Ok(size) => take_console(&size)?,
        Err(_) => drop(program.stdin(Stdio::null())),
    }
    Err(named(path, &program.exec()))
}

/// Makes the console the controlling terminal of this process, of `ROWS COLUMNS`: keys like Ctrl-C are for what runs in it.
fn take_console(size: &str) -> io::Result<()> {
    system::begin_session()?;
    // The first terminal that the leader of a session opens is the session's.
    let console = OpenOptions::new().read(true).write(true).open(system::CONSOLE)?;
    system::use_as_terminal(&console)?;
    let mut numbers = size.split(' ').filter_map(|number| number.parse().ok());
    if let (Some(rows), Some(columns)) = (numbers.next(), numbers.next()) {
        system::set_terminal_size(&console, [rows, columns])?;
    }
    Ok(())
}

fn named(path: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{path}: {error}"))
}
