//! Which kernel a Linux guest boots, and what modules are built with for it.

use std::io;
use std::path::{Path, PathBuf};

use super::Error;
use crate::debian;
use crate::host_file::{self, KERNEL_MAX};

/// Where a bzImage says where its version is (Linux's `boot.rst`, `kernel_version`).
const VERSION_POINTER: usize = 0x20e;
/// What a bzImage is known by, and where it is (the same, `header`).
const MAGIC: &[u8] = b"HdrS";
const MAGIC_OFFSET: usize = 0x202;
/// What a vmlinux has before its version.
const BANNER: &[u8] = b"Linux version ";
/// Where a build tree has its image, and its symbols.
const IMAGE: &str = "arch/x86/boot/bzImage";
const SYMBOLS: &str = "System.map";

/// A kernel as users name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KernelChoice {
    /// The newest of Debian's that is installed.
    #[default]
    Debian,
    /// A file; where there is none, a version that [`debian::kernels`] has, or its beginning.
    Named(PathBuf),
    /// A tree that a kernel was built in.
    Tree(PathBuf),
}

/// A kernel that can be booted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Its file.
    pub image: PathBuf,
    /// As its `uname -r` says it; `None` if the file doesn't tell.
    pub version: Option<String>,
    /// What its modules are built with: a folder that may not be there.
    pub headers: PathBuf,
    /// Its `System.map`, where it was built here.
    pub symbols: Option<PathBuf>,
}

impl Kernel {
    /// Finds it.
    ///
    /// # Errors
    /// [`Error`] if it isn't here, or can't be read.
    pub fn find(choice: &KernelChoice) -> Result<Self, Error> {
        match choice {
            KernelChoice::Debian => debian::kernel().map(Self::from).ok_or(Error::NoKernel),
            KernelChoice::Named(path) => Self::named(path),
            KernelChoice::Tree(folder) => {
                let image = folder.join(IMAGE);
                let version = version(&image).map_err(|error| match error {
                    Error::Kernel { source, .. } => Error::Tree { folder: folder.clone(), source },
                    error => error,
                })?;
                let symbols = Some(folder.join(SYMBOLS)).filter(|symbols| symbols.is_file());
                Ok(Self { image, version, headers: folder.clone(), symbols })
            }
        }
    }

    /// The folder that its own modules are somewhere below.
    pub fn modules(&self) -> &Path {
        match self.headers.parent() {
            Some(modules) if self.headers.ends_with("build") => modules,
            _ => &self.headers,
        }
    }

