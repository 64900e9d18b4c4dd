//! The files that a Linux guest starts with: a cpio archive in the kernel's "newc" format.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use cpio::newc::{Builder, ModeFileType, trailer};

use crate::host_file;

/// The longest file of the host: 1 GiB, a third of what a guest's memory holds at most.
const HOST_FILE_MAX: u64 = 1 << 30;

/// A tree of files, of which [`write`](Self::write) makes an archive.
#[derive(Default)]
pub struct Initramfs {
    /// By path from the root, without the leading slash, so that a folder comes before what is in it.
    entries: BTreeMap<String, Entry>,
}

enum Entry {
    Folder,
    /// `/dev/console`: without it the first process has no standard output.
    Console,
    File {
        content: Content,
        mode: u32,
    },
}

enum Content {
    Bytes(Vec<u8>),
    Host { path: PathBuf, size: u32 },
}

/// A file can't be put into an archive.
#[derive(Debug, thiserror::Error)]
#[error("{}", path.display())]
pub struct PackError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl Initramfs {
    /// Adds a folder and those that it is in.
    ///
    /// # Errors
    /// [`PackError`] if the path isn't UTF-8.
    pub fn folder(&mut self, path: &Path) -> Result<(), PackError> {
        self.place(path).map(drop)
    }

    /// Adds a file with this content.
    ///
    /// # Errors
    /// [`PackError`] if the path isn't UTF-8 or the content 4 GiB or more.
    pub fn file(&mut self, path: &Path, content: Vec<u8>) -> Result<(), PackError> {
        size(content.len() as u64).map_err(|source| PackError { path: path.to_owned(), source })?;
        self.add(path, Entry::File { content: Content::Bytes(content), mode: 0o644 })
    }

    /// Adds a program with this content.
    ///
    /// # Errors
    /// [`PackError`] if the path isn't UTF-8 or the content 4 GiB or more.
    pub fn program(&mut self, path: &Path, content: Vec<u8>) -> Result<(), PackError> {
        size(content.len() as u64).map_err(|source| PackError { path: path.to_owned(), source })?;
        self.add(path, Entry::File { content: Content::Bytes(content), mode: 0o755 })
    }

    /// Adds the device file that the kernel opens for the first process.
    ///
    /// # Errors
    /// None: its path is UTF-8.
    pub fn console(&mut self) -> Result<(), PackError> {
        self.add(Path::new("/dev/console"), Entry::Console)
    }

    /// Adds a file of the host, which anyone in the guest may execute.
    ///
    /// # Errors
    /// [`PackError`] if the host's file can't be read, is no regular one or longer than 1 GiB, or if the path isn't
    /// UTF-8.
    pub fn host_file(&mut self, path: &Path, host: &Path) -> Result<(), PackError> {
        let failed = |source| PackError { path: host.to_owned(), source };
        let size = host_file::open(host, HOST_FILE_MAX)
            .and_then(|file| size(file.metadata()?.len()))
            .map_err(failed)?;
        self.add(path, Entry::File { content: Content::Host { path: host.to_owned(), size }, mode: 0o755 })
    }

    /// Bytes that its files hold.
    pub fn size(&self) -> u64 {
        self.entries.values().map(Entry::size).map(u64::from).sum()
    }

    /// Writes the archive.
    ///
    /// # Errors
    /// [`PackError`] if a file of the host can't be read any more, or `out` (named `name`) not be written.
    pub fn write(&self, mut out: impl Write, name: &Path) -> Result<(), PackError> {
        let written = |source| PackError { path: name.to_owned(), source };
        for (index, (path, entry)) in (1..).zip(&self.entries) {
            let header = Builder::new(path).ino(index).mode(entry.mode());
            let header = header.set_mode_file_type(entry.file_type());
            let header = match entry {
                // Linux's devices.txt: character device 5, 1.
                Entry::Console => header.rdev_major(5).rdev_minor(1),
                _ => header,
            };
            let mut file = header.write(&mut out, entry.size());
            match entry {
                Entry::Folder | Entry::Console => {}
                Entry::File { content: Content::Bytes(bytes), .. } => {
                    file.write_all(bytes).map_err(written)?;
                }
                Entry::File { content: Content::Host { path, size }, .. } => {
                    copy(path, *size, &mut file)
                        .map_err(|source| PackError { path: path.clone(), source })?;
                }
            }
            file.finish().map_err(written)?;
        }
        trailer(&mut out).and_then(Write::flush).map_err(written)
    }

    fn add(&mut self, path: &Path, entry: Entry) -> Result<(), PackError> {
        let place = self.place(path)?;
        self.entries.insert(place, entry);
        Ok(())
    }

