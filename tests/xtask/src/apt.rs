//! Debian's packages: installed by root, unpacked into a folder by any other user.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::cargo::succeed;
use crate::headers;

/// Whether this is root, who may install.
///
/// # Errors
/// If `id` can't be run.
pub fn is_root() -> io::Result<bool> {
    Ok(Command::new("id").arg("-u").output()?.stdout.trim_ascii() == b"0")
}

/// Installs packages.
///
/// # Errors
/// The command that fails.
pub fn install(packages: &[&str]) -> Result<(), String> {
    let mut install = Command::new("apt-get");
    install.args(["install", "--yes", "--no-install-recommends"]).args(packages);
    install.env("DEBIAN_FRONTEND", "noninteractive");
    // Lists may be missing on a fresh machine, or name versions that are gone.
    succeed(Command::new("apt-get").arg("update"))?;
    succeed(&mut install)
}

/// Unpacks packages, and those that they need and that aren't installed, into a folder, where they can be
/// used from.
///
/// # Errors
/// The command that fails, or the file that can't be written.
pub fn unpack(packages: &[&str], folder: &Path) -> Result<(), String> {
    let apt = Apt::new(folder)?;
    succeed(apt.get("update").arg("--quiet"))?;
    let archives = folder.join("apt/archives");
    make(&archives)?;
    let needed = apt.needed(packages)?;
    succeed(apt.get("download").current_dir(&archives).arg("--quiet").args(needed))?;
    let files = fs::read_dir(&archives).map_err(|error| format!("{}: {error}", archives.display()))?;
    for file in files.flatten() {
        succeed(Command::new("dpkg-deb").arg("--extract").arg(file.path()).arg(folder))?;
    }
    headers::relocate(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    // Megabytes that nobody needs any more.
    fs::remove_dir_all(folder.join("apt")).map_err(|error| format!("{}: {error}", archives.display()))
}

/// apt-get with state of its own, since the system's is root's; what is installed it knows from the system.
struct Apt<'a> {
    folder: &'a Path,
}

impl<'a> Apt<'a> {
    fn new(folder: &'a Path) -> Result<Self, String> {
        for part in ["apt/lists/partial", "apt/cache/archives/partial"] {
            make(&folder.join(part))?;
        }
        // Images of containers clean the system's cache after each update: not ours to do.
        let configuration = format!(
            "Dir::State::lists \"{0}/apt/lists\";\nDir::Cache \"{0}/apt/cache\";\n#clear APT::Update::Post-Invoke;\n",
            folder.display()
        );
        let file = folder.join("apt/apt.conf");
        fs::write(&file, configuration).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok(Self { folder })
    }

    fn get(&self, command: &str) -> Command {
        let mut apt = Command::new("apt-get");
        apt.arg("--config-file").arg(self.folder.join("apt/apt.conf")).arg(command);
        apt
    }

    /// Names and versions of what would be installed.
    fn needed(&self, packages: &[&str]) -> Result<Vec<String>, String> {
        let mut simulated = self.get("install");
        simulated.args(["--simulate", "--no-install-recommends"]).args(packages).env("LC_ALL", "C");
        let output = simulated.output().map_err(|error| format!("apt-get: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; "));
        }
        // `Inst make (4.3-4.1 Debian:12.15/oldstable [amd64])`, and `[old version]` before the bracket.
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        let installed = lines.lines().filter_map(|line| line.strip_prefix("Inst "));
        Ok(installed.filter_map(versioned).collect())
    }
}

/// `NAME=VERSION` from `NAME (VERSION …`.
fn versioned(line: &str) -> Option<String> {
    let name = line.split(' ').next()?;
    let version = line.split_once(" (")?.1.split(' ').next()?;
    Some(format!("{name}={version}"))
}

fn make(folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::versioned;

    #[test]
    fn a_package_is_named_with_its_version() {
        let new = "make (4.3-4.1 Debian:12.15/oldstable [amd64])";
        assert_eq!(versioned(new).as_deref(), Some("make=4.3-4.1"));
        let newer = "libc6 [2.36-9] (2.36-10 Debian:12.15/oldstable [amd64]) []";
        assert_eq!(versioned(newer).as_deref(), Some("libc6=2.36-10"));
    }
}
