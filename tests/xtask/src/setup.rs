//! `cargo xtask setup`: which of Debian's packages the project uses, and whether they are here.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::needs::Thing;
use crate::{apt, cargo, dumps, newer, registry};

/// The folder in Cargo's target folder where packages are unpacked; `barscope_vmm::debian` looks there too.
const UNPACKED: &str = "debian";

/// A package, and why it is needed.
pub struct Package {
    pub name: &'static str,
    /// What a test that needs it says.
    pub thing: Thing,
    why: &'static str,
    /// The folder and the beginning and end of a name in it by which it is known to be there.
    known_by: (&'static str, &'static str, &'static str),
}

const PACKAGES: [Package; 15] = [
    Package {
        name: "qemu-system-x86",
        thing: Thing::Qemu,
        why: "the virtual machine of `barscope run --nested`; runs the test kernel without the bench",
        known_by: ("usr/bin", "qemu-system-x86_64", ""),
    },
    Package {
        name: "linux-image-cloud-amd64",
        thing: Thing::Kernel,
        why: "the kernel in that machine, with kvm-amd",
        known_by: ("boot", "vmlinuz-", "-cloud-amd64"),
    },
    Package {
        name: "linux-headers-cloud-amd64",
        thing: Thing::Headers,
        why: "to build kernel modules for that kernel",
        known_by: ("usr/src", "linux-headers-", "-cloud-amd64"),
    },
    Package {
        name: "make",
        thing: Thing::Headers,
        why: "to build kernel modules",
        known_by: ("usr/bin", "make", ""),
    },
    Package {
        name: "gcc",
        thing: Thing::Headers,
        why: "to build kernel modules",
        known_by: ("usr/bin", "gcc", ""),
    },
    Package {
        name: "grub-pc-bin",
        thing: Thing::Grub,
        why: "starts kernels of multiboot 2 in QEMU",
        known_by: ("usr/lib/grub/i386-pc", "multiboot2.mod", ""),
    },
    Package {
        name: "xorriso",
        thing: Thing::Grub,
        why: "makes an image of a CD that GRUB is on",
        known_by: ("usr/bin", "xorriso", ""),
    },
    Package {
        name: "busybox-static",
        thing: Thing::Busybox,
        why: "the shell and the usual commands of scripts in the Linux guest",
        known_by: ("bin", "busybox", ""),
    },
    Package {
        name: "strace",
        thing: Thing::Strace,
        why: "traces programs in the Linux guest, which are followed there already",
        known_by: ("usr/bin", "strace", ""),
    },
    Package {
        name: "pciutils",
        thing: Thing::Lspci,
        why: "lspci, which tests run in the Linux guest: does it see the device as designed?",
        known_by: ("usr/bin", "lspci", ""),
    },
    Package {
        name: "python3",
        thing: Thing::Python,
        why: "runs docs/read_trace.py, an example of a reader in another language",
        known_by: ("usr/bin", "python3", ""),
    },
    Package {
        name: "chromium",
        thing: Thing::Chromium,
        why: "the browser that opens reports in tests, without a window",
        known_by: ("usr/bin", "chromium", ""),
    },
    Package {
        name: "nodejs",
        thing: Thing::Node,
        why: "runs the report's filters, which are held against those of the command line",
        known_by: ("usr/bin", "node", ""),
    },
    Package {
        name: "npm",
        thing: Thing::Node,
        why: "fetches the compiler that checks types of the report's script",
        known_by: ("usr/bin", "npm", ""),
    },
    Package {
        name: "xz-utils",
        thing: Thing::Dumps,
        why: "unpacks the sources of pciutils, which have dumps of real configuration spaces",
        known_by: ("usr/bin", "xz", ""),
    },
];

impl Package {
    fn is_in(&self, root: &Path) -> bool {
        let (folder, start, end) = self.known_by;
        // Newer packages have all of it below `usr`.
        let folders = [root.join(folder), root.join("usr").join(folder)];
        let files = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
        let mut names = files.map(|file| file.file_name().to_string_lossy().into_owned());
        names.any(|name| {
            // Without an end the name is whole: gcc is there, not gcc-ar.
            if end.is_empty() { name == start } else { name.starts_with(start) && name.ends_with(end) }
        })
    }
}

/// The packages that are neither installed nor unpacked.
///
/// # Errors
/// If Cargo's target folder can't be found.
pub fn missing() -> Result<Vec<&'static Package>, String> {
    let roots = [PathBuf::from("/"), cargo::target()?.join(UNPACKED)];
    Ok(PACKAGES.iter().filter(|package| !roots.iter().any(|root| package.is_in(root))).collect())
}

/// Provides what is missing: packages, then what their programs unpack.
///
/// # Errors
/// What doesn't work, and what to do instead.
pub fn run(unpack: bool) -> Result<(), String> {
    let newer = [Thing::Debian13, Thing::Backports].into_iter().find_map(newer::missing);
    if missing()?.is_empty() && dumps::missing().or(newer).or(registry::missing()).is_none() {
        eprintln!(
            "xtask: nothing to set up: QEMU, Debian's kernels, what builds their modules, busybox, Chromium, Node.js, pciutils' dumps, and the packages of other languages are here"
        );
    }
    let (packages, dumps) = (packages(unpack), dumps::provide());
    packages.and(dumps).and(newer::provide()).and(registry::provide())
}

/// Provides the packages that are missing.
///
/// # Errors
/// As for [`run`].
pub fn packages(unpack: bool) -> Result<(), String> {
    let packages = missing()?;
    if packages.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = packages.iter().map(|package| package.name).collect();
    let unpacked = cargo::target()?.join(UNPACKED);
    let root = apt::is_root().map_err(|error| no_apt(&names, &error))?;
    let place = if root && !unpack { "installed here".to_owned() } else { unpacked.display().to_string() };
    eprintln!("== set-up: packages of Debian ({place})");
    for package in &packages {
        eprintln!("  {:26} {}", package.name, package.why);
    }
    let done = if root && !unpack { apt::install(&names) } else { apt::unpack(&names, &unpacked) };
    done.map_err(|error| no_apt(&names, &error))?;
    match missing()?.as_slice() {
        [] => Ok(()),
        left => {
            let left: Vec<_> = left.iter().map(|package| package.name).collect();
            let error = io::Error::other(format!("not there afterwards: {}", left.join(", ")));
            Err(no_apt(&names, &error))
        }
    }
}

fn no_apt(names: &[&str], error: &dyn std::fmt::Display) -> String {
    let names = names.join(" ");
    format!(
        "set-up: {error}\n  needed are these packages of Debian 12 or newer, from wherever you get them: {names}"
    )
}
