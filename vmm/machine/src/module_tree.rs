//! A kernel's modules in their folder, `lib/modules/VERSION`: which file holds which, and which need which.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{kernel_module, packed};

/// The deepest folder that is looked into: Linux's own have half as many levels.
const DEPTH: usize = 16;

/// The modules that a kernel comes with.
#[derive(Debug, Default)]
pub struct ModuleTree {
    /// Their files. Read from the folder itself: there is no `modules.dep` unless the kernel has been installed.
    files: Vec<PathBuf>,
    /// Line by line, the modules that are built in.
    built_in: String,
}

impl ModuleTree {
    /// Those in a folder; none if there is no such folder.
    pub fn read(folder: &Path) -> Self {
        let mut files = Vec::new();
        add_files(folder, DEPTH, &mut files);
        files.sort();
        Self { files, built_in: fs::read_to_string(folder.join("modules.builtin")).unwrap_or_default() }
    }

    /// The files of these modules and of those that they need, in the order in which they are to be loaded.
    ///
    /// # Errors
    /// The name of a module that the kernel hasn't got.
    pub fn modules<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<Vec<PathBuf>, String> {
        let mut files = Vec::new();
        for name in names {
            self.add(name, &mut files)?;
        }
        Ok(files)
    }

    /// Adds a module after those that it needs, unless it is among `files` already; they never need it in turn.
    ///
    /// # Errors
    /// The name of a module that the kernel hasn't got.
    pub fn add(&self, name: &str, files: &mut Vec<PathBuf>) -> Result<(), String> {
        if self.built_in.lines().any(|path| is_module(Path::new(path), name)) {
            return Ok(());
        }
        let file = self.files.iter().find(|path| is_module(path, name)).ok_or(name)?;
        if !files.contains(file) {
            let elf = packed::read(file).map_err(|_| name)?;
            for needed in kernel_module::needs(&elf) {
                // A file that names itself would be a ring.
                if !is_module(file, &needed) {
                    self.add(&needed, files)?;
                }
            }
            files.push(file.clone());
        }
        Ok(())
    }
}

/// Adds the modules below a folder.
fn add_files(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        // A link, like that to the headers, leads elsewhere.
        let Ok(kind) = entry.file_type() else { continue };
        let path = entry.path();
        if kind.is_dir() && depth > 0 {
            add_files(&path, depth - 1, files);
        } else if kind.is_file() && packed::unpacked_name(&path).extension().is_some_and(|end| end == "ko") {
            files.push(path);
        }
    }
}

/// Whether this is the file of the module, which may be packed. Names know no difference between `-` and `_`.
pub fn is_module(path: &Path, name: &str) -> bool {
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = file.split_once(".ko").map_or(&*file, |(stem, _)| stem);
    stem.replace('-', "_") == name.replace('-', "_")
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A module's file that names those that it needs, made as the kernel's build makes it.
    pub fn module(needed: &str) -> Vec<u8> {
        use object::write::Object;
        use object::{Architecture, BinaryFormat, Endianness, SectionKind};
        let mut elf = Object::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
        let section = elf.add_section(Vec::new(), b".modinfo".to_vec(), SectionKind::ReadOnlyData);
        elf.append_section_data(section, format!("license=GPL\0depends={needed}\0").as_bytes(), 1);
        elf.write().unwrap()
    }

    /// A kernel's folder with these modules, and one that is built in.
    pub fn tree_with(modules: &[(&str, &str)]) -> (tempfile::TempDir, ModuleTree) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("arch")).unwrap();
        for (name, needed) in modules {
            fs::write(folder.path().join(format!("arch/{name}.ko")), module(needed)).unwrap();
        }
        fs::write(folder.path().join("modules.builtin"), "kernel/drivers/virtio/virtio.ko\n").unwrap();
        let tree = ModuleTree::read(folder.path());
        (folder, tree)
    }

    #[test]
    fn what_a_module_needs_is_loaded_first_and_once() {
        let modules = [("kvm-amd", "kvm,irqbypass"), ("kvm", "irqbypass"), ("irqbypass", "")];
        let (folder, tree) = tree_with(&modules);
        let files = tree.modules(["kvm_amd", "kvm"]).unwrap();
        let expected = ["irqbypass", "kvm", "kvm-amd"];
        assert_eq!(files, expected.map(|name| folder.path().join(format!("arch/{name}.ko"))));
    }

    #[test]
    fn what_is_built_in_is_not_loaded_and_what_is_missing_is_named() {
        let (_folder, tree) = tree_with(&[("virtio_pci", "virtio,virtio_ring")]);
        assert_eq!(tree.modules(["virtio"]), Ok(Vec::new()));
        assert_eq!(tree.modules(["virtio_pci"]), Err("virtio_ring".to_owned()));
    }

    #[test]
    fn a_packed_module_is_the_module_of_its_name() {
        assert!(is_module(Path::new("kernel/kvm-amd.ko.xz"), "kvm_amd"));
        assert!(!is_module(Path::new("kernel/kvm.ko.xz"), "kvm_amd"));
    }
}
