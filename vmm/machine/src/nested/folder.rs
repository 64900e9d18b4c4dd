//! The folder of a virtual machine: for nobody else to read, and removed by the next one if its owner was killed.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::process::geteuid;

/// How such folders are called.
const PREFIX: &str = "barscope-nested-";
/// How often another name is tried, if others take each new folder for one that was left behind.
const ATTEMPTS: u32 = 16;

/// A folder that is locked as long as its owner lives.
pub struct Folder {
    path: PathBuf,
    lock: File,
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What can't be removed is found by the next one.
        let _ = fs::remove_dir_all(&self.path);
    }
}

impl Folder {
    /// Makes one where temporary files are, and removes those whose owners are gone.
    ///
    /// # Errors
    /// If the system has no place for one.
    pub fn new() -> io::Result<Self> {
        Self::below(&std::env::temp_dir())
    }

    fn below(place: &Path) -> io::Result<Self> {
        remove_stale(place);
        for _ in 0..ATTEMPTS {
            let private = Permissions::from_mode(0o700);
            let folder = tempfile::Builder::new().prefix(PREFIX).permissions(private).tempdir_in(place)?;
            // Until it is locked, others may take it for one that was left behind.
            if let Some(lock) = lock(folder.path()) {
                return Ok(Self { path: folder.keep(), lock });
            }
        }
        Err(io::Error::other("others remove it as soon as it is made"))
    }

    /// Gives it to another process: where it is, and the lock, which that one holds as long as it has it open.
    pub fn hand_over(self) -> io::Result<(PathBuf, File)> {
        let lock = self.lock.try_clone()?;
        let path = self.path.clone();
        // Its owner removes it.
        std::mem::forget(self);
        Ok((path, lock))
    }

    /// Takes one from another process.
    pub fn taken_over(path: PathBuf, lock: File) -> Self {
        Self { path, lock }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes an empty file in it, for its owner only.
    ///
    /// # Errors
    /// If it can't be made.
    pub fn file(&self, name: &str) -> io::Result<(PathBuf, File)> {
        let path = self.path().join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        Ok((path, file))
    }
}

/// Locks a folder; `None` if another process has, or it isn't there any more.
fn lock(path: &Path) -> Option<File> {
    let file = File::open(path).ok()?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
    // Who had it locked before may have removed it.
    let (there, locked) = (path.symlink_metadata().ok()?, file.metadata().ok()?);
    (there.is_dir() && (there.dev(), there.ino()) == (locked.dev(), locked.ino())).then_some(file)
}

/// Removes this user's folders that nobody has locked. What can't be removed stays.
fn remove_stale(place: &Path) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let is_ours = |found: fs::Metadata| found.is_dir() && found.uid() == geteuid().as_raw();
        if entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.metadata().is_ok_and(is_ours)
            && let Some(_locked) = lock(&entry.path())
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(place: &Path) -> usize {
        fs::read_dir(place).unwrap().count()
    }

    #[test]
    fn folder_and_files_are_for_their_owner_only() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::below(place.path()).unwrap();
        let (file, _) = folder.file("initramfs").unwrap();
        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
        assert_eq!((mode(folder.path()), mode(&file)), (0o700, 0o600));
    }

    #[test]
    fn a_folder_goes_with_its_owner_and_stays_as_long() {
        let place = tempfile::tempdir().unwrap();
        let first = Folder::below(place.path()).unwrap();
        first.file("initramfs").unwrap();
        let second = Folder::below(place.path()).unwrap();
        assert!(first.path().join("initramfs").is_file());
        drop(first);
        assert_eq!(count(place.path()), 1);
        drop(second);
        assert_eq!(count(place.path()), 0);
    }

    #[test]
    fn what_a_killed_owner_left_is_removed_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("barscope-nested-left")).unwrap();
        fs::write(place.path().join("barscope-nested-left/initramfs"), "content").unwrap();
        fs::create_dir(place.path().join("barscope-other")).unwrap();
        fs::write(place.path().join("barscope-nested-file"), "").unwrap();
        fs::write(elsewhere.path().join("precious"), "").unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), place.path().join("barscope-nested-link")).unwrap();
        drop(Folder::below(place.path()).unwrap());
        let mut left: Vec<_> = fs::read_dir(place.path())
            .unwrap()
            .map(|it| it.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["barscope-nested-file", "barscope-nested-link", "barscope-other"]);
        assert!(elsewhere.path().join("precious").is_file());
    }
}
