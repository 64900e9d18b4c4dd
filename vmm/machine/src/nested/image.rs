//! What goes into the virtual machine: a program with its libraries and files, the kernel's modules, and
//! this program as its first process.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::debian::Kernel;
use crate::initramfs::{Initramfs, PackError};
use crate::packed;

use super::Error;
use super::task::{Output, Task};
use crate::libraries::libraries;

/// The first process, as the kernel finds it.
pub const INIT: &str = "/init";
/// KVM, and the port to the host.
const MODULES: [&str; 3] = ["kvm-amd", "virtio_pci", "virtio_console"];

/// A command to be run in the virtual machine.
pub struct Errand<'a> {
    /// A `barscope`, which is the first process there.
    pub init: &'a Path,
    /// The program; `None` for that `barscope`.
    pub program: Option<&'a Path>,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its environment, beside what says where libraries and temporary files are.
    pub environment: Vec<(OsString, OsString)>,
    /// Files that it reads.
    pub inputs: Vec<&'a Path>,
    /// Files that it writes.
    pub outputs: Vec<Output>,
    /// MiB of memory that it needs.
    pub memory_mib: u64,
    /// The version of the kernel there, or its beginning; the newest of Debian's that is installed without one.
    pub kernel: Option<String>,
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
        let init = folder.join(self.init);
        let modules = kernel
            .modules()
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
        for module in &modules {
            let place = packed::unpacked_name(module);
            if packed::is_packed(module) {
                let elf = packed::read(module);
                let elf = elf.map_err(|source| PackError { path: module.clone(), source })?;
                files.file(&place, elf)?;
            } else {
                files.host_file(&place, module)?;
            }
        }
        let modules = modules.iter().map(|module| packed::unpacked_name(module)).collect();
        for input in program.as_deref().into_iter().chain(self.inputs) {
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
            environment: environment(self.environment, &folders),
            folder,
            outputs,
        };
        let (path, content) = task.file().map_err(system("the task"))?;
        files.file(path, content)?;
        Ok(files)
    }
}

/// The environment there: where libraries are, since nothing is registered.
fn environment(
    mut variables: Vec<(OsString, OsString)>,
    libraries: &BTreeSet<PathBuf>,
) -> Vec<(OsString, OsString)> {
    variables.push(("TMPDIR".into(), "/tmp".into()));
    if let Ok(path) = env::join_paths(libraries) {
        variables.push(("LD_LIBRARY_PATH".into(), path));
    }
    variables
}
