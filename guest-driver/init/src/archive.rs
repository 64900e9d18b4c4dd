//! An archive in the format in which the kernel takes its first file system, unpacked: "newc", as its
//! `Documentation/driver-api/early-userspace/buffer-format.rst` has it. Only what the host packs: folders, files, links.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::Path;

const MAGIC: &[u8] = b"070701";
/// The magic word, and 13 numbers of 8 digits.
const HEADER: usize = 6 + 13 * 8;
/// Positions among the numbers.
const MODE: usize = 1;
const SIZE: usize = 6;
const NAME_SIZE: usize = 11;
/// The name that ends an archive.
const TRAILER: &[u8] = b"TRAILER!!!";
/// The type of a file, in its mode.
const TYPE: u32 = 0o170_000;
const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// Unpacks an archive below a folder.
///
/// # Errors
/// It is damaged, or what the system said.
pub fn unpack(archive: &[u8], below: &Path) -> io::Result<()> {
    let mut at = 0;
    loop {
        let header = part(archive, at, HEADER)?;
        if !header.starts_with(MAGIC) {
            return Err(damaged());
        }
        let (name_size, size) = (number(header, NAME_SIZE)? as usize, number(header, SIZE)? as usize);
        let mode = number(header, MODE)?;
        let name = part(archive, at + HEADER, name_size)?;
        let name = name.strip_suffix(b"\0").ok_or_else(damaged)?;
        if name == TRAILER {
            return Ok(());
        }
        let content_at = (at + HEADER + name_size).next_multiple_of(4);
        let content = part(archive, content_at, size)?;
        let name = str::from_utf8(name).map_err(|_| damaged())?;
        entry(&below.join(name), mode, content)
            .map_err(|error| io::Error::new(error.kind(), format!("{name}: {error}")))?;
        at = (content_at + size).next_multiple_of(4);
    }
}

fn entry(path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
    match mode & TYPE {
        FOLDER => DirBuilder::new().mode(mode & 0o777).recursive(true).create(path),
        FILE => {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(mode & 0o777).open(path)?;
            file.write_all(content)
        }
        LINK => symlink(str::from_utf8(content).map_err(|_| damaged())?, path),
        // A console, which the kernel makes.
        _ => fs::exists(path).map(drop),
    }
}

fn part(archive: &[u8], at: usize, size: usize) -> io::Result<&[u8]> {
    at.checked_add(size).and_then(|end| archive.get(at..end)).ok_or_else(damaged)
}

fn number(header: &[u8], position: usize) -> io::Result<u32> {
    let digits = part(header, MAGIC.len() + 8 * position, 8)?;
    let digits = str::from_utf8(digits).map_err(|_| damaged())?;
    u32::from_str_radix(digits, 16).map_err(|_| damaged())
}

fn damaged() -> io::Error {
    io::Error::other("what the host has for this guest is no archive")
}