    /// The path from the root as an archive has it. Adds a folder for each of its prefixes, those before a
    /// `..` too, and for the whole: a guest has no symbolic links, so that its kernel finds the same place.
    fn place(&mut self, path: &Path) -> Result<String, PackError> {
        let mut parts: Vec<&str> = Vec::new();
        for component in path.components() {
            match component {
                Component::Normal(part) => {
                    let reason = "a path in a guest has to be UTF-8";
                    let part = part.to_str().ok_or_else(|| PackError {
                        path: path.to_owned(),
                        source: io::Error::new(io::ErrorKind::InvalidInput, reason),
                    })?;
                    parts.push(part);
                    self.entries.entry(parts.join("/")).or_insert(Entry::Folder);
                }
                Component::ParentDir => drop(parts.pop()),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        Ok(parts.join("/"))
    }
}

impl Entry {
    fn size(&self) -> u32 {
        match self {
            Entry::File { content: Content::Bytes(bytes), .. } => bytes.len() as u32,
            Entry::File { content: Content::Host { size, .. }, .. } => *size,
            Entry::Folder | Entry::Console => 0,
        }
    }

    fn mode(&self) -> u32 {
        match self {
            Entry::File { mode, .. } => *mode,
            Entry::Folder => 0o755,
            Entry::Console => 0o600,
        }
    }

    fn file_type(&self) -> ModeFileType {
        match self {
            Entry::File { .. } => ModeFileType::Regular,
            Entry::Folder => ModeFileType::Directory,
            Entry::Console => ModeFileType::Char,
        }
    }
}

/// A size as the format has it.
fn size(bytes: u64) -> io::Result<u32> {
    u32::try_from(bytes).map_err(|_| io::Error::new(io::ErrorKind::FileTooLarge, "4 GiB or more"))
}

fn copy(path: &Path, size: u32, out: &mut impl Write) -> io::Result<()> {
    let copied = io::copy(&mut host_file::open(path, HOST_FILE_MAX)?.take(size.into()), out)?;
    if copied == u64::from(size) { Ok(()) } else { Err(io::Error::other("it shrank while it was packed")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, type and permissions, and content of every entry.
    fn unpacked(files: &Initramfs) -> Vec<(String, u32, Vec<u8>)> {
        let mut archive = Vec::new();
        files.write(&mut archive, Path::new("archive")).unwrap();
        let mut rest = io::Cursor::new(archive);
        let mut entries = Vec::new();
        loop {
            let mut file = cpio::newc::Reader::new(rest).unwrap();
            if file.entry().is_trailer() {
                return entries;
            }
            let mut content = Vec::new();
            file.read_to_end(&mut content).unwrap();
            entries.push((file.entry().name().to_owned(), file.entry().mode(), content));
            rest = file.finish().unwrap();
        }
    }

    #[test]
    fn folders_come_before_what_is_in_them() {
        let mut files = Initramfs::default();
        files.file(Path::new("/srv/here/spec"), b"text".to_vec()).unwrap();
        files.file(Path::new("/srv/a"), Vec::new()).unwrap();
        let expected = [
            ("srv", 0o040_755, &b""[..]),
            ("srv/a", 0o100_644, b""),
            ("srv/here", 0o040_755, b""),
            ("srv/here/spec", 0o100_644, b"text"),
        ];
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(name, mode, content)| (name.to_owned(), mode, content.to_vec()))
            .collect();
        assert_eq!(unpacked(&files), expected);
    }

    #[test]
    fn a_path_through_the_parent_leads_to_the_same_file_in_the_guest() {
        let mut files = Initramfs::default();
        files.file(Path::new("/srv/here/../kernel"), b"elf".to_vec()).unwrap();
        let names: Vec<_> = unpacked(&files).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names, ["srv", "srv/here", "srv/kernel"]);
    }

    #[test]
    fn a_file_of_the_host_that_is_not_there_is_named() {
        let error = Initramfs::default().host_file(Path::new("/a"), Path::new("/no/such")).unwrap_err();
        assert_eq!(error.to_string(), "/no/such");
    }

    #[test]
    fn a_folder_of_the_host_is_no_file() {
        let error = Initramfs::default().host_file(Path::new("/a"), Path::new("/")).unwrap_err();
        assert_eq!(error.source.to_string(), "is no regular file");
    }

    #[test]
    fn the_console_is_a_character_device() {
        let mut files = Initramfs::default();
        files.console().unwrap();
        assert_eq!(
            unpacked(&files),
            [("dev".to_owned(), 0o040_755, Vec::new()), ("dev/console".to_owned(), 0o020_600, Vec::new())]
        );
    }

    #[test]
    fn a_file_of_the_host_may_be_executed() {
        let host = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(host.path(), "12345").unwrap();
        let mut files = Initramfs::default();
        files.host_file(Path::new("init"), host.path()).unwrap();
        assert_eq!(files.size(), 5);
        assert_eq!(unpacked(&files), [("init".to_owned(), 0o100_755, b"12345".to_vec())]);
    }
}
