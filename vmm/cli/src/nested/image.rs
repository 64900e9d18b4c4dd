//! What goes into the virtual machine: a program with its libraries and files, the kernel's modules, and
//! this program as its first process.

use std::collections::BTreeSet;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use barscope_vmm::debian::Kernel;
use barscope_vmm::initramfs::Initramfs;

use crate::linux;
use crate::output;

use super::Error;
use super::libraries::libraries;
use super::task::{Output, Task};

/// The first process, as the kernel finds it.
pub const INIT: &str = "/init";
/// KVM, and the port to the host.
const MODULES: [&str; 3] = ["kvm-amd", "virtio_pci", "virtio_console"];
/// What a command's environment is copied from: those that begin so.
const ENVIRONMENT: [&str; 4] = ["BARSCOPE_", "RUST_", "COLUMNS", "NO_COLOR"];

/// A command to be run in the virtual machine.
pub struct Errand<'a> {
    /// The program; `None` for this one.
    pub program: Option<&'a Path>,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Files that it reads.
    pub inputs: Vec<&'a Path>,
    /// Files that it writes.
    pub outputs: Vec<Output>,
    /// MiB of memory that it needs.
    pub memory_mib: u64,
}

impl Errand<'_> {
    /// Packs it. A file keeps its path, and the command the folder that it is started in, so that its
    /// arguments mean the same.
    ///
    /// # Errors
    /// [`Error`] if a file can't be read or the kernel has no KVM.
    pub fn pack(self, kernel: &Kernel) -> Result<Initramfs, Error> {
        let system = |what| move |source| Error::System { what, source };
        let folder = env::current_dir().map_err(system("the current folder"))?;
        let init = env::current_exe().map_err(system("barscope's own file"))?;
        let modules = kernel
            .modules(MODULES)
            .map_err(|module| Error::NoModule { module, kernel: kernel.version.clone() })?;
        let program = self.program.map(|program| folder.join(program));

        let mut files = Initramfs::default();
        files.folder(Path::new("/tmp"))?;
        files.folder(&folder)?;
        files.host_file(Path::new(INIT), &init)?;
        let mut folders = BTreeSet::new();
        for program in [Some(&init), program.as_ref()].into_iter().flatten() {
            let libraries =
                libraries(program).map_err(|source| Error::Libraries { program: program.clone(), source })?;
            for library in libraries {
                files.host_file(&library, &library)?;
                folders.extend(library.parent().map(Path::to_path_buf));
            }
        }
        for input in modules.iter().chain(&program).map(PathBuf::as_path).chain(self.inputs) {
            let input = folder.join(input);
            files.host_file(&input, &input)?;
        }
        let outputs = self.outputs.into_iter();
        let outputs: Vec<_> =
            outputs.map(|output| Output { path: folder.join(&output.path), ..output }).collect();
        for output in outputs.iter().filter_map(|output| output.path.parent()) {
            files.folder(output)?;
        }
        let task = Task {
            modules,
            program: program.unwrap_or_else(|| PathBuf::from(INIT)),
            arguments: self.arguments,
            environment: environment(&folders),
            folder,
            outputs,
        };
        let (path, content) = task.file().map_err(system("the task"))?;
        files.file(path, content)?;
        Ok(files)
    }
}

/// The environment there: where libraries are, since nothing is registered, and what says how to print.
fn environment(libraries: &BTreeSet<PathBuf>) -> Vec<(OsString, OsString)> {
    let copied = env::vars_os().filter(|(name, _)| {
        let name = name.to_string_lossy();
        ENVIRONMENT.iter().any(|start| name.starts_with(start))
    });
    let mut variables: Vec<_> = copied.collect();
    let mut set = |name: &str, value: &OsStr| variables.push((name.into(), value.into()));
    set("TMPDIR", OsStr::new("/tmp"));
    if let Ok(path) = env::join_paths(libraries) {
        set("LD_LIBRARY_PATH", &path);
    }
    if linux::is_shown() {
        set(linux::VARIABLE, OsStr::new("1"));
    }
    // There, standard output is a pipe.
    if output::color() {
        set("CLICOLOR_FORCE", OsStr::new("1"));
    }
    if io::stdout().is_terminal() {
        set("COLUMNS", OsStr::new(&output::width().to_string()));
    }
    variables
}
