//! Programs and files that travel into a Linux guest, with what they need there: shared libraries, interpreters of
//! scripts, and the usual commands.

use std::collections::BTreeSet;
use std::env;
use std::fs::{self, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use barscope_guest_abi::linux::{FOLDER, PATH};

use super::Error;
use super::choice::{FileChoice, FolderChoice};
use super::script::{Interpreter, LOOKED_AT};
use crate::debian;
use crate::host_file::{self, KERNEL_MAX, MODULE_MAX, too_long};
use crate::initramfs::{Initramfs, PackError};
use crate::libraries::libraries;

/// The most files, folders and links that travel.
const ENTRIES: usize = 1 << 16;
/// The deepest folder.
const DEPTH: usize = 64;
/// How many interpreters the kernel goes through: one that is a script has one itself.
const INTERPRETERS: usize = 4;
/// Where busybox is in a guest.
const BUSYBOX: &str = "/bin/busybox";
/// Where its commands are, each by its name.
const COMMANDS: [&str; 4] = ["/bin", "/sbin", "/usr/bin", "/usr/sbin"];
/// Where a guest finds programs that are elsewhere on the host.
const OTHERS: &str = "/usr/local/bin";

/// What travels.
#[derive(Default)]
pub struct Luggage {
    /// It.
    pub files: Initramfs,
    /// Where shared libraries are.
    folders: BTreeSet<PathBuf>,
    /// The commands of busybox, once they are wanted.
    commands: Option<Vec<String>>,
}

impl Luggage {
    /// Takes a program, to the same path as here, with what it needs. A name without a slash that is no file is one of the
    /// usual commands, as it is to a shell. Its path in the guest.
    ///
    /// # Errors
    /// [`Error`] if it, or what it needs, can't be had.
    pub fn program(&mut self, program: &Path) -> Result<PathBuf, Error> {
        if !program.exists()
            && let Some(name) = program.to_str().filter(|name| !name.contains('/'))
            && self.commands(program).is_ok_and(|commands| commands.iter().any(|command| command == name))
        {
            self.usual_commands(program)?;
            return Ok(Path::new(COMMANDS[0]).join(name));
        }
        self.files.host_file(&in_guest(program), program)?;
        self.needs(program, INTERPRETERS)?;
        // A name alone would be looked for elsewhere.
        let is_name = program.parent() == Some(Path::new(""));
        Ok(if is_name { Path::new(".").join(program) } else { program.to_owned() })
    }

    /// Takes a file, and what it needs if it is a program.
    ///
    /// # Errors
    /// As for [`program`](Self::program).
    pub fn file(&mut self, choice: &FileChoice) -> Result<(), Error> {
        let FileChoice { source, place } = choice;
        let mode = permissions(&metadata(source)?);
        self.files.host_file_with(&in_guest(place.as_ref().unwrap_or(source)), source, mode)?;
        if mode & 0o111 != 0 {
            self.needs(source, INTERPRETERS)?;
        }
        Ok(())
    }

    /// Takes what is in a folder: links as links, and what its programs need.
    ///
    /// # Errors
    /// As for [`program`](Self::program); or the folder holds something else than files, folders and links, more than
    /// 65,536 of them, or more than 1 GiB.
    pub fn folder(&mut self, choice: &FolderChoice) -> Result<(), Error> {
        let FolderChoice { source, place } = choice;
        if !metadata(source)?.is_dir() {
            return Err(failed(source, io::ErrorKind::NotADirectory.into()));
        }
        self.tree(source, &in_guest(place), DEPTH)
    }

    fn tree(&mut self, source: &Path, place: &Path, depth: usize) -> Result<(), Error> {
        let refuse = |path: &Path, why: &str| Err(failed(path, io::Error::other(why.to_owned())));
        if depth == 0 {
            return refuse(source, "folders are too deep here to travel");
        }
        self.files.folder(place)?;
        let entries = fs::read_dir(source).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut entries = entries.map_err(|error| failed(source, error))?;
        // So that of several errors it is always the same.
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (path, place) = (entry.path(), place.join(entry.file_name()));
            let found = fs::symlink_metadata(&path).map_err(|error| failed(&path, error))?;
            if found.is_dir() {
                self.tree(&path, &place, depth - 1)?;
            } else if found.is_symlink() {
                let target = fs::read_link(&path).map_err(|error| failed(&path, error))?;
                self.files.link(&place, &target)?;
            } else if found.is_file() {
                let mode = permissions(&found);
                self.files.host_file_with(&place, &path, mode)?;
                if mode & 0o111 != 0 {
                    self.needs_if_there(&path);
                }
            } else {
                return refuse(&path, "is no file, folder or symbolic link, and can't travel");
            }
            if self.files.count() > ENTRIES {
                return refuse(source, "more than 65536 files can't travel; name a folder with fewer");
            }
            if self.files.size() > KERNEL_MAX {
                return Err(failed(source, too_long(KERNEL_MAX)));
            }
        }
        Ok(())
    }

    /// Takes the usual commands, `sh` first of all: for `whom`.
    ///
    /// # Errors
    /// [`Error::NoBusybox`] if busybox isn't here.
    pub fn usual_commands(&mut self, whom: &Path) -> Result<(), Error> {
        if self.files.has(Path::new(BUSYBOX)) {
            return Ok(());
        }
        let busybox = busybox(whom)?;
        self.files.host_file(Path::new(BUSYBOX), &busybox)?;
        self.elf(&busybox)?;
        for command in self.commands(whom)?.to_vec() {
            for folder in COMMANDS {
                self.link(&Path::new(folder).join(&command), Path::new(BUSYBOX))?;
            }
        }
        Ok(())
    }

    /// Where a program finds shared libraries that it brought: folders, as its loader takes them.
    pub fn library_path(&self) -> String {
        let folders: Vec<_> = self.folders.iter().map(|folder| folder.display().to_string()).collect();
        folders.join(":")
    }

    fn commands(&mut self, whom: &Path) -> Result<&[String], Error> {
        if self.commands.is_none() {
            let output = Command::new(busybox(whom)?).arg("--list").output();
            let output = output.map_err(|source| Error::System { what: "busybox --list", source })?;
            let listed = String::from_utf8_lossy(&output.stdout);
            self.commands = Some(listed.lines().map(str::to_owned).collect());
        }
        Ok(self.commands.as_deref().unwrap_or_default())
    }

    /// A link, unless something that was asked for is at its place.
    fn link(&mut self, place: &Path, target: &Path) -> Result<(), PackError> {
        if self.files.has(place) { Ok(()) } else { self.files.link(place, target) }
    }

    /// Takes what a program of a folder needs, as far as it is here: not all of them are for this guest.
    fn needs_if_there(&mut self, program: &Path) {
        drop(self.needs(program, INTERPRETERS));
    }

    /// Takes what a program needs to start.
    fn needs(&mut self, program: &Path, interpreters: usize) -> Result<(), Error> {
        let file = host_file::open(program, MODULE_MAX).map_err(|error| failed(program, error))?;
        let mut beginning = Vec::new();
        file.take(LOOKED_AT as u64).read_to_end(&mut beginning).map_err(|error| failed(program, error))?;
        if beginning.starts_with(b"\x7fELF") {
            return self.elf(program);
        }
        let none = || Error::NoProgram { path: program.to_owned() };
        let interpreter = Interpreter::of(&beginning).filter(|interpreter| !interpreter.path.is_empty());
        let interpreter = interpreter.filter(|_| interpreters > 0).ok_or_else(none)?;
        self.usual_commands(program)?;
        self.interpreter(program, &interpreter, interpreters)
    }

    fn interpreter(&mut self, script: &Path, of: &Interpreter, interpreters: usize) -> Result<(), Error> {
        let missing = |path: &str| Error::NoInterpreter { script: script.to_owned(), path: path.to_owned() };
        let (path, looked_for) = (Path::new(&of.path), of.looked_for());
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // The `env` of busybox doesn't split words.
        let splits = looked_for.is_some_and(|(_, splits)| splits);
        let is_usual = |luggage: &mut Self, name: &str| {
            luggage.commands(script).map(|commands| commands.iter().any(|command| command == name))
        };
        if !splits && is_usual(self, &name)? {
            self.link(&in_guest(path), Path::new(BUSYBOX))?;
        } else if path.is_file() {
            self.files.host_file(&in_guest(path), path)?;
            self.needs(path, interpreters - 1)?;
        } else {
            return Err(missing(&of.path));
        }
        let Some((name, _)) = looked_for else { return Ok(()) };
        if is_usual(self, name)? {
            return Ok(());
        }
        let found = find(name).ok_or_else(|| missing(name))?;
        self.files.host_file(&in_guest(&found), &found)?;
        self.needs(&found, interpreters - 1)?;
        if !PATH.split(':').any(|folder| found.parent() == Some(Path::new(folder))) {
            self.link(&Path::new(OTHERS).join(name), &in_guest(&found))?;
        }
        Ok(())
    }

    /// Takes the shared libraries of an ELF file.
    fn elf(&mut self, program: &Path) -> Result<(), Error> {
        let failed = |source| Error::Libraries { program: program.to_owned(), source };
        for library in libraries(program).map_err(failed)? {
            self.files.host_file(&library, &library)?;
            self.folders.extend(library.parent().map(Path::to_path_buf));
        }
        Ok(())
    }
}

/// Where a file is in a guest: a path from the root is the same, another one begins at the folder of programs.
fn in_guest(path: &Path) -> PathBuf {
    Path::new(FOLDER).join(path)
}

fn busybox(whom: &Path) -> Result<PathBuf, Error> {
    debian::busybox().ok_or_else(|| Error::NoBusybox { whom: whom.to_owned() })
}

/// A program that is here, by its name or its path.
fn find(name: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(|path| path.is_file());
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_absolute() && file.is_file())
}

fn metadata(path: &Path) -> Result<Metadata, Error> {
    fs::metadata(path).map_err(|error| failed(path, error))
}

fn permissions(found: &Metadata) -> u32 {
    found.permissions().mode() & 0o777
}

fn failed(path: &Path, source: io::Error) -> Error {
    PackError { path: path.to_owned(), source }.into()
}

#[cfg(test)]
mod tests;
