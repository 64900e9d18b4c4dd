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
    /// Its modules, in `lib/modules/VERSION`.
    pub modules: ModuleTree,
}

/// Where packages may be: here, and where Cargo's target folder is if this is a program in it.
fn roots() -> Vec<PathBuf> {
    let program = env::current_exe().unwrap_or_default();
    let unpacked = program.ancestors().skip(1).take(3).map(|folder| folder.join("debian"));
    [PathBuf::from("/")].into_iter().chain(unpacked.filter(|folder| folder.is_dir())).collect()
}

/// The newest kernel for virtual machines whose modules are there too.
pub fn kernel() -> Option<Kernel> {
    let kernels = roots().into_iter().flat_map(|root| kernels_in(&root));
    kernels.max_by_key(|kernel| numbers(&kernel.version))
}

fn kernels_in(root: &Path) -> Vec<Kernel> {
    let images = fs::read_dir(root.join("boot")).into_iter().flatten().flatten();
    images
        .filter_map(|image| {
            let name = image.file_name().into_string().ok()?;
            let version = name.strip_prefix("vmlinuz-").filter(|version| version.ends_with(FLAVOUR))?;
            let modules = ModuleTree::read(&root.join("lib/modules").join(version));
            (!modules.is_empty()).then(|| Kernel {
                version: version.to_owned(),
                image: image.path(),
                modules,
            })
        })
        .collect()
}

/// The numbers in a version: 6.1.0-10 is newer than 6.1.0-9.
fn numbers(version: &str) -> Vec<u64> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
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
    fn a_tenth_version_is_newer_than_a_ninth() {
        assert!(numbers("6.1.0-10-cloud-amd64") > numbers("6.1.0-9-cloud-amd64"));
        assert!(numbers("6.12.1-1-cloud-amd64") > numbers("6.1.0-9-cloud-amd64"));
    }
}
