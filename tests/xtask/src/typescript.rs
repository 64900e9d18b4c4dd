//! TypeScript's compiler, a package of npm's: a test checks types of the report's script with it. It is in a folder of
//! its own, below Cargo's target folder.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::cargo;

/// What is installed: a test is not to break because of a new version.
const PACKAGE: &str = "typescript@5.9.3";

/// Cargo's target folder has it by this name.
fn folder() -> Result<PathBuf, String> {
    Ok(cargo::target()?.join("typescript"))
}

/// Why it isn't here, if it isn't.
pub fn missing() -> Option<String> {
    match folder() {
        Ok(folder) if folder.join("node_modules/typescript/bin/tsc").is_file() => None,
        Ok(folder) => Some(format!("{}; `cargo xtask setup` provides it", folder.display())),
        Err(error) => Some(error),
    }
}

/// Downloads it, unless it is here. Any user can; nothing is installed elsewhere.
///
/// # Errors
/// What doesn't work, and what to do instead.
pub fn provide() -> Result<(), String> {
    if missing().is_none() {
        return Ok(());
    }
    let folder = folder()?;
    eprintln!("== set-up: TypeScript's compiler, from npm ({})", folder.display());
    let by_hand = |error: String| {
        let folder = folder.display();
        format!("{error}\n  needed is npm's {PACKAGE} in {folder}: `npm install --prefix {folder} {PACKAGE}`")
    };
    fs::create_dir_all(&folder).map_err(|error| by_hand(error.to_string()))?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--silent", "--no-audit", "--no-fund", "--prefix"]).arg(&folder).arg(PACKAGE);
    cargo::succeed(&mut npm).map_err(by_hand)
}
