//! What processes map, as the guest tells it: files by device and inode, and the address space of each process.

use std::sync::Arc;

use barscope_trace::event::Id;
use barscope_trace::{WriteError, definition};
use object::{Object, ObjectSegment};
use rustc_hash::FxHashMap;

use super::code::{GuestCode, MappedImage};
use super::proc_maps::Line;
use crate::guest_abi::{FileKey, Maps};
use crate::images::{Code, Mapped};

/// The most mappings of a process that are looked at.
const MOST: usize = 1 << 12;
/// The most processes, and the most mappings of devices, that are remembered.
const REMEMBERED: usize = 1 << 16;

/// Files that processes map, and whose address space is which.
#[derive(Default)]
pub struct Programs {
    files: FxHashMap<FileKey, MappedFile>,
    /// The address space of each process that is told of.
    spaces: FxHashMap<u32, u64>,
    /// The devices that each of them maps or did.
    devices: FxHashMap<u32, Vec<definition::Mapping>>,
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
        if self.spaces.len() >= REMEMBERED {
            self.spaces.clear();
        }
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

    /// The devices that a process maps, and hasn't been told to map.
    pub fn device_mappings(
        &mut self,
        address_space: u64,
        who: &str,
        maps: &Maps,
    ) -> Vec<definition::Mapping> {
        let lines = maps.lines.lines().take(MOST).filter_map(Line::parse);
        let found = lines.filter_map(|line| line.device_mapping(address_space, who));
        let known = self.devices.get(&maps.pid).map_or(&[][..], Vec::as_slice);
        let new: Vec<_> = found.filter(|mapping| !known.contains(mapping)).collect();
        if self.devices.values().map(Vec::len).sum::<usize>() + new.len() > REMEMBERED {
            return Vec::new();
        }
        self.devices.entry(maps.pid).or_default().extend(new.iter().cloned());
        new
    }

    /// A process runs no more code.
    pub fn ended(&mut self, code: &mut GuestCode, pid: u32) {
        self.devices.remove(&pid);
        if let Some(address_space) = self.spaces.remove(&pid) {
            code.clear(address_space);
        }
    }

    /// The executable that a line is of.
    fn image(&self, line: &Line<'_>, maps: &Maps) -> Option<MappedImage> {
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
