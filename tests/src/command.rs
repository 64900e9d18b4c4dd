//! The command `barscope`, as a user runs it.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail, ensure};
use barscope_analysis::Trace;
use tempfile::TempDir;

/// A folder of its own for one run of the command.
pub struct Session {
    folder: TempDir,
}

/// What a run of the command left behind.
pub struct Ended {
    /// Its exit code; `None` if a signal killed it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Session {
    /// An empty folder.
    ///
    /// # Errors
    /// If the system has no place for one.
    pub fn new() -> Result<Self> {
        Ok(Self { folder: TempDir::new()? })
    }

    /// The path of a file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file in the folder with this content.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn file(&self, name: &str, content: &[u8]) -> Result<PathBuf> {
        let path = self.path(name);
        std::fs::write(&path, content)?;
        Ok(path)
    }

    /// The command with these arguments, in the folder.
    ///
    /// # Errors
    /// If it can't be built.
    pub fn barscope(&self, arguments: &[&str]) -> Result<Command> {
        Ok(self.command(binary()?, arguments))
    }

    /// A command like barscope, which somebody made of its library, with these arguments, in the folder.
    pub fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command
    }

    /// Runs the command with these arguments to its end.
    ///
    /// # Errors
    /// If it can't be built or started.
    pub fn run(&self, arguments: &[&str]) -> Result<Ended> {
        output(&mut self.barscope(arguments)?)
    }

    /// The trace that the command left in the folder.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn trace(&self) -> Result<Trace> {
        Ok(Trace::open(&self.folder.path().join("barscope.trace"))?)
    }
}

/// What the command says if the machine around it, which is emulated, shows no sign of life.
const HUNG: &str = "error: the virtual machine hangs";

/// Runs a command to its end. If the emulated machine of `--nested` hangs, which an emulator does now and then whatever
/// runs in it, that is told, and it is run once more.
///
/// # Errors
/// If it can't be started.
pub fn output(command: &mut Command) -> Result<Ended> {
    let ended = Ended::from(command.output()?);
    if ended.code != Some(3) || !ended.stderr.contains(HUNG) {
        return Ok(ended);
    }
    // Not captured with what the test prints: whoever reads a run's output is to see it.
    writeln!(io::stderr(), "\nNOTE: once more, since {}", ended.stderr.trim())?;
    Ok(command.output()?.into())
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Where packages of Debian are: on this machine, and where `cargo xtask setup` unpacks them for a user who
/// may not install.
///
/// # Errors
/// If the command can't be built, beside which that is.
pub fn debian() -> Result<Vec<PathBuf>> {
    let unpacked = binary()?.ancestors().skip(1).take(3).map(|folder| folder.join("debian"));
    Ok([PathBuf::from("/")].into_iter().chain(unpacked.filter(|folder| folder.is_dir())).collect())
}

/// Lets a command find the libraries of packages that were unpacked, where there are such.
///
/// # Errors
/// If the command `barscope` can't be built.
pub fn libraries(command: &mut Command) -> Result<()> {
    let unpacked = debian()?.into_iter().skip(1).map(|root| root.join("usr/lib/x86_64-linux-gnu"));
    let unpacked: Vec<_> = unpacked.collect();
    if !unpacked.is_empty() {
        command.env("LD_LIBRARY_PATH", std::env::join_paths(unpacked)?);
    }
    Ok(())
}

/// The command's file, built once.
///
/// # Errors
/// If it can't be built.
pub fn binary() -> Result<&'static Path> {
    static BINARY: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match BINARY.get_or_init(|| build().map_err(|error| format!("{error:#}"))) {
        Ok(path) => Ok(path),
        Err(error) => bail!("{error}"),
    }
}

/// Built as the test is. A test of this package can't ask Cargo for another package's binary, so it has it built: that is done
/// already when the whole workspace is tested.
fn build() -> Result<PathBuf> {
    // The whole workspace, so that features are what they are when the workspace is tested.
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--workspace", "--bin", "barscope", "--message-format", "json"])
        .args((!cfg!(debug_assertions)).then_some("--release"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "barscope doesn't build");
    String::from_utf8(output.stdout)?
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
        .context("cargo names no executable")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(script: &str) -> Ended {
        let folder = TempDir::new().unwrap();
        output(Command::new("sh").args(["-c", script]).current_dir(folder.path())).unwrap()
    }

    #[test]
    fn a_machine_that_hangs_once_is_tried_again_and_one_that_hangs_twice_is_told() {
        let hangs = format!("echo '{HUNG}: nothing was heard of it' >&2; exit 3");
        let once = ended(&format!("if [ -e there ]; then echo well; else touch there; {hangs}; fi"));
        assert_eq!((once.code, once.stdout.as_str()), (Some(0), "well\n"));
        let always = ended(&format!("echo run >> there; cat there; {hangs}"));
        assert_eq!((always.code, always.stdout.as_str()), (Some(3), "run\nrun\n"));
    }

    #[test]
    fn any_other_failure_is_told_at_once() {
        let failed = ended("echo run >> there; cat there; echo 'error: no' >&2; exit 3");
        assert_eq!((failed.code, failed.stdout.as_str()), (Some(3), "run\n"));
    }
}
