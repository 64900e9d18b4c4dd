//! Commands of Cargo, and where its files are.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The repository.
pub fn root() -> &'static Path {
    // tests/xtask is two levels down.
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// A program that Cargo builds beside this one.
pub fn built(program: &str) -> Result<PathBuf, String> {
    let this = env::current_exe().map_err(|error| format!("xtask's own file: {error}"))?;
    Ok(this.with_file_name(program))
}

/// Cargo's target folder: this program is in a profile's folder there.
pub fn target() -> Result<PathBuf, String> {
    built("..")?.canonicalize().map_err(|error| format!("Cargo's target folder: {error}"))
}

/// Cargo with these arguments, in the repository.
pub fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(arguments);
    command
}

/// What guests run has a manifest of its own for this, outside the workspace.
pub fn guests<'a>(command: &'a str, arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let manifest = ["--manifest-path", "guest-driver/lint/Cargo.toml"];
    cargo([command].into_iter().chain(manifest).chain(arguments))
}

/// A `cargo doc`, where warnings are errors.
pub fn documentation(mut command: Command) -> Command {
    command.args(["--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings");
    command
}

/// What Cargo's own formatter doesn't find: device modules are declared by a macro.
pub fn rustfmt_devices() -> Command {
    let mut command = Command::new("rustfmt");
    command.current_dir(root()).args(["--check", "--edition", "2024"]);
    let devices = std::fs::read_dir(root().join("device-model/devices/src"));
    let files = devices.into_iter().flatten().flatten().map(|entry| entry.path());
    command.args(files.filter(|path| path.extension() == Some(OsStr::new("rs"))));
    command
}

/// A command as a person would write it.
pub fn describe(command: &Command) -> String {
    let arguments: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    format!("{} {}", command.get_program().display(), arguments.join(" "))
}

/// A command has to succeed.
///
/// # Errors
/// The command, if it doesn't.
pub fn succeed(command: &mut Command) -> Result<(), String> {
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(format!("FAILED: {}", describe(command))),
        Err(error) => Err(format!("{}: {error}", command.get_program().display())),
    }
}

/// What a command prints, as text; what it complains about is shown.
///
/// # Errors
/// The command, if it fails.
pub fn output(command: &mut Command) -> Result<String, String> {
    let output = command.stderr(Stdio::inherit()).output();
    match output {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(_) => Err(format!("FAILED: {}", describe(command))),
        Err(error) => Err(format!("{}: {error}", command.get_program().display())),
    }
}
