//! Multiboot version 1: header and information (Multiboot Specification 0.6.96, sections 3.1 and 3.3).

use super::error::Error;
use super::image::{Addresses, Image};
use super::{LOADER, LOWER_KIB, Placed, upper_kib, with_name, word};
use crate::boot::{Payload, memory_map};

/// What EAX holds.
pub(super) const STARTED: u32 = 0x2bad_b002;

const MAGIC: u32 = 0x1bad_b002;
/// The header lies in the first so many bytes of the file.
const SEARCHED: usize = 8192;
const HEADER_SIZE: usize = 12;

/// Flags of the header: what has to be understood, and what of it is. Modules are always aligned to pages, memory is
/// always told; a video mode is none, which the information says.
const REQUIREMENTS: u32 = 0xffff;
const UNDERSTOOD: u32 = 0x7;
const HAS_ADDRESSES: u32 = 1 << 16;

/// Flags of the information: memory sizes, command line, modules, memory map, loader.
const FLAGS: u32 = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 9;
/// Size of the information itself, all of its fields included.
const INFORMATION_SIZE: usize = 116;
/// An entry of the memory map, and what it says that its size is: without the size.
const MAP_ENTRY: usize = 24;
const MODULE_ENTRY: usize = 16;

/// Where the header begins.
pub(super) fn find(file: &[u8]) -> Option<usize> {
    let searched = &file[..file.len().min(SEARCHED)];
    let is_header = |at: &usize| {
        let words = [0, 4, 8].map(|offset| word(searched, at + offset));
        let [Some(MAGIC), Some(flags), Some(checksum)] = words else { return false };
        MAGIC.wrapping_add(flags).wrapping_add(checksum) == 0
    };
    (0..searched.len()).step_by(4).find(is_header)
}

/// The kernel whose header is at `offset`.
pub(super) fn image(file: &[u8], offset: usize) -> Result<Image<'_>, Error> {
    let flags = word(file, offset + 4).ok_or(Error::Cut)?;
    let unknown = flags & REQUIREMENTS & !UNDERSTOOD;
    if unknown != 0 {
        return Err(Error::Flag { bit: unknown.trailing_zeros() });
    }
    if flags & HAS_ADDRESSES == 0 {
        return Image::of_elf(file);
    }
    let field = |index: usize| word(file, offset + HEADER_SIZE + 4 * index).ok_or(Error::Cut);
    let addresses = Addresses { header: field(0)?, load: field(1)?, load_end: field(2)?, bss_end: field(3)? };
    Image::at(file, offset, addresses, field(4)?)
}

/// How many bytes [`information`] has.
pub(super) fn information_size(payload: &Payload<'_>, modules: &[Placed<'_>]) -> usize {
    let texts = modules.iter().map(|module| module.text.len() + 1).sum::<usize>();
    let strings = with_name(payload).len() + 1 + LOADER.len() + 1 + texts;
    INFORMATION_SIZE + memory_map::of(0).len() * MAP_ENTRY + modules.len() * MODULE_ENTRY + strings
}

/// The information, and all that it points at, to lie at address `base`.
pub(super) fn information(
    base: u32,
    payload: &Payload<'_>,
    modules: &[Placed<'_>],
    memory_size: u64,
) -> Vec<u8> {
    let map = memory_map::of(memory_size);
    let map_at = INFORMATION_SIZE;
    let modules_at = map_at + map.len() * MAP_ENTRY;
    let mut strings = Vec::new();
    let strings_at = modules_at + modules.len() * MODULE_ENTRY;
    let address = |offset: usize| base + offset as u32;
    let mut string = |text: &str| {
        let at = address(strings_at + strings.len());
        strings.extend_from_slice(text.as_bytes());
        strings.push(0);
        at
    };
    let (command_line, loader) = (string(&with_name(payload)), string(LOADER));

    let mut bytes = vec![0; INFORMATION_SIZE];
    for (offset, value) in [
        (0, FLAGS),
        (4, LOWER_KIB),
        (8, upper_kib(memory_size)),
        (16, command_line),
        (20, modules.len() as u32),
        (24, address(modules_at)),
        (44, (map.len() * MAP_ENTRY) as u32),
        (48, address(map_at)),
        (64, loader),
    ] {
        bytes[offset..offset + 4].copy_from_slice(&value.to_le_bytes());
    }
    for range in map {
        bytes.extend((MAP_ENTRY as u32 - 4).to_le_bytes());
        bytes.extend(range.start.to_le_bytes());
        bytes.extend(range.size().to_le_bytes());
        bytes.extend(range.kind().to_le_bytes());
    }
    for module in modules {
        bytes.extend([module.start, module.end, string(module.text), 0].map(u32::to_le_bytes).as_flattened());
    }
    bytes.extend(strings);
    bytes
}
