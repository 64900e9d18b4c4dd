//! A module's file: its name, its sections and what they refer to.

use std::io::{self, Read as _};

use object::{
    Object, ObjectSection, ObjectSymbol, RelocationFlags, RelocationTarget, SectionFlags, SectionIndex, elf,
};

use crate::kernel_module;

/// The section that is the kernel's `struct module`.
const THIS_MODULE: &str = ".gnu.linkonce.this_module";
/// How the names begin of what only `init` needs.
const INIT: &str = ".init";
/// What Linux puts elsewhere: a copy for each CPU.
const PER_CPU: &str = ".data..percpu";

/// A module that a guest got.
pub struct ModuleFile {
    /// Its name, as the kernel knows it.
    pub name: String,
    /// The whole file.
    pub elf: Vec<u8>,
    /// The index of `struct module` among the sections.
    pub this_module: usize,
    /// Sections by their index.
    pub sections: Vec<Section>,
}

/// A section that is loaded, or isn't.
#[derive(Clone, Default)]
pub struct Section {
    /// It is loaded, once.
    pub is_loaded: bool,
    /// Code that stays: neither data nor what only `init` needs.
    pub is_core_code: bool,
    /// Its alignment in bytes; a power of two.
    pub alignment: u64,
    /// Size in bytes.
    pub size: u64,
    /// What it refers to.
    pub references: Vec<Reference>,
}

/// A word in a section that holds the address of something in another one.
#[derive(Clone, Copy)]
pub struct Reference {
    /// Where the word is.
    pub offset: u64,
    /// How it holds the address.
    pub kind: Kind,
    /// The other section.
    pub section: usize,
    /// What is to be added to that section's address.
    pub addend: u64,
}

/// How a word holds an address: System V ABI, x86-64 supplement, "Relocation Types".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 64 bits.
    Whole,
    /// 32 bits, extended by zeros.
    Low,
    /// 32 bits, extended by their sign.
    LowSigned,
    /// 32 bits: how far it is from the word itself.
    Relative,
}

impl ModuleFile {
    /// `None` if it isn't a module.
    pub fn parse(elf: Vec<u8>) -> Option<Self> {
        let file = object::File::parse(&*elf).ok()?;
        let name = kernel_module::name(&elf)?;
        let this_module = file.section_by_name(THIS_MODULE)?.index().0;
        let mut sections = Vec::new();
        for section in file.sections() {
            let index = section.index().0;
            if index >= sections.len() {
                sections.resize(index + 1, Section::default());
            }
            let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
            let has = |flag: elf::SectionFlags| sh_flags.0 & flag.0 != 0;
            let section_name = section.name().unwrap_or_default();
            let is_loaded = has(elf::SHF_ALLOC) && section_name != PER_CPU;
            sections[index] = Section {
                is_loaded,
                is_core_code: is_loaded && has(elf::SHF_EXECINSTR) && !section_name.starts_with(INIT),
                alignment: section.align().max(1),
                size: section.size(),
                references: section.relocations().filter_map(|found| reference(&file, found)).collect(),
            };
        }
        Some(Self { name, this_module, sections, elf })
    }
}

fn reference(file: &object::File<'_>, (offset, relocation): (u64, object::Relocation)) -> Option<Reference> {
    let RelocationFlags::Elf { r_type } = relocation.flags() else { return None };
    let kind = match r_type {
        elf::R_X86_64_64 => Kind::Whole,
        elf::R_X86_64_32 => Kind::Low,
        elf::R_X86_64_32S => Kind::LowSigned,
        elf::R_X86_64_PC32 | elf::R_X86_64_PLT32 => Kind::Relative,
        _ => return None,
    };
    let RelocationTarget::Symbol(symbol) = relocation.target() else { return None };
    let symbol = file.symbol_by_index(symbol).ok()?;
    let SectionIndex(section) = symbol.section_index()?;
    let addend = symbol.address().wrapping_add(relocation.addend() as u64);
    Some(Reference { offset, kind, section, addend })
}

/// The modules in a first file system that is a plain archive; none in any other.
pub fn all_in(initramfs: &[u8]) -> Vec<ModuleFile> {
    let mut modules = Vec::new();
    let mut rest = io::Cursor::new(initramfs);
    while let Ok(mut file) = cpio::newc::Reader::new(rest) {
        if file.entry().is_trailer() {
            break;
        }
        if file.entry().name().ends_with(".ko") {
            let mut content = Vec::new();
            if file.read_to_end(&mut content).is_ok() {
                modules.extend(ModuleFile::parse(content));
            }
        }
        match file.finish() {
            Ok(after) => rest = after,
            Err(_) => break,
        }
    }
    modules
}
