//! The files that a Linux guest starts with: a cpio archive in the kernel's "newc" format.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Place;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
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

#[derive(PartialEq)]
enum Entry {
    Folder,
    /// A symbolic link, and where it leads.
    Link(String),
    /// `/dev/console`: without it the first process has no standard output.
    Console,
    File {
        content: Content,
        mode: u32,
    },
}

#[derive(PartialEq)]
enum Content {
    Bytes(Vec<u8>),
    Host(HostFile),
}

struct HostFile {
    path: PathBuf,
    size: u32,
    /// Device and number of its inode: what it is, whatever the path.
    inode: (u64, u64),
}

impl PartialEq for HostFile {
    fn eq(&self, other: &Self) -> bool {
        self.inode == other.inode
    }
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
    /// [`PackError`] if the path isn't UTF-8, or that of something else.
    pub fn folder(&mut self, path: &Path) -> Result<(), PackError> {
        self.add(path, Entry::Folder)
    }

    /// Adds a file with this content.
    ///
    /// # Errors
    /// [`PackError`] if the path isn't UTF-8 or another's, or the content 4 GiB or more.
    pub fn file(&mut self, path: &Path, content: Vec<u8>) -> Result<(), PackError> {
        size(content.len() as u64).map_err(|source| PackError { path: path.to_owned(), source })?;
        self.add(path, Entry::File { content: Content::Bytes(content), mode: 0o644 })
    }

    /// Adds a program with this content.
    ///
    /// # Errors
    /// [`PackError`] if the path isn't UTF-8 or another's, or the content 4 GiB or more.
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

    /// Adds a symbolic link that leads to `target`.
    ///
    /// # Errors
    /// [`PackError`] if the path or the target isn't UTF-8, or the path another's.
    pub fn link(&mut self, path: &Path, target: &Path) -> Result<(), PackError> {
        let target = target.to_str().ok_or_else(|| not_utf8(target))?;
        self.add(path, Entry::Link(target.to_owned()))
    }

    /// Whether there is something at a path, which is written without detours.
    pub fn has(&self, path: &Path) -> bool {
        let from_root = path.strip_prefix("/").unwrap_or(path);
        from_root.to_str().is_some_and(|path| self.entries.contains_key(path))
    }

    /// Adds a file of the host, which anyone in the guest may execute.
    ///
    /// # Errors
    /// [`PackError`] if the host's file can't be read, is no regular one or longer than 1 GiB, or if the path isn't
    /// UTF-8 or another's.
    pub fn host_file(&mut self, path: &Path, host: &Path) -> Result<(), PackError> {
        self.host_file_with(path, host, 0o755)
    }

    /// Adds a file of the host with these permissions.
    ///
    /// # Errors
    /// As for [`host_file`](Self::host_file).
    pub fn host_file_with(&mut self, path: &Path, host: &Path, mode: u32) -> Result<(), PackError> {
        let found = host_file::open(host, HOST_FILE_MAX).and_then(|file| {
            let found = file.metadata()?;
            let (size, inode) = (size(found.len())?, (found.dev(), found.ino()));
            Ok(HostFile { path: host.to_owned(), size, inode })
        });
        let file = found.map_err(|source| PackError { path: host.to_owned(), source })?;
        self.add(path, Entry::File { content: Content::Host(file), mode })
    }

