//! A Linux guest: its kernel, its driver, its first file system.

mod choice;
mod driver;
mod kernel;
mod luggage;
mod module_files;
mod places;
mod script;
mod task;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use barscope_guests::INIT;

use self::luggage::Luggage;
use self::module_files::Loaded;
use self::task::Task;
use crate::host_file::{KERNEL_MAX, too_long};
use crate::initramfs::{Initramfs, PackError};

pub use choice::{BadChoice, FileChoice, FolderChoice, ModuleChoice, ProgramChoice};
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
    /// A program is none.
    #[error(
        "{}: neither an ELF program nor a script, which begins with #! and the path of its interpreter", path.display()
    )]
    NoProgram {
        /// The file.
        path: PathBuf,
    },
    /// The interpreter of a script isn't here.
    #[error(
        "{}: its interpreter {path:?} isn't here, so that it can't travel: install it, or change the script's first line",
        script.display()
    )]
    NoInterpreter {
        /// The script.
        script: PathBuf,
        /// The path or the name in its first line.
        path: String,
    },
    /// busybox isn't here.
    #[error(
        "{}: needs a shell and the usual commands, which busybox is in a guest, and that isn't here: `cargo xtask \
         setup` brings it", whom.display()
    )]
    NoBusybox {
        /// What needs it.
        whom: PathBuf,
    },
    /// A module needs another one.
    #[error(
        "{}: needs the module {missing}, which is neither named, nor beside it, nor one of the kernel's: name it \
         with --module", module.display()
    )]
    NeedsModule {
        /// The module.
        module: PathBuf,
        /// What it needs.
        missing: String,
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
    /// A shell, after programs.
    pub shell: Option<Shell>,
    /// Run no program after one that failed.
    pub fail_fast: bool,
    /// Scenarios to play; all of them without one.
    pub scenarios: Vec<String>,
    /// Files that travel beside.
    pub files: Vec<FileChoice>,
    /// Folders that travel beside.
    pub folders: Vec<FolderChoice>,
    /// Leave programs alone: nothing is told of their code.
    pub untraced: bool,
    /// Have the kernel tell system calls and page faults of programs.
    pub count_entries: bool,
}

/// A shell in the guest, which is a program called [`SHELL`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shell {
    /// It is typed at, on the serial port.
    Typed {
        /// The kind of terminal, as `TERM` has it.
        kind: String,
        /// Its columns.
        columns: u16,
        /// Its rows.
        rows: u16,
    },
    /// It does what this says.
    Script(Vec<u8>),
}

/// What the shell is called.
pub const SHELL: &str = "sh";
/// Where it is, and what it does.
const SHELL_PATH: &str = "/bin/sh";
const SHELL_SCRIPT: &str = "/shell-script";

impl Choice {
    /// Whether programs run instead of scenarios.
    pub fn has_programs(&self) -> bool {
        !self.programs.is_empty() || self.shell.is_some()
    }
}

/// A kernel and what goes into its first file system.
pub struct Prepared {
    /// The kernel.
    pub kernel: Kernel,
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
        Ok(Self { kernel, initramfs })
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

/// A first file system that waits for turns.
///
/// # Errors
/// None: what is in it is made here.
pub fn waiting_archive() -> Result<Vec<u8>, Error> {
    let mut task = Task::default();
    task.add("keep", &[]);
    let mut files = Initramfs::default();
    files.console()?;
    files.program(Path::new("/init"), INIT.to_vec())?;
    files.file(Path::new(barscope_guest_abi::linux::TASK), task.into_bytes())?;
    let mut archive = Vec::new();
    files.write(&mut archive, Path::new("the initramfs"))?;
    Ok(archive)
}

/// What people call programs: by their names, or paths where two have one name, and their arguments. That is what the
/// scenario of each is called.
pub fn program_names(programs: &[ProgramChoice]) -> Vec<String> {
    let name = |ProgramChoice { file, arguments }: &ProgramChoice| {
        let name = places::shown(file, programs.iter().map(|other| &*other.file));
        places::with_arguments(&name, arguments)
    };
    programs.iter().map(name).collect()
}

fn pack(choice: &Choice, kernel: &Kernel) -> Result<Initramfs, Error> {
    let mut luggage = Luggage::default();
    let mut task = Task::default();
    luggage.files.console()?;
    luggage.files.program(Path::new("/init"), INIT.to_vec())?;
    let modules = module_files::take(&choice.modules, kernel.modules(), &mut luggage.files)?;
    for Loaded { place, name, parameters } in modules {
        task.add("module", &[&place.to_string_lossy(), &name, &parameters]);
    }
    for file in &choice.files {
        luggage.file(file)?;
    }
    for folder in &choice.folders {
        luggage.folder(folder)?;
    }
    for (ProgramChoice { file, arguments }, name) in
        choice.programs.iter().zip(program_names(&choice.programs))
    {
        let path = luggage.program(file)?.to_string_lossy().into_owned();
        let words = [&*name, &*path].into_iter().chain(arguments.iter().map(String::as_str));
        task.add("program", &Vec::from_iter(words));
    }
    if let Some(shell) = &choice.shell {
        luggage.usual_commands(Path::new("--shell"))?;
        match shell {
            Shell::Typed { kind, columns, rows } => {
                task.add("shell", &[SHELL, SHELL_PATH, kind, &columns.to_string(), &rows.to_string()]);
            }
            Shell::Script(text) => {
                luggage.files.file(Path::new(SHELL_SCRIPT), text.clone())?;
                task.add("program", &[SHELL, SHELL_PATH, SHELL_SCRIPT]);
            }
        }
    }
    if choice.fail_fast {
        task.add("fail-fast", &[]);
    }
    if choice.modules.is_empty() {
        let version =
            kernel.version.as_ref().ok_or_else(|| Error::NoVersion { path: kernel.image.clone() })?;
        luggage.files.file(Path::new("/lab.ko"), driver::module(version, &kernel.headers)?)?;
        if choice.has_programs() {
            task.add("module", &["/lab.ko", "lab", ""]);
        }
    }
    if let Some(symbols) = &kernel.symbols {
        luggage.files.host_file(Path::new(barscope_guest_abi::linux::SYSTEM_MAP), symbols)?;
    }
    if !choice.untraced {
        task.add("follow", &[]);
    }
    if choice.count_entries {
        task.add("count-entries", &[]);
    }
    // Nothing is registered there, as it is here.
    task.add("libraries", &[&luggage.library_path()]);
    for scenario in &choice.scenarios {
        task.add("scenario", &[scenario]);
    }
    luggage.files.file(Path::new(barscope_guest_abi::linux::TASK), task.into_bytes())?;
    Ok(luggage.files)
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
