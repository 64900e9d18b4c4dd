//! What processes map, as the guest tells it: files by device and inode, and the address space of each process.

use std::sync::Arc;

use barscope_trace::event::Id;
use barscope_trace::{WriteError, definition};
use object::{Object, ObjectSegment};
use rustc_hash::FxHashMap;

use super::code::{GuestCode, MappedImage};
use crate::guest_abi::{FileKey, Maps};
use crate::images::{Code, Mapped};

/// The most mappings of a process that are looked at.
const MOST: usize = 1 << 12;

/// Files that processes map, and whose address space is which.
#[derive(Default)]
pub struct Programs {
    files: FxHashMap<FileKey, MappedFile>,
    /// The address space of each process that is told of.
    spaces: FxHashMap<u32, u64>,
}

/// A file that processes map.
struct MappedFile {
    /// Its definition.
    id: Id,
    path: String,
    code: Arc<Code>,
    /// Offset, size and address of each segment.
    segments: Vec<(u64, u64, u64)>,
}

impl Programs {
    /// Takes in a file; `false` if it is no ELF file.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn file(
        &mut self,
        code: &mut GuestCode,
        key: FileKey,
        path: String,
        elf: &[u8],
    ) -> Result<bool, WriteError> {
        let (Some(parts), Ok(file)) = (Code::of(elf), object::File::parse(elf)) else { return Ok(false) };
        let segments = file.segments().map(|segment| {
            let (offset, size) = segment.file_range();
            (offset, size, segment.address())
        });
        let segments = segments.collect();
        self.files.remove(&key);
        if let Some(id) = code.file(definition::File { path: path.clone() }, elf)? {
            self.files.insert(key, MappedFile { id, path, code: Arc::new(parts), segments });
        }
        Ok(true)
    }

    /// Takes in what the process in this address space maps.
    ///
    /// # Errors
    /// [`WriteError`] if the trace can't be written.
    pub fn maps(&mut self, code: &mut GuestCode, address_space: u64, maps: &Maps) -> Result<(), WriteError> {
        let before = self.spaces.insert(maps.pid, address_space);
        if let Some(before) = before.filter(|before| *before != address_space) {
            code.clear(before);
        }
        // It was another's, whose end is still to be told.
        self.spaces.retain(|pid, space| *pid == maps.pid || *space != address_space);
        let mut images: Vec<MappedImage> = Vec::new();
        for line in maps.lines.lines().take(MOST) {
            let Some(image) = Line::parse(line).and_then(|line| self.image(&line, maps)) else { continue };
            if images.iter().all(|known| known.mapped != image.mapped) {
                images.push(image);
            }
        }
        code.map(address_space, &images)
    }

    /// A process runs no more code.
    pub fn ended(&mut self, code: &mut GuestCode, pid: u32) {
        if let Some(address_space) = self.spaces.remove(&pid) {
            code.clear(address_space);
        }
    }

    /// The executable that a line is of.
    fn image(&self, line: &Line, maps: &Maps) -> Option<MappedImage> {
        let file = self.files.get(&line.key).filter(|_| line.is_code)?;
        let (offset, _, address) = file.segments.iter().find(|(offset, size, _)| {
            // A segment begins within the page that is mapped for it.
            (offset & !0xfff..offset.saturating_add(*size)).contains(&line.offset)
        })?;
        let at = line.start.wrapping_sub(line.offset).wrapping_add(*offset);
        let mapped = Mapped { file: file.id, bias: at.wrapping_sub(*address) };
        let name = match &maps.script {
            Some(script) => format!("{} running {script}", file.path),
            None => file.path.clone(),
        };
        Some(MappedImage { name, mapped, code: Arc::clone(&file.code) })
    }
}

/// A line of `/proc/PID/maps`: Linux's `proc.rst`.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    start: u64,
    /// It may be executed.
    is_code: bool,
    offset: u64,
    key: FileKey,
}

impl Line {
    /// `5581c0a00000-5581c0a01000 r-xp 00001000 00:01 1234    /root/test`; `None` if it isn't of a file.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.splitn(6, ' ');
        let hex = |word: &str| u64::from_str_radix(word, 16).ok();
        let start = hex(words.next()?.split_once('-')?.0)?;
        let is_code = words.next()?.as_bytes().get(2) == Some(&b'x');
        let offset = hex(words.next()?)?;
        let (major, minor) = words.next()?.split_once(':')?;
        let device = hex(major)?.checked_mul(1 << 32)?.checked_add(hex(minor)?)?;
        let inode = words.next()?.parse().ok()?;
        let path = words.next()?.trim_start();
        path.starts_with('/').then_some(Self { start, is_code, offset, key: FileKey { device, inode } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_file_is_read_and_one_of_none_is_not() {
        let line =
            "5581c0a00000-5581c0a01000 r-xp 00001000 00:1a 1234                  /root/a test (deleted)";
        let key = FileKey { device: 0x1a, inode: 1234 };
        let expected = Line { start: 0x5581_c0a0_0000, is_code: true, offset: 0x1000, key };
        assert_eq!(Line::parse(line), Some(expected));
        let data = Line::parse("7f00-8000 rw-s 00000000 103:02 7 /dev/x").unwrap();
        assert!(!data.is_code);
        assert_eq!(data.key, FileKey { device: 0x103_0000_0002, inode: 7 });
        for other in [
            "7ffd1000-7ffd2000 r-xp 00000000 00:00 0                  [vdso]",
            "7ffd1000-7ffd2000 rw-p 00000000 00:00 0 ",
            "7ffd1000-7ffd2000 r-xp 00000000 fffffffffffffffff:0 0 /a",
            "7ffd1000 r-xp",
            "",
        ] {
            assert_eq!(Line::parse(other), None, "{other:?}");
        }
    }
}