    /// How many files, folders and links there are.
    pub fn count(&self) -> usize {
        self.entries.len()
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
                Entry::Link(target) => file.write_all(target.as_bytes()).map_err(written)?,
                Entry::File { content: Content::Bytes(bytes), .. } => {
                    file.write_all(bytes).map_err(written)?;
                }
                Entry::File { content: Content::Host(HostFile { path, size, .. }), .. } => {
                    copy(path, *size, &mut file)
                        .map_err(|source| PackError { path: path.clone(), source })?;
                }
            }
            file.finish().map_err(written)?;
        }
        trailer(&mut out).and_then(Write::flush).map_err(written)
    }

    /// Adds an entry. The same one may be added again, and a folder may hold more.
    ///
    /// A folder is added for each prefix of the path, those before a `..` too: a guest's kernel finds the same place,
    /// since no link is a folder on the way.
    fn add(&mut self, path: &Path, entry: Entry) -> Result<(), PackError> {
        let mut parts: Vec<&str> = Vec::new();
        for component in path.components() {
            match component {
                Component::Normal(part) => {
                    self.way(&parts)?;
                    parts.push(part.to_str().ok_or_else(|| not_utf8(path))?);
                }
                Component::ParentDir => {
                    self.way(&parts)?;
                    parts.pop();
                }
                Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            }
        }
        if parts.is_empty() { Ok(()) } else { self.place(parts.join("/"), entry) }
    }

    /// Adds a folder on the way to something.
    fn way(&mut self, parts: &[&str]) -> Result<(), PackError> {
        if parts.is_empty() { Ok(()) } else { self.place(parts.join("/"), Entry::Folder) }
    }

    fn place(&mut self, path: String, entry: Entry) -> Result<(), PackError> {
        match self.entries.entry(path) {
            Place::Vacant(place) => {
                place.insert(entry);
                Ok(())
            }
            Place::Occupied(place) if *place.get() == entry => Ok(()),
            Place::Occupied(place) => {
                let taken = format!("would be where {} is in the guest", place.get().what());
                let path = entry.host().unwrap_or_else(|| Path::new("/").join(place.key()));
                Err(PackError { path, source: io::Error::new(io::ErrorKind::AlreadyExists, taken) })
            }
        }
    }
}

fn not_utf8(path: &Path) -> PackError {
    let source = io::Error::new(io::ErrorKind::InvalidInput, "a path in a guest has to be UTF-8");
    PackError { path: path.to_owned(), source }
}

impl Entry {
    fn size(&self) -> u32 {
        match self {
            Entry::File { content: Content::Bytes(bytes), .. } => bytes.len() as u32,
            Entry::File { content: Content::Host(file), .. } => file.size,
            Entry::Link(target) => target.len() as u32,
            Entry::Folder | Entry::Console => 0,
        }
    }

    /// The file of the host that it is.
    fn host(&self) -> Option<PathBuf> {
        match self {
            Entry::File { content: Content::Host(file), .. } => Some(file.path.clone()),
            _ => None,
        }
    }

    /// It, in words.
    fn what(&self) -> String {
        match self {
            Entry::File { content: Content::Host(file), .. } => file.path.display().to_string(),
            Entry::File { .. } | Entry::Console => "a file of barscope's".to_owned(),
            Entry::Link(target) => format!("a link to {target}"),
            Entry::Folder => "a folder".to_owned(),
        }
    }

    fn mode(&self) -> u32 {
        match self {
            Entry::File { mode, .. } => *mode,
            Entry::Folder => 0o755,
            Entry::Link(_) => 0o777,
            Entry::Console => 0o600,
        }
    }

    fn file_type(&self) -> ModeFileType {
        match self {
            Entry::File { .. } => ModeFileType::Regular,
            Entry::Folder => ModeFileType::Directory,
            Entry::Link(_) => ModeFileType::Symlink,
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
    fn two_things_at_one_place_are_refused_and_the_same_one_twice_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| folder.path().join(name));
        std::fs::write(&a, "1").unwrap();
        std::fs::write(&b, "2").unwrap();
        let mut files = Initramfs::default();
        files.host_file(Path::new("/usr/x"), &a).unwrap();
        files.host_file(Path::new("/usr/lib/../x"), &a).unwrap();

        let error = files.host_file(Path::new("/usr/x"), &b).unwrap_err();
        assert_eq!(error.path, b);
        assert_eq!(error.source.to_string(), format!("would be where {} is in the guest", a.display()));
        let error = files.file(Path::new("/usr/x/y"), Vec::new()).unwrap_err();
        assert_eq!(error.path, Path::new("/usr/x"));
        let error = files.link(Path::new("/usr"), Path::new("/lib")).unwrap_err();
        assert_eq!(error.source.to_string(), "would be where a folder is in the guest");
    }

    #[test]
    fn a_link_holds_where_it_leads() {
        let mut files = Initramfs::default();
        files.link(Path::new("/bin/sh"), Path::new("busybox")).unwrap();
        assert!(files.has(Path::new("/bin/sh")) && !files.has(Path::new("/bin/ash")));
        assert_eq!(
            unpacked(&files),
            [
                ("bin".to_owned(), 0o040_755, Vec::new()),
                ("bin/sh".to_owned(), 0o120_777, b"busybox".to_vec())
            ]
        );
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
