//! Debian's packages: installed by root, unpacked into a folder by any other user; and sources, which nobody installs.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::cargo::{output, succeed};
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
    let apt = Apt::new(folder, "")?;
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

/// Downloads what a package is made from into a folder, from the first of the mirror's suites that has it: suites that
/// apt is configured with for packages, listed anew for sources. What the machine's apt knows stays as it is.
///
/// # Errors
/// The command that fails for the last suite, or the file that can't be written.
pub fn download_source(package: &str, folder: &Path) -> Result<(), String> {
    let mut targets = Command::new("apt-get");
    // Written in a form of ours; told from the configuration alone, whether lists are there or not.
    let format = "$(SITE)|$(RELEASE)|$(COMPONENT)";
    targets.args(["indextargets", "--no-release-info", "--format", format, "Created-By: Packages"]);
    let keyring = KEYRINGS.into_iter().find(|file| Path::new(file).is_file());
    let mut result = Err("apt is configured with no suite of packages".to_owned());
    for suite in suites(&output(&mut targets)?, keyring) {
        result = download_from(&suite, package, folder);
        match &result {
            Ok(()) => break,
            Err(error) => eprintln!("xtask: not from {suite}: {error}"),
        }
    }
    result
}

/// Debian's own keys, which not every release of apt looks at without being told.
const KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];

/// Lines of a list of sources, one a suite, from lines `SITE|RELEASE|COMPONENT`.
fn suites(targets: &str, keyring: Option<&str>) -> Vec<String> {
    let mut suites = Vec::new();
    for line in targets.lines() {
        let [site, release, "main"] = line.split('|').collect::<Vec<_>>()[..] else { continue };
        let options = keyring.map(|file| format!("[signed-by={file}] ")).unwrap_or_default();
        let suite = format!("deb-src {options}{site} {release} main");
        // One for each architecture is listed.
        if !suites.contains(&suite) {
            suites.push(suite);
        }
    }
    suites
}

fn download_from(suite: &str, package: &str, folder: &Path) -> Result<(), String> {
    let list = folder.join("apt/sources.list");
    let configuration = format!(
        "Dir::Etc::sourcelist \"{}\";\nDir::Etc::sourceparts \"/dev/null\";\nAcquire::Languages \"none\";\n",
        list.display()
    );
    let apt = Apt::new(folder, &configuration)?;
    fs::write(&list, format!("{suite}\n")).map_err(|error| format!("{}: {error}", list.display()))?;
    succeed(apt.get("update").arg("--quiet"))?;
    succeed(apt.get("source").current_dir(folder).args(["--quiet", "--download-only", package]))
}

/// apt-get with state of its own, since the system's is root's; what is installed it knows from the system.
struct Apt<'a> {
    folder: &'a Path,
}

impl<'a> Apt<'a> {
    /// `configuration` is what else is to be so.
    fn new(folder: &'a Path, configuration: &str) -> Result<Self, String> {
        for part in ["apt/lists/partial", "apt/cache/archives/partial"] {
            make(&folder.join(part))?;
        }
        // Images of containers clean the system's cache after each update: not ours to do.
        let configuration = format!(
            "Dir::State::lists \"{0}/apt/lists\";\nDir::Cache \"{0}/apt/cache\";\n#clear APT::Update::Post-Invoke;\n\
             {configuration}",
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
    use super::{suites, versioned};

    #[test]
    fn a_package_is_named_with_its_version() {
        let new = "make (4.3-4.1 Debian:12.15/oldstable [amd64])";
        assert_eq!(versioned(new).as_deref(), Some("make=4.3-4.1"));
        let newer = "libc6 [2.36-9] (2.36-10 Debian:12.15/oldstable [amd64]) []";
        assert_eq!(versioned(newer).as_deref(), Some("libc6=2.36-10"));
    }

    #[test]
    fn each_suite_of_packages_is_one_of_sources() {
        let targets = "http://mirror/debian|bookworm|main\nhttp://mirror/debian|bookworm|main\n\
                       http://mirror/debian|bookworm|contrib\nhttp://other/security|bookworm-security|main\n\
                       W: something else\n";
        assert_eq!(
            suites(targets, Some("/keys")),
            [
                "deb-src [signed-by=/keys] http://mirror/debian bookworm main",
                "deb-src [signed-by=/keys] http://other/security bookworm-security main",
            ]
        );
        assert_eq!(
            suites("http://mirror/debian|trixie|main", None),
            ["deb-src http://mirror/debian trixie main"]
        );
    }
}
