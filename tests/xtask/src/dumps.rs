//! Configuration spaces of real machines, as `lspci -x` dumped them: pciutils tests itself with them, and we test our
//! types of headers with them. They are in the folder `tests` of Debian's source package, of no binary one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{apt, cargo};

/// The source package.
const PACKAGE: &str = "pciutils";

/// Cargo's target folder has them below this one: `pciutils/tests`.
fn folder() -> Result<PathBuf, String> {
    Ok(cargo::target()?.join(PACKAGE))
}

/// Why they aren't here, if they aren't.
pub fn missing() -> Option<String> {
    match folder() {
        Ok(folder) if folder.join("tests").is_dir() => None,
        Ok(folder) => Some(format!("{}/tests; `cargo xtask setup` provides it", folder.display())),
        Err(error) => Some(error),
    }
}

/// Downloads and unpacks them, unless they are here. Any user can; nothing is installed.
///
/// # Errors
/// What doesn't work, and what to do instead.
pub fn provide() -> Result<(), String> {
    if missing().is_none() {
        return Ok(());
    }
    let folder = folder()?;
    eprintln!(
        "== set-up: dumps of configuration spaces, from Debian's source package {PACKAGE} ({})",
        folder.display()
    );
    let by_hand = |error: String| {
        let folder = folder.display();
        format!(
            "{error}\n  needed is the folder tests of {PACKAGE}' sources, from wherever you get them, as {folder}/tests"
        )
    };
    unpack(&folder).map_err(by_hand)
}

fn unpack(folder: &Path) -> Result<(), String> {
    // What is there under its name is whole.
    let begun = folder.with_extension("begun");
    let failed = |error: std::io::Error| format!("{}: {error}", begun.display());
    let remove = |path: &Path| if path.exists() { fs::remove_dir_all(path).map_err(failed) } else { Ok(()) };
    remove(&begun)?;
    fs::create_dir_all(&begun).map_err(failed)?;
    apt::download_source(PACKAGE, &begun)?;
    let names = fs::read_dir(&begun).map_err(failed)?.flatten().map(|file| file.file_name());
    let names = names.map(|name| name.to_string_lossy().into_owned());
    let upstream = names.filter(|name| name.contains(".orig.tar.")).min();
    let upstream = upstream.ok_or_else(|| format!("{}: there is no *.orig.tar.*", begun.display()))?;
    let mut tar = Command::new("tar");
    tar.current_dir(&begun)
        .args(["--extract", "--strip-components=1", "--wildcards", "*/tests/*", "--file"])
        .arg(&upstream);
    cargo::succeed(tar.env("PATH", with_unpacked_programs()?))?;
    let dumps = fs::read_dir(begun.join("tests")).map_err(failed)?.count();
    // Megabytes that nobody needs any more.
    remove(&begun.join("apt"))?;
    remove(folder)?;
    fs::rename(&begun, folder).map_err(failed)?;
    eprintln!("xtask: {dumps} files from {upstream}");
    Ok(())
}

/// Where programs are found, with those that set-up unpacked: tar needs xz.
fn with_unpacked_programs() -> Result<std::ffi::OsString, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let unpacked = cargo::target()?.join("debian/usr/bin");
    let all = std::env::split_paths(&path).chain([unpacked]);
    std::env::join_paths(all).map_err(|error| format!("PATH: {error}"))
}
