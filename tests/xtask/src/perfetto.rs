//! The definitions of its trace format that Perfetto publishes, as a package of PyPI's: tests decode exports with them.
//! They are in a virtual environment of Python, below Cargo's target folder.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::cargo;

/// What is installed: a test is not to break because of a new version.
const PACKAGES: [&str; 2] = ["perfetto==0.59.1", "protobuf==7.36.2"];

/// Cargo's target folder has the environment by this name.
fn folder() -> Result<PathBuf, String> {
    Ok(cargo::target()?.join("perfetto"))
}

/// Why they aren't here, if they aren't.
pub fn missing() -> Option<String> {
    match folder() {
        // Written last.
        Ok(folder) if folder.join("complete").is_file() => None,
        Ok(folder) => Some(format!("{}; `cargo xtask setup` provides it", folder.display())),
        Err(error) => Some(error),
    }
}

/// Downloads them, unless they are here. Any user can; nothing is installed elsewhere.
///
/// # Errors
/// What doesn't work, and what to do instead.
pub fn provide() -> Result<(), String> {
    if missing().is_none() {
        return Ok(());
    }
    let folder = folder()?;
    eprintln!("== set-up: Perfetto's definitions, from PyPI ({})", folder.display());
    let by_hand = |error: String| {
        let (folder, packages) = (folder.display(), PACKAGES.join(" "));
        format!(
            "{error}\n  needed is a virtual environment of Python (on Debian from python3-venv) as {folder}, with {packages}, \
             and an empty file {folder}/complete"
        )
    };
    cargo::succeed(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder)).map_err(by_hand)?;
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(PACKAGES);
    cargo::succeed(&mut pip).map_err(by_hand)?;
    fs::write(folder.join("complete"), "").map_err(|error| by_hand(error.to_string()))
}
