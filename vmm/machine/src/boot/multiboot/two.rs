//! Multiboot version 2: tags of the header, and tags of the information (Multiboot2 Specification 2.0, sections 3.1 and
//! 3.6).

use super::error::Error;
use super::image::{Addresses, Image};
use super::{LOADER, LOWER_KIB, Placed, upper_kib, word};
use crate::boot::{Payload, memory_map};
use crate::layout;

/// What EAX holds.
pub(super) const STARTED: u32 = 0x36d7_6289;

const MAGIC: u32 = 0xe852_50d6;
/// The header lies in the first so many bytes of the file.
const SEARCHED: usize = 32768;
const HEADER_SIZE: usize = 16;
const I386: u32 = 0;
/// A load address that stands for the file's beginning.
const FROM_THE_BEGINNING: u32 = u32::MAX;

/// Bit 0 of a tag's flags.
const OPTIONAL: u16 = 1 << 0;

/// Types of the header's tags.
mod tag {
    pub(super) const END: u16 = 0;
    pub(super) const INFORMATION: u16 = 1;
    pub(super) const ADDRESSES: u16 = 2;
    pub(super) const ENTRY: u16 = 3;
    pub(super) const CONSOLE: u16 = 4;
    pub(super) const FRAMEBUFFER: u16 = 5;
    pub(super) const MODULE_ALIGNMENT: u16 = 6;
    /// What an EFI loader does otherwise: boot services, and entries for it. There is no EFI here.
    pub(super) const EFI: [u16; 3] = [7, 8, 9];
    pub(super) const RELOCATABLE: u16 = 10;
}
/// Of the console tag's flags: there has to be one.
const CONSOLE_REQUIRED: u32 = 1 << 0;

/// Types of the information's tags that are given.
mod kind {
    pub(super) const END: u32 = 0;
    pub(super) const COMMAND_LINE: u32 = 1;
    pub(super) const LOADER: u32 = 2;
    pub(super) const MODULE: u32 = 3;
    pub(super) const MEMORY_SIZES: u32 = 4;
    pub(super) const MEMORY_MAP: u32 = 6;
    pub(super) const ACPI_1: u32 = 14;
    pub(super) const ACPI_2: u32 = 15;
    pub(super) const LOAD_BASE: u32 = 21;
}
const GIVEN: [u32; 9] = [
    kind::END,
    kind::COMMAND_LINE,
    kind::LOADER,
    kind::MODULE,
    kind::MEMORY_SIZES,
    kind::MEMORY_MAP,
    kind::ACPI_1,
    kind::ACPI_2,
    kind::LOAD_BASE,
];
/// How much of an RSDP there was before ACPI 2.0.
const RSDP_1_SIZE: usize = 20;

/// Where the header begins.
pub(super) fn find(file: &[u8]) -> Option<usize> {
    let searched = &file[..file.len().min(SEARCHED)];
    let is_header = |at: &usize| {
        let words = [0, 4, 8, 12].map(|offset| word(searched, at + offset));
        let [Some(MAGIC), Some(architecture), Some(length), Some(checksum)] = words else { return false };
        [MAGIC, architecture, length, checksum].into_iter().fold(0, u32::wrapping_add) == 0
    };
    (0..searched.len()).step_by(8).find(is_header)
}

/// What a header asks the loader to tell.
pub(super) struct Request {
    /// Where a relocatable kernel lies.
    load_base: Option<u32>,
}

/// Where a relocatable kernel may lie.
#[derive(Clone, Copy)]
struct Relocatable {
    min: u32,
    max: u32,
    align: u32,
}

/// The header's tags, as far as they decide something.
#[derive(Default)]
struct Tags {
    addresses: Option<Addresses>,
    entry: Option<u32>,
    relocatable: Option<Relocatable>,
}

/// The kernel whose header is at `offset`, and what it asks for.
pub(super) fn image(file: &[u8], offset: usize) -> Result<(Image<'_>, Request), Error> {
    let field = |at: usize| word(file, offset + at).ok_or(Error::Cut);
    let architecture = field(4)?;
    if architecture != I386 {
        return Err(Error::Architecture { number: architecture });
    }
    let end = offset.checked_add(field(8)? as usize).filter(|end| *end <= file.len()).ok_or(Error::Cut)?;
    let tags = Tags::read(file.get(offset + HEADER_SIZE..end).ok_or(Error::Cut)?)?;
    let image = match (tags.addresses, tags.entry) {
        (Some(addresses), Some(entry)) => {
            // A file from its beginning has the header where it is in the file.
            let load = match addresses.load {
                FROM_THE_BEGINNING => addresses.header.wrapping_sub(offset as u32),
                load => load,
            };
            Image::at(file, offset, Addresses { load, ..addresses }, entry)?
        }
        (Some(_), None) => return Err(Error::NoEntry),
        (None, Some(entry)) => Image::of_elf(file)?.entered_at(entry),
        (None, None) => Image::of_elf(file)?,
    };
    let Some(relocatable) = tags.relocatable else { return Ok((image, Request { load_base: None })) };
    let base = relocatable.place(&image)?;
    Ok((image.moved_to(base.into()), Request { load_base: Some(base) }))
}

