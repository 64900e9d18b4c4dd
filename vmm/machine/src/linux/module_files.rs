//! Kernel modules that travel into a Linux guest: those that are named, and before each those that it needs.

use std::cell::LazyCell;
use std::path::{Path, PathBuf};

use super::Error;
use super::choice::ModuleChoice;
use super::places::{Places, file_name};
use crate::initramfs::{Initramfs, PackError};
use crate::module_tree::{ModuleTree, is_module};
use crate::{kernel_module, packed};

/// A module in a guest.
#[derive(Debug, PartialEq, Eq)]
pub struct Loaded {
    /// Its file.
    pub place: PathBuf,
    /// The kernel's name for it.
    pub name: String,
    /// Its parameters.
    pub parameters: String,
}

/// Puts the modules that are named and those that they need into `files`. What is needed is among those that are named,
/// beside the one that needs it, or one of the kernel's own, below the folder `kernel`. They, in the order in which they are to be loaded.
///
/// # Errors
/// [`Error`] if one can't be read, or needs one that isn't there.
pub fn take(named: &[ModuleChoice], kernel: &Path, files: &mut Initramfs) -> Result<Vec<Loaded>, Error> {
    let kernel = LazyCell::new(|| ModuleTree::read(kernel));
    let mut order = Order { named, kernel: &kernel, waiting: Vec::new(), files: Vec::new() };
    for module in named {
        order.add(&module.file)?;
    }
    let mut places = Places::new("/modules");
    let mut loaded = Vec::new();
    for file in order.files {
        let place = places.of(&packed::unpacked_name(&file));
        let elf = read(&file)?;
        // The kernel allows no `-` there.
        let name = kernel_module::name(&elf);
        let name = name.unwrap_or_else(|| file_name(&place).trim_end_matches(".ko").replace('-', "_"));
        if packed::is_packed(&file) {
            files.file(&place, elf)?;
        } else {
            files.host_file(&place, &file)?;
        }
        let named = named.iter().filter(|module| module.file == file);
        let parameters: Vec<_> = named.map(|module| module.parameters.clone()).collect();
        loaded.push(Loaded { place, name, parameters: parameters.join(" ").trim().to_owned() });
    }
    Ok(loaded)
}

/// Modules by the order in which they are to be loaded.
struct Order<'a, F> {
    named: &'a [ModuleChoice],
    /// Read when something is wanted of it.
    kernel: &'a LazyCell<ModuleTree, F>,
    /// Those that wait for what they need.
    waiting: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl<F: FnOnce() -> ModuleTree> Order<'_, F> {
    /// Adds a module after those that it needs.
    fn add(&mut self, file: &Path) -> Result<(), Error> {
        // Those that need each other are for the kernel to refuse.
        if self.files.iter().chain(&self.waiting).any(|known| known == file) {
            return Ok(());
        }
        self.waiting.push(file.to_owned());
        for needed in kernel_module::needs(&read(file)?) {
            let named = self.named.iter().map(|module| module.file.clone());
            let found = named.chain(beside(file, &needed)).find(|other| is_module(other, &needed));
            match found {
                Some(other) => self.add(&other)?,
                None => self
                    .kernel
                    .add(&needed, &mut self.files)
                    .map_err(|missing| Error::NeedsModule { module: file.to_owned(), missing })?,
            }
        }
        self.waiting.pop();
        self.files.push(file.to_owned());
        Ok(())
    }
}

/// The file of a module in the folder of another one.
fn beside(file: &Path, name: &str) -> Option<PathBuf> {
    let folder = file.parent()?;
    let ends = ["ko", "ko.xz", "ko.zst", "ko.gz"];
    let mut all = ends.iter().map(|end| folder.join(format!("{name}.{end}")));
    all.find(|file| file.is_file())
}

fn read(file: &Path) -> Result<Vec<u8>, Error> {
    packed::read(file).map_err(|source| PackError { path: file.to_owned(), source }.into())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::module_tree::tests::{module, tree_with};

    /// The names of the modules' files in the order in which they are loaded, with parameters.
    fn order(named: &[&str], folder: &Path, kernel: &Path) -> Result<Vec<String>, Error> {
        let named: Vec<ModuleChoice> =
            named.iter().map(|text| folder.join(text).display().to_string().parse().unwrap()).collect();
        let loaded = take(&named, kernel, &mut Initramfs::default())?;
        Ok(loaded.iter().map(|module| format!("{} {}", module.place.display(), module.parameters)).collect())
    }

    #[test]
    fn what_a_named_module_needs_comes_before_it_from_wherever_it_is() {
        let (kernel, _) = tree_with(&[("uio", ""), ("mfd-core", "uio")]);
        let folder = tempfile::tempdir().unwrap();
        for (name, needed) in
            [("top", "low,beside,mfd_core"), ("low", ""), ("beside", "low"), ("alone", "virtio")]
        {
            fs::write(folder.path().join(format!("{name}.ko")), module(needed)).unwrap();
        }

        let found = order(&["top.ko a=1", "low.ko b=2 c", "alone.ko"], folder.path(), kernel.path()).unwrap();
        let expected = ["low.ko b=2 c", "beside.ko ", "uio.ko ", "mfd-core.ko ", "top.ko a=1", "alone.ko "];
        assert_eq!(found, expected.map(|text| format!("/modules/{text}")));
    }

    #[test]
    fn a_module_that_is_needed_and_nowhere_is_named() {
        let (kernel, _) = tree_with(&[]);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("top.ko"), module("nowhere")).unwrap();
        let error = order(&["top.ko"], folder.path(), kernel.path()).unwrap_err().to_string();
        assert!(error.contains("top.ko: needs the module nowhere, which is neither named"), "{error}");
    }

    #[test]
    fn modules_that_need_each_other_come_to_an_end() {
        let (kernel, _) = tree_with(&[]);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.ko"), module("b")).unwrap();
        fs::write(folder.path().join("b.ko"), module("a")).unwrap();
        assert!(order(&["a.ko", "b.ko"], folder.path(), kernel.path()).is_ok());
    }
}
