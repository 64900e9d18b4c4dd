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
    extract_all(folder)?;
    headers::relocate(folder).map_err(|error| format!("{}: {error}", folder.display()))
}

/// Downloads what a package is made from into a folder, from the first of the mirror's suites that has it: suites that
/// apt is configured with for packages, listed anew for sources. What the machine's apt knows stays as it is.
///
/// # Errors
/// The command that fails for the last suite, or the file that can't be written.
pub fn download_source(package: &str, folder: &Path) -> Result<(), String> {
    let mut result = Err(NO_SUITE.to_owned());
    for suite in suites(&targets()?, keyring()) {
        result = download_from(&suite, package, folder);
        match &result {
            Ok(()) => break,
            Err(error) => eprintln!("xtask: not from {suite}: {error}"),
        }
    }
    result
}

const NO_SUITE: &str = "apt is configured with no suite of packages";

/// What apt is configured with, a line `SITE|RELEASE|COMPONENT` each.
fn targets() -> Result<String, String> {
    let mut targets = Command::new("apt-get");
    // Written in a form of ours; told from the configuration alone, whether lists are there or not.
    let format = "$(SITE)|$(RELEASE)|$(COMPONENT)";
    targets.args(["indextargets", "--no-release-info", "--format", format, "Created-By: Packages"]);
    output(&mut targets)
}

/// The line of a list of sources for another suite of the mirror that apt has Debian's packages from.
///
/// # Errors
/// If apt is configured with none.
pub fn sibling(suite: &str) -> Result<String, String> {
    site(&targets()?)
        .map(|site| format!("deb {}{site} {suite} main", signed_by(keyring())))
        .ok_or_else(|| "apt is configured with no mirror of Debian".to_owned())
}

/// Names that Debian's releases go by.
const RELEASES: [&str; 7] = ["bookworm", "trixie", "forky", "oldstable", "stable", "testing", "sid"];

/// The mirror of a release, in lines `SITE|RELEASE|COMPONENT`.
fn site(targets: &str) -> Option<&str> {
    targets.lines().find_map(|line| {
        let [site, release, "main"] = line.split('|').collect::<Vec<_>>()[..] else { return None };
        RELEASES.contains(&release).then_some(site)
    })
}

fn keyring() -> Option<&'static str> {
    KEYRINGS.into_iter().find(|file| Path::new(file).is_file())
}

fn signed_by(keyring: Option<&str>) -> String {
    keyring.map(|file| format!("[signed-by={file}] ")).unwrap_or_default()
}

/// Debian's own keys, which not every release of apt looks at without being told.
const KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];

/// Lines of a list of sources, one a suite, from lines `SITE|RELEASE|COMPONENT`.
fn suites(targets: &str, keyring: Option<&str>) -> Vec<String> {
    let mut suites = Vec::new();
    for line in targets.lines() {
        let [site, release, "main"] = line.split('|').collect::<Vec<_>>()[..] else { continue };
        let suite = format!("deb-src {}{site} {release} main", signed_by(keyring));
        // One for each architecture is listed.
        if !suites.contains(&suite) {
            suites.push(suite);
        }
    }
    suites
}

fn download_from(suite: &str, package: &str, folder: &Path) -> Result<(), String> {
    let apt = Mirror::new(folder, suite)?.apt;
    succeed(apt.get("source").current_dir(folder).args(["--quiet", "--download-only", package]))
}

/// A suite, whatever the machine has.
pub struct Mirror<'a> {
    apt: Apt<'a>,
}

impl<'a> Mirror<'a> {
    /// The suite of a line of a list of sources, its lists below `folder`.
    ///
    /// # Errors
    /// The command that fails, or the file that can't be written.
    pub fn new(folder: &'a Path, source: &str) -> Result<Self, String> {
        let list = folder.join("apt/sources.list");
        let status = folder.join("apt/status");
        let configuration = format!(
            "Dir::Etc::sourcelist \"{}\";\nDir::Etc::sourceparts \"/dev/null\";\nDir::State::status \"{}\";\n\
             Acquire::Languages \"none\";\n",
            list.display(),
            status.display()
        );
        let apt = Apt::new(folder, &configuration)?;
        fs::write(&list, format!("{source}\n")).map_err(|error| format!("{}: {error}", list.display()))?;
        // Nothing is installed, as far as this suite is concerned.
        fs::write(&status, "").map_err(|error| format!("{}: {error}", status.display()))?;
        succeed(apt.get("update").arg("--quiet"))?;
        Ok(Self { apt })
    }

    /// What a package depends on, alternatives too.
    ///
    /// # Errors
    /// The command that fails: there is no such package.
    pub fn depends(&self, package: &str) -> Result<Vec<String>, String> {
        let mut cache = self.apt.command("apt-cache");
        Ok(depended(&output(cache.args(["depends", package]).env("LC_ALL", "C"))?))
    }

    /// Unpacks packages into the folder, none that they need; gives names and versions.
    ///
    /// # Errors
    /// The command that fails, or the file that can't be read.
    pub fn unpack<'b>(&self, packages: impl IntoIterator<Item = &'b String>) -> Result<Vec<String>, String> {
        let archives = self.apt.folder.join("apt/archives");
        make(&archives)?;
        succeed(self.apt.get("download").current_dir(&archives).arg("--quiet").args(packages))?;
        extract_all(self.apt.folder)
    }
}

/// The packages in what `apt-cache depends` prints; a name in angle brackets is none.
fn depended(text: &str) -> Vec<String> {
    let lines =
        text.lines().filter_map(|line| line.trim_start().trim_start_matches('|').strip_prefix("Depends: "));
    lines.filter(|name| !name.starts_with('<')).map(|name| name.trim().to_owned()).collect()
}

/// Unpacks what was downloaded into the folder, and removes the downloads; gives names and versions.
fn extract_all(folder: &Path) -> Result<Vec<String>, String> {
    let archives = folder.join("apt/archives");
    let files = fs::read_dir(&archives).map_err(|error| format!("{}: {error}", archives.display()))?;
    let mut versions = Vec::new();
    for file in files.flatten() {
        succeed(Command::new("dpkg-deb").arg("--extract").arg(file.path()).arg(folder))?;
        // `make_4.3-4.1_amd64.deb`
        let name = file.file_name().to_string_lossy().replace("%3a", ":");
        versions
            .push(name.rsplit_once('_').map_or_else(|| name.clone(), |(name, _)| name.replacen('_', " ", 1)));
    }
    versions.sort();
    // Megabytes that nobody needs any more.
    let downloads = folder.join("apt");
    fs::remove_dir_all(&downloads).map_err(|error| format!("{}: {error}", downloads.display()))?;
    Ok(versions)
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
        let mut apt = self.command("apt-get");
        apt.arg(command);
        apt
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("--config-file").arg(self.folder.join("apt/apt.conf"));
        command
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
    use super::{depended, site, suites, versioned};

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

    #[test]
    fn the_mirror_is_that_of_a_release_of_debian() {
        let targets = "http://tools|nodistro|main\nhttp://security|bookworm-security|main\n\
                       http://mirror/debian|bookworm|contrib\nhttp://mirror/debian|bookworm|main\n";
        assert_eq!(site(targets), Some("http://mirror/debian"));
        assert_eq!(site("http://tools|cloud-bookworm|main\n"), None);
    }

    #[test]
    fn a_package_depends_on_packages_that_exist() {
        let text = "linux-headers\n  Depends: linux-common\n |Depends: linux-image\n  Depends: <linux-virtual>\n\
                    \x20 Suggests: other\n    provider\n";
        assert_eq!(depended(text), ["linux-common", "linux-image"]);
    }
}
