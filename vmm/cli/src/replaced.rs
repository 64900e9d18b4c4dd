//! A file that is whole or not there: written under another name, and given its own when it is complete.

use std::fs::{File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::ending::Failure;
use crate::files;

/// A file that is being written.
pub struct Replaced {
    path: PathBuf,
    target: Target,
}

enum Target {
    /// Beside the one that it will replace.
    Beside(NamedTempFile),
    /// A pipe or a device: what was written is gone already.
    Through(File),
}

impl Replaced {
    /// For the file at `path`, which may be one that begins with `magic`, or is empty; any other, unless `force` says
    /// so, is left alone. `what` is what the file is, for people.
    ///
    /// # Errors
    /// [`Failure::Foreign`]; [`Failure::Report`] if the folder can't be written to.
    pub fn new(path: &Path, magic: &[u8], what: &'static str, force: bool) -> Result<Self, Failure> {
        let failed = |source| Failure::Report { path: path.to_owned(), source };
        // What a link leads to is replaced, not the link.
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        match real.metadata() {
            Ok(found) if found.is_dir() => return Err(failed(io::ErrorKind::IsADirectory.into())),
            Ok(found) if !found.is_file() => {
                let file = files::create(&real).map_err(failed)?;
                return Ok(Self { path: real, target: Target::Through(file) });
            }
            Ok(found) if found.len() > 0 && !force => {
                let mut begins = vec![0; magic.len()];
                let read = File::open(&real).and_then(|mut file| file.read_exact(&mut begins));
                if read.is_err() || begins != magic {
                    return Err(Failure::Foreign { path: path.to_owned(), what });
                }
            }
            _ => {}
        }
        let folder = real.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut builder = Builder::new();
        // As any file is created; what the process takes away of that is taken away.
        builder.prefix(".barscope-").permissions(Permissions::from_mode(0o666));
        let file = builder.tempfile_in(folder.unwrap_or(Path::new("."))).map_err(failed)?;
        Ok(Self { path: real, target: Target::Beside(file) })
    }

    /// What to write to.
    ///
    /// # Errors
    /// [`Failure::Report`] if the system has no descriptor left.
    pub fn file(&self) -> Result<File, Failure> {
        let file = match &self.target {
            Target::Beside(file) => file.as_file(),
            Target::Through(file) => file,
        };
        file.try_clone().map_err(|source| self.failed(source))
    }

    /// Whether it can be written from the beginning again.
    pub fn seeks(&self) -> bool {
        matches!(self.target, Target::Beside(_))
    }

    /// Gives it its name: it is complete.
    ///
    /// # Errors
    /// [`Failure::Report`].
    pub fn complete(self) -> Result<(), Failure> {
        match self.target {
            Target::Beside(file) => {
                let path = self.path.clone();
                file.persist(&self.path)
                    .map(|_| ())
                    .map_err(|error| Failure::Report { path, source: error.error })
            }
            Target::Through(_) => Ok(()),
        }
    }

    /// A failure to write it.
    pub fn failed(&self, source: io::Error) -> Failure {
        Failure::Report { path: self.path.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    #[test]
    fn what_is_not_complete_leaves_everything_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "magic, before").unwrap();
        let new = Replaced::new(&path, b"magic", "file", false).unwrap();
        new.file().unwrap().write_all(b"half").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "magic, before");
        drop(new);
        assert_eq!(fs::read_to_string(&path).unwrap(), "magic, before");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_foreign_file_is_replaced_by_force_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        fs::write(&path, "mine").unwrap();
        assert!(matches!(Replaced::new(&path, b"magic", "file", false), Err(Failure::Foreign { .. })));
        let new = Replaced::new(&path, b"magic", "file", true).unwrap();
        new.file().unwrap().write_all(b"magic").unwrap();
        new.complete().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "magic");
        Replaced::new(&path, b"magic", "file", false).unwrap().complete().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
    }

    #[test]
    fn a_file_that_is_a_link_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("f"), folder.path().join("link"));
        fs::write(&path, "").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let new = Replaced::new(&link, b"", "file", false).unwrap();
        new.file().unwrap().write_all(b"new").unwrap();
        new.complete().unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }
}