    fn named(path: &Path) -> Result<Self, Error> {
        match version(path) {
            Ok(version) => {
                let headers = headers(version.as_deref().unwrap_or_default(), path);
                Ok(Self { image: path.to_owned(), version, headers, symbols: None })
            }
            Err(Error::Kernel { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                let known = path.to_str().and_then(debian::kernel_of).map(Self::from);
                known.ok_or_else(|| Error::NoSuchKernel { named: path.to_owned() })
            }
            Err(error) => Err(error),
        }
    }
}

impl From<debian::Kernel> for Kernel {
    fn from(kernel: debian::Kernel) -> Self {
        let headers = kernel.headers();
        Self { image: kernel.image, version: Some(kernel.version), headers, symbols: None }
    }
}

/// Where the headers of a kernel are: with its modules, beside it, where its packages were unpacked, or on this machine.
fn headers(version: &str, kernel: &Path) -> PathBuf {
    let of = |folder: &Path| folder.join(version).join("build");
    let here = of(Path::new("/lib/modules"));
    let folder = kernel.parent().unwrap_or(Path::new("."));
    let root = folder.parent().unwrap_or(Path::new("."));
    let beside = [folder.join("build"), of(&root.join("lib/modules")), of(&root.join("usr/lib/modules"))];
    beside.into_iter().find(|build| build.is_dir()).unwrap_or(here)
}

/// The version of a kernel, as its `uname -r` says it.
fn version(kernel: &Path) -> Result<Option<String>, Error> {
    let file = host_file::read(kernel, KERNEL_MAX)
        .map_err(|source| Error::Kernel { path: kernel.to_owned(), source })?;
    Ok(version_in(&file))
}

fn version_in(file: &[u8]) -> Option<String> {
    let text = if file.starts_with(b"\x7fELF") {
        let at = file.windows(BANNER.len()).position(|bytes| bytes == BANNER)?;
        &file[at + BANNER.len()..]
    } else {
        file.get(MAGIC_OFFSET..).filter(|file| file.starts_with(MAGIC))?;
        let pointer = file.get(VERSION_POINTER..VERSION_POINTER + 2)?;
        file.get(usize::from(u16::from_le_bytes(pointer.try_into().ok()?)) + 0x200..)?
    };
    let end = text.iter().position(|byte| matches!(byte, 0 | b' '))?;
    String::from_utf8(text[..end].to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bzImage as far as its version.
    fn image(version: &[u8]) -> Vec<u8> {
        let mut file = vec![0; 0x400];
        file[MAGIC_OFFSET..MAGIC_OFFSET + 4].copy_from_slice(MAGIC);
        file[VERSION_POINTER] = 0x10;
        file[0x210..0x210 + version.len()].copy_from_slice(version);
        file
    }

    #[test]
    fn the_version_is_the_first_word_that_the_pointer_leads_to() {
        let mut file = image(b"6.1.0-9-cloud-amd64 (some)");
        assert_eq!(version_in(&file).as_deref(), Some("6.1.0-9-cloud-amd64"));
        assert_eq!(version_in(&file[..0x220]), None);
        assert_eq!(version_in(b""), None);
        file[MAGIC_OFFSET] = b'h';
        assert_eq!(version_in(&file), None);
        let vmlinux = b"\x7fELF .. Linux version 6.1.0 (somebody)\0";
        assert_eq!(version_in(vmlinux).as_deref(), Some("6.1.0"));
    }

    #[test]
    fn a_build_tree_has_its_image_and_is_what_modules_are_built_with() {
        let tree = tempfile::tempdir().unwrap();
        let choice = KernelChoice::Tree(tree.path().to_owned());
        let error = Kernel::find(&choice).unwrap_err().to_string();
        assert!(error.contains("arch/x86/boot/bzImage"), "{error}");
        std::fs::create_dir_all(tree.path().join("arch/x86/boot")).unwrap();
        std::fs::write(tree.path().join(IMAGE), image(b"7.0.0-mine ")).unwrap();
        let kernel = Kernel::find(&choice).unwrap();
        assert_eq!(kernel.symbols, None);
        std::fs::write(tree.path().join("System.map"), "").unwrap();
        assert_eq!(Kernel::find(&choice).unwrap().symbols, Some(tree.path().join("System.map")));
        assert_eq!(kernel.version.as_deref(), Some("7.0.0-mine"));
        assert_eq!((kernel.image, kernel.headers), (tree.path().join(IMAGE), tree.path().to_owned()));
    }

    #[test]
    fn headers_are_found_beside_a_kernel() {
        let root = tempfile::tempdir().unwrap();
        let build = root.path().join("usr/lib/modules/7.0.0/build");
        std::fs::create_dir_all(&build).unwrap();
        assert_eq!(headers("7.0.0", &root.path().join("boot/vmlinuz-7.0.0")), build);
        assert_eq!(headers("7.0.0", &root.path().join("usr/lib/modules/7.0.0/vmlinuz")), build);
        assert_eq!(headers("7.0.1", &root.path().join("x")), Path::new("/lib/modules/7.0.1/build"));
    }

    #[test]
    fn a_name_that_is_neither_file_nor_version_is_refused_by_it() {
        let error = Kernel::find(&KernelChoice::Named("0.01-nobody".into())).unwrap_err().to_string();
        assert!(error.starts_with("0.01-nobody: ") && error.contains("barscope kernel"), "{error}");
    }
}
