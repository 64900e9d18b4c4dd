//! Guests of a few instructions, for what no well-behaved kernel does.

use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, dword_ptr, dx, eax, edi, edx};
use object::endian::Endianness;
use object::write::elf::{FileHeader, ProgramHeader, Writer};
use object::{Object, ObjectSegment, elf};

use crate::Error;

/// Where the code is loaded and entered.
pub const ENTRY: u64 = 0x10_0000;

const NOTE_SIZE: u64 = 20;

/// An ELF file with a PVH note whose entry is `code`: 32-bit protected mode, no paging, EBX pointing at
/// the start info.
///
/// # Errors
/// If the code can't be assembled.
pub fn assemble(code: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Result<Vec<u8>, Error> {
    let mut assembler = CodeAssembler::new(32)?;
    code(&mut assembler)?;
    elf_file(&assembler.assemble(ENTRY)?)
}

/// The same around code that is assembled already.
///
/// # Errors
/// If the file can't be written.
pub fn elf_file(code: &[u8]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let mut writer = Writer::new(Endianness::Little, true, &mut bytes);
    writer.reserve_file_header();
    writer.reserve_program_headers(2);
    let note_offset = writer.reserve(NOTE_SIZE, 4);
    let code_offset = writer.reserve(code.len() as u64, 16);

    writer.write_file_header(&FileHeader {
        os_abi: elf::ELFOSABI_NONE,
        abi_version: 0,
        e_type: elf::ET_EXEC,
        e_machine: elf::EM_X86_64,
        e_entry: ENTRY,
        e_flags: elf::FileFlags(0),
    })?;
    writer.write_align_program_headers();
    let segment = |p_type, p_flags, p_offset, address, size| ProgramHeader {
        p_type,
        p_flags,
        p_offset,
        p_vaddr: address,
        p_paddr: address,
        p_filesz: size,
        p_memsz: size,
        p_align: 4,
    };
    writer.write_program_header(&segment(elf::PT_NOTE, elf::PF_R, note_offset, 0, NOTE_SIZE));
    let size = code.len() as u64;
    writer.write_program_header(&segment(elf::PT_LOAD, elf::PF_R | elf::PF_X, code_offset, ENTRY, size));
    writer.write_align(4);
    writer.write(&pvh_note());
    writer.write_align(16);
    writer.write(code);
    Ok(bytes)
}

/// Writes a register in configuration space of function 0 of `device` on bus 0; uses EAX and EDX.
///
/// # Errors
/// If it can't be assembled.
pub fn configure(a: &mut CodeAssembler, device: u32, register: u32, value: u32) -> Result<(), IcedError> {
    a.mov(edx, 0xcf8)?;
    a.mov(eax, 0x8000_0000 | device << 11 | register)?;
    a.out(dx, eax)?;
    a.mov(edx, 0xcfc)?;
    a.mov(eax, value)?;
    a.out(dx, eax)
}

/// Writes a word of memory or of a device; uses EDI.
///
/// # Errors
/// If it can't be assembled.
pub fn store(a: &mut CodeAssembler, address: u32, value: u32) -> Result<(), IcedError> {
    a.mov(edi, address)?;
    a.mov(dword_ptr(edi), value as i32)
}

/// The code of a file that [`elf_file`] made.
///
/// # Errors
/// If it is another file.
pub fn code_of(elf: &[u8]) -> Result<Vec<u8>, Error> {
    let file = object::File::parse(elf)?;
    let segment = file.segments().next().map_or(Ok(&[][..]), |segment| segment.data())?;
    Ok(segment.to_vec())
}

/// XEN_ELFNOTE_PHYS32_ENTRY: name size, descriptor size, type, name, 32-bit entry.
fn pvh_note() -> Vec<u8> {
    let mut note = Vec::new();
    for word in [4, 4, 18] {
        note.extend_from_slice(&u32::to_le_bytes(word));
    }
    note.extend_from_slice(b"Xen\0");
    note.extend_from_slice(&(ENTRY as u32).to_le_bytes());
    note
}
