//! What goes into the virtual machine: a program with its libraries and files, the kernel's modules, and
//! this program as its first process.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Receiver;

use crate::debian::Kernel;
use crate::initramfs::{Initramfs, PackError};
use crate::packed;

use super::Error;
use super::task::{Order, Output, Task};
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
    /// Files that it needs besides; programs among them have their libraries.
    pub files: &'a [PathBuf],
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its environment, beside what says where libraries and temporary files are.
    pub environment: Vec<(OsString, OsString)>,
    /// What is typed for it, piece by piece; without it, it reads nothing.
    pub stdin: Option<Receiver<Vec<u8>>>,
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
    pub fn pack(&self, kernel: &Kernel) -> Result<Initramfs, Error> {
        let order = self.order()?;
        let mut files = Initramfs::default();
        files.folder(&order.folder)?;
        let program = self.program.map(|program| order.folder.join(program));
        let beside: Vec<_> = self.files.iter().map(|file| order.folder.join(file)).collect();
        for program in program.iter().chain(beside.iter().filter(|file| is_program(file))) {
            for library in libraries_of(program)? {
                files.host_file(&library, &library)?;
            }
        }
        for input in program.iter().chain(&beside).map(PathBuf::as_path).chain(self.inputs.iter().copied()) {
            let input = order.folder.join(input);
            files.host_file(&input, &input)?;
        }
        for output in order.outputs.iter().filter_map(|output| output.path.parent()) {
            files.folder(output)?;
        }
        machine(&mut files, self.init, kernel, Some(order))?;
        Ok(files)
    }

    /// Packs what it takes to do it, turn by turn: of its inputs those that are the same each time.
    ///
    /// # Errors
    /// As [`pack`](Self::pack).
    pub fn pack_for_turns(&self, kernel: &Kernel, lasting: &[&Path]) -> Result<Initramfs, Error> {
        let mut files = Initramfs::default();
        for input in lasting {
            files.host_file(input, input)?;
        }
        machine(&mut files, self.init, kernel, None)?;
        Ok(files)
    }

    /// What the machine is told.
    ///
    /// # Errors
    /// [`Error`] if a library can't be found.
    pub fn order(&self) -> Result<Order, Error> {
        let folder =
            env::current_dir().map_err(|source| Error::System { what: "the current folder", source })?;
        let program = self.program.map(|program| folder.join(program));
        let init = folder.join(self.init);
        let beside: Vec<_> = self.files.iter().map(|file| folder.join(file)).collect();
        let programs = [Some(&init), program.as_ref()].into_iter().flatten();
        let mut folders = BTreeSet::new();
        for program in programs.chain(beside.iter().filter(|file| is_program(file))) {
            folders.extend(libraries_of(program)?.iter().filter_map(|it| it.parent()).map(Path::to_path_buf));
        }
        let output = |output: &Output| Output { path: folder.join(&output.path), ..output.clone() };
        Ok(Order {
            program: program.unwrap_or_else(|| PathBuf::from(INIT)),
            arguments: self.arguments.clone(),
            environment: environment(self.environment.clone(), &folders),
            reads: self.stdin.is_some(),
            outputs: self.outputs.iter().map(output).collect(),
            folder,
        })
    }
}

/// Adds what makes the machine: its first process, modules, and what to do.
fn machine(files: &mut Initramfs, init: &Path, kernel: &Kernel, order: Option<Order>) -> Result<(), Error> {
    let system = |what| move |source| Error::System { what, source };
    files.folder(Path::new("/tmp"))?;
    files.host_file(Path::new(INIT), init)?;
    for library in libraries_of(init)? {
        files.host_file(&library, &library)?;
    }
    let modules = kernel
        .modules()
        .modules(MODULES)
        .map_err(|module| Error::NoModule { module, kernel: kernel.version.clone() })?;
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
    let (path, content) = Task { modules, order }.file().map_err(system("the task"))?;
    Ok(files.file(path, content)?)
}

fn libraries_of(program: &Path) -> Result<Vec<PathBuf>, Error> {
    libraries(program).map_err(|source| Error::Libraries { program: program.to_owned(), source })
}

/// Whether a file is a program of this machine's, as far as its beginning says.
fn is_program(file: &Path) -> bool {
    let mut start = [0; 5];
    let read = File::open(file).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *b"\x7fELF\x02"
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
