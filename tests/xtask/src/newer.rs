//! Kernels newer than the machine's: Debian 13's, and the newest of its backports, with what builds modules for them.
//!
//! They come from the mirror that the machine's apt is configured with, the suite replaced; nothing is installed. Their
//! build programs need Debian 13's C library, which comes along: each is started through that library's own loader.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::needs::Thing;
use crate::{apt, cargo, headers};

/// A suite with a kernel.
pub struct Suite {
    /// What a test that needs it says.
    pub thing: Thing,
    /// Its name.
    suite: &'static str,
    /// Where it is unpacked, in Cargo's target folder; `barscope_vmm::debian` looks there too.
    folder: &'static str,
    /// Packages that its kernel's own don't lead to.
    besides: &'static [&'static str],
}

/// What the kernel of a suite is found by.
const KERNEL: [&str; 2] = ["linux-image-cloud-amd64", "linux-headers-cloud-amd64"];
/// Shared libraries of the programs that build modules, and their loader.
const LIBRARIES: [&str; 5] = ["libc6", "libelf1t64", "libssl3t64", "libzstd1", "zlib1g"];
/// Of what a kernel's packages need, only those that begin so are unpacked.
const PREFIX: &str = "linux-";

/// The suites, the one whose libraries others use first.
const SUITES: [Suite; 2] = [
    Suite { thing: Thing::Debian13, suite: "trixie", folder: "debian-13", besides: &LIBRARIES },
    Suite { thing: Thing::Backports, suite: "trixie-backports", folder: "debian-13-backports", besides: &[] },
];

/// Names and versions of the unpacked packages, written when all of them are there.
const COMPLETE: &str = "packages";

impl Suite {
    fn folder(&self) -> Result<PathBuf, String> {
        Ok(cargo::target()?.join(self.folder))
    }
}

/// Why the kernel that a test needs isn't here, if it isn't.
pub fn missing(thing: Thing) -> Option<String> {
    let suite = SUITES.iter().find(|suite| suite.thing == thing)?;
    match suite.folder() {
        Ok(folder) if folder.join(COMPLETE).is_file() => None,
        Ok(folder) => Some(format!("{}; `cargo xtask setup` provides it", folder.display())),
        Err(error) => Some(error),
    }
}

/// Provides each kernel that is missing; what doesn't work for one isn't in another's way.
///
/// # Errors
/// What doesn't work for the first.
pub fn provide() -> Result<(), String> {
    let mut result = Ok(());
    for suite in SUITES.iter().filter(|suite| missing(suite.thing).is_some()) {
        result = result.and(unpack(suite).map_err(|error| format!("set-up of {}: {error}", suite.suite)));
    }
    result
}

fn unpack(suite: &Suite) -> Result<(), String> {
    let folder = suite.folder()?;
    let failed = |error: io::Error| format!("{}: {error}", folder.display());
    // What an earlier try left.
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(failed)?;
    }
    fs::create_dir_all(&folder).map_err(failed)?;
    eprintln!("== set-up: the kernel of Debian's suite {} ({})", suite.suite, folder.display());
    let source = apt::sibling(suite.suite)?;
    let mirror = apt::Mirror::new(&folder, &source)?;
    let packages = closure(suite, |name| mirror.depends(name))?;
    let versions = mirror.unpack(&packages)?;
    headers::relocate(&folder).map_err(failed)?;
    let libraries = SUITES[0].folder()?;
    wrap_programs(&folder.join("usr/lib"), &libraries).map_err(failed)?;
    versions.iter().for_each(|version| eprintln!("  {version}"));
    fs::write(folder.join(COMPLETE), versions.join("\n") + "\n").map_err(failed)
}

/// The kernel's packages, with all of a kernel's that they need, and those besides.
fn closure(
    suite: &Suite,
    depends: impl Fn(&str) -> Result<Vec<String>, String>,
) -> Result<BTreeSet<String>, String> {
    let mut all = BTreeSet::new();
    let mut waiting: Vec<String> = KERNEL.map(str::to_owned).to_vec();
    while let Some(name) = waiting.pop() {
        let needed = depends(&name)?;
        waiting.extend(needed.into_iter().filter(|needed| is_kernels(needed) && !all.contains(needed)));
        all.insert(name);
    }
    all.extend(suite.besides.iter().map(|name| (*name).to_owned()));
    Ok(all)
}

