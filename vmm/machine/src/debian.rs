//! What comes from Debian's packages: a kernel with its modules, and QEMU. Either installed on this machine
//! or unpacked by `cargo xtask setup` into the folder `debian` of Cargo's target folder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use object::{Object, ObjectSection};

/// How the packages name their kernel: the one for virtual machines, which boots fastest.
const FLAVOUR: &str = "-cloud-amd64";
const QEMU: &str = "qemu-system-x86_64";
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
    /// Line by line, the modules' files. There is no `modules.dep` unless the kernel has been installed.
    files: String,
    /// Line by line, the modules that are built in.
    built_in: String,
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
            let modules = root.join("lib/modules").join(version);
            let files = fs::read_to_string(modules.join("modules.order")).ok()?;
            let built_in = fs::read_to_string(modules.join("modules.builtin")).unwrap_or_default();
            Some(Kernel { version: version.to_owned(), image: image.path(), modules, files, built_in })
        })
        .collect()
}

/// The numbers in a version: 6.1.0-10 is newer than 6.1.0-9.
fn numbers(version: &str) -> Vec<u64> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

impl Kernel {
    /// The files of these modules and of those that they need, in the order in which they are to be loaded.
    ///
    /// # Errors
    /// The name of a module that the kernel hasn't got.
    pub fn modules<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<Vec<PathBuf>, String> {
        let mut files = Vec::new();
        for name in names {
            self.add_module(name, &mut files)?;
        }
        Ok(files)
    }

    /// Adds a module after those that it needs; they never need it in turn.
    fn add_module(&self, name: &str, files: &mut Vec<PathBuf>) -> Result<(), String> {
        if self.built_in.lines().any(|path| is_module(path, name)) {
            return Ok(());
        }
        let path = self.files.lines().find(|path| is_module(path, name)).ok_or(name)?;
        let file = self.modules.join(path);
        if !files.contains(&file) {
            for needed in needs(&file).ok_or(name)? {
                self.add_module(&needed, files)?;
            }
            files.push(file);
        }
        Ok(())
    }
}

/// The modules that a module needs, as it says itself.
fn needs(file: &Path) -> Option<Vec<String>> {
    let bytes = fs::read(file).ok()?;
    let elf = object::File::parse(bytes.as_slice()).ok()?;
    let information = elf.section_by_name(".modinfo")?.data().ok()?;
    // Strings with a zero after each: `depends=kvm,irqbypass`.
    let mut fields = information.split(|&byte| byte == 0);
    let needed =
        String::from_utf8_lossy(fields.find_map(|field| field.strip_prefix(b"depends="))?).into_owned();
    Some(needed.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// Whether this is the file of the module, which may be compressed. Names know no difference between `-` and `_`.
fn is_module(path: &str, name: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or_default();
    let stem = file.split_once(".ko").map_or(file, |(stem, _)| stem);
    stem.replace('-', "_") == name.replace('-', "_")
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

    /// A module's file that names those that it needs, made as the kernel's build makes it.
    fn module(needed: &str) -> Vec<u8> {
        use object::write::Object;
        use object::{Architecture, BinaryFormat, Endianness, SectionKind};
        let mut elf = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
        let section = elf.add_section(Vec::new(), b".modinfo".to_vec(), SectionKind::ReadOnlyData);
        elf.append_section_data(section, format!("license=GPL\0depends={needed}\0").as_bytes(), 1);
        elf.write().unwrap()
    }

    /// A kernel with these modules, and one that is built in.
    fn kernel_with(modules: &[(&str, &str)]) -> (tempfile::TempDir, Kernel) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("arch")).unwrap();
        for (name, needed) in modules {
            fs::write(folder.path().join(format!("arch/{name}.ko")), module(needed)).unwrap();
        }
        let kernel = Kernel {
            version: "6.1.0-1-cloud-amd64".to_owned(),
            image: PathBuf::new(),
            modules: folder.path().to_owned(),
            files: modules.iter().map(|(name, _)| format!("arch/{name}.ko\n")).collect(),
            built_in: "kernel/drivers/virtio/virtio.ko\n".to_owned(),
        };
        (folder, kernel)
    }

    #[test]
    fn what_a_module_needs_is_loaded_first_and_once() {
        let modules = [("kvm-amd", "kvm,irqbypass"), ("kvm", "irqbypass"), ("irqbypass", "")];
        let (folder, kernel) = kernel_with(&modules);
        let files = kernel.modules(["kvm_amd", "kvm"]).unwrap();
        let expected = ["irqbypass", "kvm", "kvm-amd"];
        assert_eq!(files, expected.map(|name| folder.path().join(format!("arch/{name}.ko"))));
    }

    #[test]
    fn what_is_built_in_is_not_loaded_and_what_is_missing_is_named() {
        let (_folder, kernel) = kernel_with(&[("virtio_pci", "virtio,virtio_ring")]);
        assert_eq!(kernel.modules(["virtio"]), Ok(Vec::new()));
        assert_eq!(kernel.modules(["virtio_pci"]), Err("virtio_ring".to_owned()));
    }

    #[test]
    fn a_tenth_version_is_newer_than_a_ninth() {
        assert!(numbers("6.1.0-10-cloud-amd64") > numbers("6.1.0-9-cloud-amd64"));
        assert!(numbers("6.12.1-1-cloud-amd64") > numbers("6.1.0-9-cloud-amd64"));
    }
}
