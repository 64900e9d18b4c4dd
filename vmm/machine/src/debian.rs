//! What comes from Debian's packages: a kernel with its modules, and QEMU. Either installed on this machine
//! or unpacked by `cargo xtask setup` into the folder `debian` of Cargo's target folder.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use object::{Object, ObjectSection};

/// How the packages name their kernel: the one for virtual machines, which boots fastest.
const FLAVOUR: &str = "-cloud-amd64";
const QEMU: &str = "qemu-system-x86_64";
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
    /// Line by line, the modules' files. There is no `modules.dep` unless the kernel has been installed.
    files: String,
    /// Line by line, the modules that are built in.
    built_in: String,
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
            let files = fs::read_to_string(modules.join("modules.order")).ok()?;
            let built_in = fs::read_to_string(modules.join("modules.builtin")).unwrap_or_default();
            Some(Kernel { version, image, modules, files, built_in })
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
