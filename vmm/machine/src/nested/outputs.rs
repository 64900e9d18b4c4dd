//! The files that the command makes, as they arrive here.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::Error;
use super::task::Output;

/// Copies of the files that grow there.
pub struct Outputs(Vec<(PathBuf, Option<File>)>);

impl Outputs {
    /// Copies of these files, none of which is touched before something of it arrives.
    pub fn new(outputs: &[Output]) -> Self {
        Self(outputs.iter().map(|output| (output.path.clone(), None)).collect())
    }

    /// Makes the file with this index so long.
    ///
    /// # Errors
    /// [`Error::Output`] if it can't be written.
    pub fn set_length(&mut self, index: u32, length: u64) -> Result<(), Error> {
        self.with(index, |file| file.set_len(length))
    }

    /// Puts bytes into the file with this index.
    ///
    /// # Errors
    /// [`Error::Output`] if it can't be written.
    pub fn write(&mut self, index: u32, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        self.with(index, |file| file.write_all_at(bytes, offset))
    }

    /// Those of which something has arrived.
    pub fn begun(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().filter(|(_, file)| file.is_some()).map(|(path, _)| path.as_path())
    }

    fn with(&mut self, index: u32, work: impl FnOnce(&File) -> io::Result<()>) -> Result<(), Error> {
        // One that wasn't asked for has no place here.
        let Some((path, file)) = self.0.get_mut(index as usize) else { return Ok(()) };
        let opened = match file {
            Some(file) => Ok(file),
            None => create(path).map(|created| file.insert(created)),
        };
        opened.and_then(|file| work(file)).map_err(|source| Error::Output { path: path.clone(), source })
    }
}

/// Empties a file that nobody else writes.
fn create(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| io::Error::new(io::ErrorKind::ResourceBusy, "another process writes it"))?;
    file.set_len(0)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn outputs(folder: &Path) -> Outputs {
        let output = |name| Output { path: folder.join(name), is_trace: true };
        Outputs::new(&[output("trace"), output("report")])
    }

    #[test]
    fn a_file_is_replaced_once_something_of_it_arrives() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("trace"), "old and long").unwrap();
        fs::write(folder.path().join("report"), "old").unwrap();
        let mut outputs = outputs(folder.path());
        assert_eq!(outputs.begun().count(), 0);
        outputs.set_length(0, 6).unwrap();
        outputs.write(0, 2, b"new").unwrap();
        outputs.write(7, 0, b"for nobody").unwrap();
        assert_eq!(fs::read(folder.path().join("trace")).unwrap(), b"\0\0new\0");
        assert_eq!(fs::read(folder.path().join("report")).unwrap(), b"old");
        assert_eq!(outputs.begun().collect::<Vec<_>>(), [folder.path().join("trace")]);
    }

    #[test]
    fn a_file_that_another_process_writes_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("trace"), "theirs").unwrap();
        let theirs = File::open(folder.path().join("trace")).unwrap();
        flock(&theirs, FlockOperation::LockExclusive).unwrap();
        let error = outputs(folder.path()).set_length(0, 1).unwrap_err();
        assert!(
            matches!(&error, Error::Output { source, .. } if source.to_string() == "another process writes it")
        );
        assert_eq!(fs::read(folder.path().join("trace")).unwrap(), b"theirs");
    }
}