impl Tags {
    fn read(mut rest: &[u8]) -> Result<Self, Error> {
        let mut tags = Self::default();
        loop {
            let head = word(rest, 0).ok_or(Error::Cut)?;
            let (number, flags) = (head as u16, (head >> 16) as u16);
            let size = word(rest, 4).ok_or(Error::Cut)? as usize;
            let tag = rest.get(..size).filter(|tag| tag.len() >= 8).ok_or(Error::Cut)?;
            if number == tag::END {
                return Ok(tags);
            }
            tags.take(number, flags & OPTIONAL != 0, tag)?;
            rest = rest.get(size.next_multiple_of(8)..).ok_or(Error::Cut)?;
        }
    }

    fn take(&mut self, number: u16, optional: bool, tag: &[u8]) -> Result<(), Error> {
        let field = |index: usize| word(tag, 8 + 4 * index).ok_or(Error::Cut);
        let needed = |what| if optional { Ok(()) } else { Err(Error::Tag { tag: number, what }) };
        match number {
            tag::INFORMATION => {
                let mut asked = tag[8..].chunks_exact(4).filter_map(|bytes| word(bytes, 0));
                match asked.find(|kind| !GIVEN.contains(kind)) {
                    Some(kind) if !optional => return Err(Error::Information { kind }),
                    _ => {}
                }
            }
            tag::ADDRESSES => {
                self.addresses = Some(Addresses {
                    header: field(0)?,
                    load: field(1)?,
                    load_end: field(2)?,
                    bss_end: field(3)?,
                });
            }
            tag::ENTRY => self.entry = Some(field(0)?),
            tag::CONSOLE if field(0)? & CONSOLE_REQUIRED != 0 => needed("a text console or a frame buffer")?,
            tag::FRAMEBUFFER => needed("a frame buffer")?,
            tag::RELOCATABLE => {
                self.relocatable = Some(Relocatable { min: field(0)?, max: field(1)?, align: field(2)? });
            }
            tag::CONSOLE | tag::MODULE_ALIGNMENT => {}
            other if tag::EFI.contains(&other) => {}
            _ => needed("something that the specification doesn't have")?,
        }
        Ok(())
    }
}

impl Relocatable {
    /// Where the kernel goes: where it is linked to, if it may be there; as low as it may, otherwise.
    fn place(self, image: &Image<'_>) -> Result<u32, Error> {
        let Self { min, max, align } = self;
        let align = u64::from(align.max(1));
        let size = image.end() - image.start();
        let fits = |base: u64| {
            let Some(end) = base.checked_add(size).filter(|end| *end <= max.into()) else { return false };
            let is_clear = base >= layout::HIGH_MEMORY || end <= layout::LEGACY_HOLE;
            base.is_multiple_of(align) && base >= min.into() && is_clear
        };
        let lowest = |from: u64| from.next_multiple_of(align);
        let candidates = [image.start(), lowest(min.into()), lowest(layout::HIGH_MEMORY.max(min.into()))];
        let base = candidates.into_iter().find(|base| fits(*base)).ok_or(Error::Relocation { min, max })?;
        // Below `max`.
        Ok(base as u32)
    }
}

/// The information's tags.
struct Writer(Vec<u8>);

impl Writer {
    /// Adds a tag, and what there is up to the next multiple of 8.
    fn tag(&mut self, kind: u32, content: &[u8]) {
        self.0.extend([kind, 8 + content.len() as u32].map(u32::to_le_bytes).as_flattened());
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(8), 0);
    }

    /// Adds a tag of words and a text.
    fn text(&mut self, kind: u32, words: &[u32], text: &str) {
        let mut content: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        content.extend(text.as_bytes());
        content.push(0);
        self.tag(kind, &content);
    }
}

/// The information, which may lie anywhere.
pub(super) fn information(
    request: &Request,
    payload: &Payload<'_>,
    modules: &[Placed<'_>],
    memory_size: u64,
    rsdp: &[u8],
) -> Vec<u8> {
    /// Size and version of the memory map's entries.
    const MAP_ENTRY: [u32; 2] = [24, 0];
    let mut tags = Writer(vec![0; 8]);
    tags.text(kind::COMMAND_LINE, &[], payload.command_line);
    tags.text(kind::LOADER, &[], LOADER);
    for module in modules {
        tags.text(kind::MODULE, &[module.start, module.end], module.text);
    }
    let sizes = [LOWER_KIB, upper_kib(memory_size)];
    tags.tag(kind::MEMORY_SIZES, sizes.map(u32::to_le_bytes).as_flattened());
    let mut map = MAP_ENTRY.map(u32::to_le_bytes).concat();
    for range in memory_map::of(memory_size) {
        map.extend([range.start, range.size(), range.kind().into()].map(u64::to_le_bytes).as_flattened());
    }
    tags.tag(kind::MEMORY_MAP, &map);
    tags.tag(kind::ACPI_1, &rsdp[..RSDP_1_SIZE]);
    tags.tag(kind::ACPI_2, rsdp);
    if let Some(base) = request.load_base {
        tags.tag(kind::LOAD_BASE, &base.to_le_bytes());
    }
    tags.tag(kind::END, &[]);
    let Writer(mut bytes) = tags;
    let size = bytes.len() as u32;
    bytes[..4].copy_from_slice(&size.to_le_bytes());
    bytes
}