/// Whether a package is part of a kernel. The unsigned one stands beside the signed one.
fn is_kernels(name: &str) -> bool {
    name.starts_with(PREFIX) && !name.ends_with("-unsigned") && !name.starts_with("linux-compiler")
}

/// Puts before each program of a kernel's build, in `folder`, a script that starts it with the loader in `libraries`.
fn wrap_programs(folder: &Path, libraries: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with("linux-kbuild-") {
            wrap_below(&entry.path(), libraries)?;
        }
    }
    Ok(())
}

fn wrap_below(folder: &Path, libraries: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            wrap_below(&path, libraries)?;
        } else if kind.is_file() && is_program(&path)? {
            wrap(&path, libraries)?;
        }
    }
    Ok(())
}

/// What a program's own file is called by, besides its name.
const WRAPPED: &str = "program";

fn is_program(path: &Path) -> io::Result<bool> {
    let executable = path.metadata()?.permissions().mode() & 0o111 != 0;
    let is_library = path.extension().is_some_and(|extension| extension == "so");
    let is_wrapped = path.extension().is_some_and(|extension| extension == WRAPPED);
    Ok(executable && !is_library && !is_wrapped && fs::read(path)?.starts_with(b"\x7fELF"))
}

fn wrap(program: &Path, libraries: &Path) -> io::Result<()> {
    let mut moved = program.as_os_str().to_owned();
    moved.push(format!(".{WRAPPED}"));
    fs::rename(program, &moved)?;
    // Some find another program by their own name.
    let script = format!(
        "#!/bin/sh\nexec '{0}/usr/lib64/ld-linux-x86-64.so.2' --argv0 '{1}' --library-path '{0}/usr/lib/x86_64-linux-gnu' \
         '{1}.{WRAPPED}' \"$@\"\n",
        libraries.display(),
        program.display()
    );
    fs::write(program, script)?;
    fs::set_permissions(program, fs::Permissions::from_mode(0o755))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernels_packages_lead_to_its_modules_and_build_programs_and_to_nothing_else() -> Result<(), String> {
        let depends = |name: &str| {
            let needed: &[&str] = match name {
                "linux-image-cloud-amd64" => &["linux-image-7-cloud-amd64"],
                "linux-image-7-cloud-amd64" => &["kmod", "linux-binary-7-cloud-amd64", "initramfs-tools"],
                "linux-headers-cloud-amd64" => &["linux-headers-7-cloud-amd64"],
                "linux-headers-7-cloud-amd64" => &[
                    "linux-image-7-cloud-amd64",
                    "linux-image-7-cloud-amd64-unsigned",
                    "linux-kbuild-7",
                    "gcc-14",
                ],
                _ => &[],
            };
            Ok(needed.iter().map(|name| (*name).to_owned()).collect())
        };
        let expected = [
            "linux-binary-7-cloud-amd64",
            "linux-headers-7-cloud-amd64",
            "linux-headers-cloud-amd64",
            "linux-image-7-cloud-amd64",
            "linux-image-cloud-amd64",
            "linux-kbuild-7",
        ];
        assert!(closure(&SUITES[1], depends)?.iter().eq(expected));
        assert!(closure(&SUITES[0], depends)?.contains("libc6"));
        Ok(())
    }

    #[test]
    fn a_build_program_starts_through_the_loader_and_a_script_stays() -> io::Result<()> {
        let folder = std::env::temp_dir().join(format!("xtask-newer-{}", std::process::id()));
        let kbuild = folder.join("linux-kbuild-7/scripts/mod");
        fs::create_dir_all(&kbuild)?;
        let (program, script) = (kbuild.join("modpost"), kbuild.join("check"));
        for (path, content) in [(&program, &b"\x7fELF.."[..]), (&script, b"#!/bin/sh\n")] {
            fs::write(path, content)?;
            fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        }
        // Twice is once.
        wrap_programs(&folder, Path::new("/libraries"))?;
        wrap_programs(&folder, Path::new("/libraries"))?;
        let wrapped = fs::read_to_string(&program)?;
        assert!(wrapped.contains("exec '/libraries/usr/lib64/ld-linux-x86-64.so.2' --argv0 '"), "{wrapped}");
        assert!(wrapped.contains("mod/modpost.program' \"$@\""), "{wrapped}");
        assert!(fs::read(kbuild.join("modpost.program"))?.starts_with(b"\x7fELF"));
        assert_eq!(fs::read(&script)?, b"#!/bin/sh\n");
        fs::remove_dir_all(folder)
    }
}
