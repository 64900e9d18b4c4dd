//! Where a multiboot kernel's bytes go, and where it is entered: as the program headers of an ELF file of either class
//! say, or addresses in the multiboot header (the "a.out kludge").

use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, elf};
use vm_memory::{Bytes, GuestAddress};

use super::super::BootError;
use super::error::Error;
use super::room::Room;
use crate::layout;
use crate::memory::GuestMemory;

const ELF_64_BIT: &[u8] = b"\x7fELF\x02";

/// A part of the file, and the memory that it is loaded to.
struct Segment<'a> {
    address: u64,
    bytes: &'a [u8],
    /// Size in memory; what the file doesn't fill is zero.
    size: u64,
}

/// A kernel as it is to lie in memory.
pub(super) struct Image<'a> {
    segments: Vec<Segment<'a>>,
    entry: u64,
}

/// Load addresses of a multiboot header. Ends are 0 for the file's, and for no zeroes.
#[derive(Clone, Copy)]
pub(super) struct Addresses {
    pub(super) header: u32,
    pub(super) load: u32,
    pub(super) load_end: u32,
    pub(super) bss_end: u32,
}

impl<'a> Image<'a> {
    /// A file whose header, at `offset`, says where it goes.
    pub(super) fn at(file: &'a [u8], offset: usize, addresses: Addresses, entry: u32) -> Result<Self, Error> {
        let contradiction = |why| Error::Addresses { why };
        let Addresses { header, load, load_end, bss_end } = addresses;
        let before = header.checked_sub(load).ok_or(contradiction("load_addr is above header_addr"))?;
        let start = offset.checked_sub(before as usize);
        let start = start.ok_or(contradiction("what is loaded begins before the file"))?;
        let size = match load_end {
            0 => file.len() - start,
            end => end.checked_sub(load).ok_or(contradiction("load_end_addr is below load_addr"))? as usize,
        };
        let bytes = start.checked_add(size).and_then(|end| file.get(start..end)).ok_or(Error::SegmentCut)?;
        let size = match bss_end {
            0 => size as u64,
            end => u64::from(end.checked_sub(load).ok_or(contradiction("bss_end_addr is below load_addr"))?),
        };
        if size < bytes.len() as u64 {
            return Err(contradiction("bss_end_addr is below load_end_addr"));
        }
        Ok(Self { segments: vec![Segment { address: load.into(), bytes, size }], entry: entry.into() })
    }

    /// An ELF file.
    pub(super) fn of_elf(file: &'a [u8]) -> Result<Self, Error> {
        if file.starts_with(ELF_64_BIT) {
            Self::of_class::<elf::FileHeader64<Endianness>>(file)
        } else {
            Self::of_class::<elf::FileHeader32<Endianness>>(file)
        }
    }

    fn of_class<H: FileHeader<Endian = Endianness>>(file: &'a [u8]) -> Result<Self, Error> {
        let no_elf = |error: object::Error| Error::NoElf { reason: error.to_string() };
        let header = H::parse(file).map_err(no_elf)?;
        let endian = header.endian().map_err(no_elf)?;
        let mut entry = header.e_entry(endian).into();
        let mut segments = Vec::new();
        for program in header.program_headers(endian, file).map_err(no_elf)? {
            if program.p_type(endian) != elf::PT_LOAD {
                continue;
            }
            let (virtual_, address): (u64, u64) =
                (program.p_vaddr(endian).into(), program.p_paddr(endian).into());
            let bytes = program.data(endian, file).map_err(|()| Error::SegmentCut)?;
            let size = program.p_memsz(endian).into().max(bytes.len() as u64);
            // An entry is a virtual address, and there is no paging yet.
            let e_entry: u64 = header.e_entry(endian).into();
            if let Some(offset) = e_entry.checked_sub(virtual_).filter(|offset| *offset < size) {
                entry = address.wrapping_add(offset);
            }
            if size > 0 {
                segments.push(Segment { address, bytes, size });
            }
        }
        if segments.is_empty() {
            return Err(Error::Nothing);
        }
        Ok(Self { segments, entry })
    }

    /// The same kernel, entered at another address.
    pub(super) fn entered_at(self, entry: u32) -> Self {
        Self { entry: entry.into(), ..self }
    }

    /// The lowest address that it takes.
    pub(super) fn start(&self) -> u64 {
        self.segments.iter().map(|segment| segment.address).min().unwrap_or(0)
    }

    /// The address after the highest that it takes.
    pub(super) fn end(&self) -> u64 {
        let ends = self.segments.iter().map(|segment| segment.address.saturating_add(segment.size));
        ends.max().unwrap_or(0)
    }

    /// The same kernel, its lowest address at `start`.
    pub(super) fn moved_to(mut self, start: u64) -> Self {
        let by = start.wrapping_sub(self.start());
        for segment in &mut self.segments {
            segment.address = segment.address.wrapping_add(by);
        }
        self.entry = self.entry.wrapping_add(by);
        self
    }

    /// Where it is entered.
    pub(super) fn entry(&self) -> Result<u32, Error> {
        self.entry.try_into().map_err(|_| Error::Entry { entry: self.entry })
    }

    /// Writes it to guest memory, which is zero everywhere else.
    pub(super) fn load(&self, memory: &GuestMemory, room: &mut Room) -> Result<(), BootError> {
        let too_large = || BootError::TooLarge { mib: memory.size() >> 20 };
        for &Segment { address, bytes, size } in &self.segments {
            let end = address.checked_add(size).filter(|end| *end <= memory.size()).ok_or_else(too_large)?;
            if address < layout::HIGH_MEMORY && end > layout::LEGACY_HOLE {
                return Err(Error::Firmware { address }.into());
            }
            memory.regions().write_slice(bytes, GuestAddress(address)).map_err(|_| too_large())?;
            room.claim(address, end);
        }
        Ok(())
    }
}
