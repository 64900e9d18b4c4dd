//! Files of multiboot kernels.

use anyhow::Result;
use object::elf;
use object::endian::Endianness;
use object::write::elf::{FileHeader, ProgramHeader, Writer};

/// Where a kernel is loaded: its header, and 256 bytes after it its first instruction.
pub const LOADED: u32 = 0x10_0000;
pub const ENTRY: u32 = LOADED + HEADER as u32;
const HEADER: usize = 0x100;
/// Zeroes behind the file's content.
const BSS: u32 = 0x1000;
/// What an image without program headers has before its header.
const BEFORE: usize = 0x40;

/// How a file says where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Elf32,
    Elf64,
    /// No ELF file: addresses in the header.
    Addresses,
}

/// A tag of a Multiboot2 header: type, flags, words.
pub type Tag<'a> = (u16, u16, &'a [u32]);

/// A kernel of version 1 whose first instruction is that of `code`.
pub fn version_1(form: Form, code: &[u8]) -> Result<Vec<u8>> {
    const MAGIC: u32 = 0x1bad_b002;
    /// Pages for modules, memory sizes, and addresses in the header.
    const FLAGS: u32 = 0b11;
    const ADDRESSES: u32 = 1 << 16;
    let end = LOADED + (HEADER + code.len()) as u32;
    let flags = FLAGS | if form == Form::Addresses { ADDRESSES } else { 0 };
    let checksum = 0_u32.wrapping_sub(MAGIC).wrapping_sub(flags);
    let words = [MAGIC, flags, checksum, LOADED, LOADED, end, end + BSS, ENTRY];
    file(form, words.map(u32::to_le_bytes).as_flattened(), code)
}

/// A kernel of version 2 with these tags.
pub fn version_2(form: Form, tags: &[Tag<'_>], code: &[u8]) -> Result<Vec<u8>> {
    const MAGIC: u32 = 0xe852_50d6;
    let end = LOADED + (HEADER + code.len()) as u32;
    let addresses = [LOADED, LOADED, end, end + BSS];
    let mut all = tags.to_vec();
    if form == Form::Addresses {
        all.extend([(2, 0, &addresses[..]), (3, 0, &[ENTRY])]);
    }
    all.push((0, 0, &[]));
    let mut header = vec![0; 16];
    for (kind, flags, words) in all {
        header.extend([kind, flags].map(u16::to_le_bytes).as_flattened());
        header.extend((8 + 4 * words.len() as u32).to_le_bytes());
        header.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        header.resize(header.len().next_multiple_of(8), 0);
    }
    let length = header.len() as u32;
    let checksum = 0_u32.wrapping_sub(MAGIC).wrapping_sub(length);
    for (at, word) in [(0, MAGIC), (8, length), (12, checksum)] {
        header[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }
    file(form, &header, code)
}

fn file(form: Form, header: &[u8], code: &[u8]) -> Result<Vec<u8>> {
    let mut content = header.to_vec();
    content.resize(HEADER, 0);
    content.extend(code);
    let is_64 = match form {
        Form::Addresses => return Ok([vec![0xcc; BEFORE], content].concat()),
        Form::Elf32 => false,
        Form::Elf64 => true,
    };
    let mut bytes = Vec::new();
    let mut writer = Writer::new(Endianness::Little, is_64, &mut bytes);
    writer.reserve_file_header();
    writer.reserve_program_headers(1);
    let size = content.len() as u64;
    let offset = writer.reserve(size, HEADER as u64);
    writer.write_file_header(&FileHeader {
        os_abi: elf::ELFOSABI_NONE,
        abi_version: 0,
        e_type: elf::ET_EXEC,
        e_machine: if is_64 { elf::EM_X86_64 } else { elf::EM_386 },
        e_entry: ENTRY.into(),
        e_flags: elf::FileFlags(0),
    })?;
    writer.write_align_program_headers();
    writer.write_program_header(&ProgramHeader {
        p_type: elf::PT_LOAD,
        p_flags: elf::PF_R | elf::PF_W | elf::PF_X,
        p_offset: offset,
        p_vaddr: LOADED.into(),
        p_paddr: LOADED.into(),
        p_filesz: size,
        p_memsz: size + u64::from(BSS),
        p_align: HEADER as u64,
    });
    writer.write_align(HEADER as u64);
    writer.write(&content);
    Ok(bytes)
}
