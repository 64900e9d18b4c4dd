//! A Linux guest: its kernel, its driver, its first file system.

mod choice;
mod driver;
mod kernel;
mod places;

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use barscope_guests::INIT;

use self::places::{Places, file_name};
use crate::host_file::{self, KERNEL_MAX, MODULE_MAX, too_long};
use crate::initramfs::{Initramfs, PackError};
use crate::kernel_module;
use crate::libraries::libraries;

pub use choice::{ModuleChoice, ProgramChoice};
pub use kernel::{Kernel, KernelChoice};

/// What every Linux guest is told: a console, no more of it than errors, and to reset the machine when it
/// panics, by the register for that. An emulated processor may lose the interrupt that ends `sti; hlt`, which an idle
/// CPU waits by: with a tick it sleeps on for milliseconds only.
const COMMAND_LINE: &str = "console=ttyS0 quiet panic=-1 reboot=pci no_timer_check nohz=off";
/// There is no guest to boot.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No kernel was named, and none is here.
    #[error(
        "no Linux kernel for virtual machines here: `cargo xtask setup` brings Debian's; or name one with --kernel"
    )]
    NoKernel,
    /// Neither a file nor a version.
    #[error("{}: no such file, and no kernel of that version here; `barscope kernel` names those that are", named.display())]
    NoSuchKernel {
        /// What was named.
        named: PathBuf,
    },
    /// No kernel was built there.
    #[error("{}: no kernel was built there: arch/x86/boot/bzImage", folder.display())]
    Tree {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody knows whose headers to take.
    #[error(
        "{}: neither a bzImage (vmlinuz) nor a vmlinux that says its version, so no driver can be compiled \
         for it; name another with --kernel, or a driver with --module", path.display()
    )]
    NoVersion {
        /// The kernel's file.
        path: PathBuf,
    },
    /// There is no make.
    #[error(
        "no make here to compile the driver with; `cargo xtask setup` brings it; or give a driver with --module"
    )]
    NoMake,
    /// The headers of the kernel are not here.
    #[error(
        "{}: no headers of kernel {version} to compile the driver with; `cargo xtask setup` brings those of \
         Debian's kernel; or give a driver with --module", folder.display()
    )]
    NoHeaders {
        /// The kernel's version.
        version: String,
        /// Where they should be.
        folder: PathBuf,
    },
    /// The driver doesn't compile.
    #[error("the driver doesn't compile against the headers of kernel {version}:\n{said}")]
    Driver {
        /// The kernel's version.
        version: String,
        /// The compiler's last lines.
        said: String,
    },
    /// A program can't be taken along.
    #[error("{}: its shared libraries", program.display())]
    Libraries {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file can't be packed.
    #[error(transparent)]
    Pack(#[from] PackError),
    /// A file, a folder or a process can't be had.
    #[error("{what}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The kernel's file can't be read.
    #[error("{}", path.display())]
    Kernel {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What a Linux guest is made of, as users name it.
#[derive(Clone, Default)]
pub struct Choice {
    /// The kernel.
    pub kernel: KernelChoice,
    /// Kernel modules to load instead of the driver for lab.
    pub modules: Vec<ModuleChoice>,
    /// Programs to run instead of scenarios.
    pub programs: Vec<ProgramChoice>,
    /// Scenarios to play; all of them without one.
    pub scenarios: Vec<String>,
}

/// A kernel and what goes into its first file system.
pub struct Prepared {
    /// The kernel's file.
    pub kernel: PathBuf,
    /// Its first file system.
    pub initramfs: Initramfs,
}

/// The kernel's command line: what every guest is told, and what the user adds.
pub fn command_line(append: &str) -> String {
    format!("{COMMAND_LINE} {append}").trim_end().to_owned()
}

impl Prepared {
    /// Finds the kernel, compiles the driver if no other is named, and packs what the guest needs.
    ///
    /// # Errors
    /// [`Error`] if something is missing or can't be read.
    pub fn new(choice: &Choice) -> Result<Self, Error> {
        let kernel = Kernel::find(&choice.kernel)?;
        let initramfs = pack(choice, &kernel)?;
        Ok(Self { kernel: kernel.image, initramfs })
    }

    /// The first file system as an archive.
    ///
    /// # Errors
    /// [`Error`] if a file can't be read any more, or all of them are longer than 1 GiB.
    pub fn archive(&self) -> Result<Vec<u8>, Error> {
        if self.initramfs.size() > KERNEL_MAX {
            return Err(
                PackError { path: "what goes into the guest".into(), source: too_long(KERNEL_MAX) }.into()
            );
        }
        let mut archive = Vec::new();
        self.initramfs.write(&mut archive, Path::new("the initramfs"))?;
        Ok(archive)
    }

    /// The same, as a file.
    ///
    /// # Errors
    /// [`Error`] if it can't be written.
    pub fn archive_to(&self, path: &Path) -> Result<(), Error> {
        let out = File::create(path).map_err(|source| PackError { path: path.to_owned(), source })?;
        Ok(self.initramfs.write(io::BufWriter::new(out), path)?)
    }
}

fn pack(choice: &Choice, kernel: &Kernel) -> Result<Initramfs, Error> {
    let mut files = Initramfs::default();
    let mut task = String::new();
    let mut folders = BTreeSet::new();
    files.console()?;
    files.program(Path::new("/init"), INIT.to_vec())?;
    let mut places = Places::new("/modules");
    for ModuleChoice { file, parameters } in &choice.modules {
        let place = places.of(file);
        files.host_file(&place, file)?;
        let elf =
            host_file::read(file, MODULE_MAX).map_err(|source| PackError { path: file.clone(), source })?;
        let name = kernel_module::name(&elf);
        // The kernel allows no `-` there.
        let name = name.unwrap_or_else(|| file_name(file).trim_end_matches(".ko").replace('-', "_"));
        task += &format!("module {} {name} {parameters}\n", place.display());
    }
    let mut places = Places::new("/programs");
    for program in &choice.programs {
        let place = places.of(&program.file);
        files.host_file(&place, &program.file)?;
        let found = libraries(&program.file)
            .map_err(|source| Error::Libraries { program: program.file.clone(), source })?;
        for library in found {
            files.host_file(&library, &library)?;
            folders.extend(library.parent().map(|folder| folder.display().to_string()));
        }
        let name = places::shown(&program.file, choice.programs.iter().map(|other| &*other.file));
        task += &format!("program {name} {} {}\n", place.display(), program.arguments);
    }
    // Nothing is registered there, as it is here.
    task += &format!("libraries {}\n", Vec::from_iter(folders).join(":"));
    if choice.modules.is_empty() {
        let version =
            kernel.version.as_ref().ok_or_else(|| Error::NoVersion { path: kernel.image.clone() })?;
        files.file(Path::new("/lab.ko"), driver::module(version, &kernel.headers)?)?;
        if !choice.programs.is_empty() {
            task.insert_str(0, "module /lab.ko lab\n");
        }
    }
    for scenario in &choice.scenarios {
        task += &format!("scenario {scenario}\n");
    }
    files.file(Path::new("/task"), task.into_bytes())?;
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_adds_comes_last() {
        assert_eq!(command_line(""), "console=ttyS0 quiet panic=-1 reboot=pci no_timer_check nohz=off");
        assert_eq!(
            command_line("iomem=relaxed"),
            "console=ttyS0 quiet panic=-1 reboot=pci no_timer_check nohz=off iomem=relaxed"
        );
    }
}
