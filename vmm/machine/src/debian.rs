//! What comes from Debian's packages: a kernel with its modules, QEMU and busybox. Either installed on this machine
//! or unpacked by `cargo xtask setup` into the folder `debian` of Cargo's target folder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::module_tree::ModuleTree;

/// How the packages name their kernel: the one for virtual machines, which boots fastest.
const FLAVOUR: &str = "-cloud-amd64";
const QEMU: &str = "qemu-system-x86_64";
const BUSYBOX: &str = "busybox";
/// Where modules are; packages of Debian 13 know the second only.
const MODULES: [&str; 2] = ["lib/modules", "usr/lib/modules"];
/// The folders of other releases of Debian.
const NEWER: [&str; 2] = ["debian-13", "debian-13-backports"];
/// Where an unpacked QEMU has its shared libraries and its firmware.
const LIBRARIES: [&str; 2] = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];
const FIRMWARE: [&str; 2] = ["usr/share/qemu", "usr/share/seabios"];

/// A kernel of Debian.
#[derive(Debug)]
pub struct Kernel {
    /// As `uname -r` says it.
    pub version: String,
    /// The file to boot, a bzImage.
    pub image: PathBuf,
    /// Its modules: `lib/modules/VERSION`.
    modules: PathBuf,
}

/// Where packages may be: here, and where Cargo's target folder is if this is a program in it.
fn roots() -> Vec<PathBuf> {
    [vec![PathBuf::from("/")], unpacked(&["debian"])].concat()
}

/// Those of these folders that are in Cargo's target folder.
fn unpacked(names: &[&str]) -> Vec<PathBuf> {
    let program = env::current_exe().unwrap_or_default();
    let targets = program.ancestors().skip(1).take(3);
    let folders = targets.flat_map(|target| names.iter().map(|name| target.join(name)));
    folders.filter(|folder| folder.is_dir()).collect()
}

/// The newest kernel for virtual machines whose modules are there too, of those that are installed or stand in for
/// installed ones.
pub fn kernel() -> Option<Kernel> {
    newest(roots().into_iter().flat_map(|root| kernels_in(&root)))
}

/// All kernels for virtual machines whose modules are there too, the oldest first: those of other releases of Debian, that
/// `cargo xtask setup` unpacks beside, too.
pub fn kernels() -> Vec<Kernel> {
    let all = [roots(), unpacked(&NEWER)].concat();
    let mut kernels: Vec<_> = all.into_iter().flat_map(|root| kernels_in(&root)).collect();
    kernels.sort_by_key(|kernel| numbers(&kernel.version));
    // `/lib` and `/usr/lib` are mostly the same.
    kernels.dedup_by(|one, other| one.version == other.version);
    kernels
}

/// The newest of [`kernels`] whose version begins so: `6.12`, but not `6.1` for that.
pub fn kernel_of(version: &str) -> Option<Kernel> {
    newest(kernels().into_iter().filter(|kernel| is_of(&kernel.version, version)))
}

fn newest(kernels: impl Iterator<Item = Kernel>) -> Option<Kernel> {
    kernels.max_by_key(|kernel| numbers(&kernel.version))
}

/// Whether a version is the one that was named, or goes on after it with something that isn't part of its last number.
fn is_of(version: &str, named: &str) -> bool {
    let rest = version.strip_prefix(named).filter(|_| !named.is_empty());
    rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_digit()))
}

fn kernels_in(root: &Path) -> Vec<Kernel> {
    MODULES.iter().flat_map(|folder| kernels_of(root, &root.join(folder))).collect()
}

/// The kernels whose modules are in a folder.
fn kernels_of(root: &Path, folder: &Path) -> Vec<Kernel> {
    let versions = fs::read_dir(folder).into_iter().flatten().flatten();
    versions
        .filter_map(|entry| {
            let version = entry.file_name().into_string().ok()?;
            let modules = entry.path();
            // Newer packages have it beside its modules.
            let images = [root.join("boot").join(format!("vmlinuz-{version}")), modules.join("vmlinuz")];
            let image = images.into_iter().find(|image| version.ends_with(FLAVOUR) && image.is_file())?;
            modules.join("modules.order").is_file().then_some(Kernel { version, image, modules })
        })
        .collect()
}

/// The numbers in a version: 6.1.0-10 is newer than 6.1.0-9.
fn numbers(version: &str) -> Vec<u64> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

impl Kernel {
    /// What its modules are built with: a folder that may not be there.
    pub fn headers(&self) -> PathBuf {
        self.modules.join("build")
    }

    /// Its modules.
    pub fn modules(&self) -> ModuleTree {
        ModuleTree::read(&self.modules)
    }
}

/// The shell and the usual commands in one program; `None` if it is neither installed nor unpacked.
pub fn busybox() -> Option<PathBuf> {
    let places = roots().into_iter().flat_map(|root| ["bin", "usr/bin"].map(|folder| root.join(folder)));
    places.map(|folder| folder.join(BUSYBOX)).find(|file| file.is_file())
}

/// QEMU, installed or unpacked; `None` if it is neither.
pub fn qemu() -> Option<Command> {
    let path = env::var_os("PATH").unwrap_or_default();
    let installed = env::split_paths(&path).map(|folder| folder.join(QEMU)).find(|file| file.is_file());
    installed.map(Command::new).or_else(|| roots().iter().skip(1).find_map(|root| unpacked_qemu(root)))
}

fn unpacked_qemu(root: &Path) -> Option<Command> {
    let program = root.join("usr/bin").join(QEMU);
    let mut command = program.is_file().then(|| Command::new(program))?;
    command.env("LD_LIBRARY_PATH", env::join_paths(LIBRARIES.map(|folder| root.join(folder))).ok()?);
    for folder in FIRMWARE {
        command.arg("-L").arg(root.join(folder));
    }
    Some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_is_named_by_how_its_version_begins() {
        let version = "6.12.117+deb13-cloud-amd64";
        for named in ["6", "6.12", "6.12.117", "6.12.117+deb13", version] {
            assert!(is_of(version, named), "{named}");
        }
        for named in ["", "6.1", "6.12.11", "7", "12"] {
            assert!(!is_of(version, named), "{named}");
        }
    }

    #[test]
    fn a_kernel_is_in_boot_or_beside_its_modules() {
        let root = tempfile::tempdir().unwrap();
        let version = "7.3.4+deb13-cloud-amd64";
        let modules = root.path().join("usr/lib/modules").join(version);
        fs::create_dir_all(&modules).unwrap();
        fs::write(modules.join("modules.order"), "").unwrap();
        assert!(kernels_in(root.path()).is_empty());
        fs::write(modules.join("vmlinuz"), "").unwrap();
        let found = kernels_in(root.path());
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].version.as_str(), &found[0].image), (version, &modules.join("vmlinuz")));
        fs::create_dir_all(root.path().join("boot")).unwrap();
        let image = root.path().join("boot").join(format!("vmlinuz-{version}"));
        fs::write(&image, "").unwrap();
        assert_eq!(kernels_in(root.path())[0].image, image);
    }

    #[test]
    fn a_tenth_version_is_newer_than_a_ninth() {
        assert!(numbers("6.1.0-10-cloud-amd64") > numbers("6.1.0-9-cloud-amd64"));
        assert!(numbers("6.12.1-1-cloud-amd64") > numbers("6.1.0-9-cloud-amd64"));
    }
}
