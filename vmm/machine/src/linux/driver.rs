//! The driver for the lab function, compiled for the kernel that is to be booted.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use barscope_guests::{DRIVER, DRIVER_MODULE};
use tempfile::TempDir;

use super::Error;

/// The end of the compiler's output, which says what is wrong.
const TAIL: usize = 8;

/// The module for kernel `version`, whose headers are in `headers`: the one of the last time, or compiled
/// now.
///
/// # Errors
/// [`Error`] if there are no such headers, or they don't make a module.
pub fn module(version: &str, headers: &Path) -> Result<Vec<u8>, Error> {
    let kept = kept(version, headers);
    if let Some(bytes) = kept.as_ref().and_then(|path| fs::read(path).ok()) {
        return Ok(bytes);
    }
    if !headers.join("Makefile").is_file() {
        return Err(Error::NoHeaders { version: version.to_owned(), folder: headers.to_owned() });
    }
    let folder = TempDir::with_prefix("barscope-").map_err(system("a folder for the driver"))?;
    compile(version, headers, folder.path())?;
    let bytes = fs::read(folder.path().join(DRIVER_MODULE)).map_err(system("the driver"))?;
    if let Some(path) = kept {
        keep(&path, &bytes);
    }
    Ok(bytes)
}

fn system(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::System { what, source }
}

fn compile(version: &str, headers: &Path, folder: &Path) -> Result<(), Error> {
    for (name, content) in DRIVER {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap_or(folder)).map_err(system("the driver's folder"))?;
        fs::write(path, content).map_err(system("the driver's sources"))?;
    }
    let output = Command::new("make")
        .arg("-C")
        .arg(headers)
        .arg(format!("M={}", folder.display()))
        .arg("modules")
        .output()
        .map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => Error::NoMake,
            _ => Error::System { what: "make", source },
        })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<_> = said.lines().collect();
    let said = lines[lines.len().saturating_sub(TAIL)..].join("\n");
    Err(Error::Driver { version: version.to_owned(), said })
}

/// Where a module is kept for the next time; `None` where there is no folder for such things.
fn kept(version: &str, headers: &Path) -> Option<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")))?;
    let mut hasher = DefaultHasher::new();
    (DRIVER, version).hash(&mut hasher);
    // Headers of the same version may have been compiled anew.
    fs::read(headers.join("Module.symvers")).unwrap_or_default().hash(&mut hasher);
    Some(cache.join("barscope").join(format!("lab-{version}-{:016x}.ko", hasher.finish())))
}

/// A module that can't be kept is compiled again the next time.
fn keep(path: &Path, bytes: &[u8]) {
    let new = path.with_extension(std::process::id().to_string());
    let written = path.parent().map_or(Ok(()), fs::create_dir_all);
    if let Err(error) = written.and_then(|()| fs::write(&new, bytes)).and_then(|()| fs::rename(&new, path)) {
        log::debug!("{}: {error}", path.display());
    }
}
