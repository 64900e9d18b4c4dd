//! A kernel module's file, made as if it had been linked to where the kernel loaded it: sections and
//! symbols get their addresses, and debug information points there. ELF-64, System V ABI with its x86-64
//! supplement.

use std::collections::HashMap;

/// Where a module says what it is: texts like `name=lab`, each with a NUL at its end.
const INFORMATION: &[u8] = b".modinfo";
/// What a 64-bit little-endian file begins with.
const MAGIC: &[u8] = b"\x7fELF\x02\x01";

/// The name of a module, as its file says it: it may have been renamed. `None` if it says none.
pub fn name(elf: &[u8]) -> Option<String> {
    if !elf.starts_with(MAGIC) {
        return None;
    }
    let file = File(elf);
    let index = *file.sections_by_name().get(INFORMATION)?;
    let Section { offset, size, .. } = file.section(index)?;
    let information = elf.get(usize::try_from(offset).ok()?..)?.get(..usize::try_from(size).ok()?)?;
    let texts = information.split(|byte| *byte == 0);
    let name = texts.filter_map(|text| text.strip_prefix(b"name=")).next()?;
    Some(String::from_utf8_lossy(name).into_owned())
}

/// Sizes of the file's records.
const SECTION: u64 = 64;
const SYMBOL: u64 = 24;
const RELOCATION: u64 = 24;

const SHT_SYMTAB: u64 = 2;
const SHT_RELA: u64 = 4;
const SHF_ALLOC: u64 = 2;
/// The first section number that stands for something else.
const SHN_LORESERVE: u64 = 0xff00;

const R_X86_64_64: u64 = 1;
const R_X86_64_32: u64 = 10;
const R_X86_64_32S: u64 = 11;

/// Length of the longest section name that is looked at: compilers make them of function names.
const NAME_MAX: usize = 1024;

/// A file's words, by offset.
struct File<B>(B);

/// What a section header says.
#[derive(Clone, Copy)]
struct Section {
    kind: u64,
    flags: u64,
    address: u64,
    offset: u64,
    size: u64,
    link: u64,
    info: u64,
}

/// Places the sections of `elf` as `addresses` says: a line each, name and hexadecimal address. `None` if
/// the file is no module, or damaged.
pub fn place(elf: &mut [u8], addresses: &str) -> Option<()> {
    let file = File(&*elf);
    let named = file.sections_by_name();
    let mut places = Vec::new();
    for line in addresses.lines() {
        let (name, address) = line.split_once(' ')?;
        let address = u64::from_str_radix(address.trim().trim_start_matches("0x"), 16).ok()?;
        places.extend(named.get(name.as_bytes()).map(|index| (*index, address)));
    }
    place_sections(elf, &places)
}

/// Places the sections of `elf`, each by its index. `None` if the file is no module, or damaged.
pub fn place_sections(elf: &mut [u8], places: &[(u64, u64)]) -> Option<()> {
    if !elf.starts_with(MAGIC) {
        return None;
    }
    let mut file = File(elf);
    for (index, address) in places {
        file.put(file.header(*index)? + 16, 8, *address)?;
    }
    let sections: Vec<Section> =
        (0..file.sections()?).map(|index| file.section(index)).collect::<Option<_>>()?;
    // Tables that lie over each other, which no linker makes, would be worth hours.
    let tables = sections.iter().filter(|section| matches!(section.kind, SHT_SYMTAB | SHT_RELA));
    if tables.map(|table| u128::from(table.size)).sum::<u128>() > file.0.len() as u128 {
        return None;
    }
    for table in sections.iter().filter(|section| section.kind == SHT_SYMTAB) {
        file.place_symbols(&sections, table)?;
    }
    for relocations in sections.iter().filter(|section| section.kind == SHT_RELA) {
        let target = sections.get(usize::try_from(relocations.info).ok()?)?;
        // Code and data that were loaded need none: nobody reads them here.
        if target.flags & SHF_ALLOC == 0 {
            let symbols = sections.get(usize::try_from(relocations.link).ok()?)?;
            file.relocate(relocations, target, symbols)?;
        }
    }
    Some(())
}

impl<B: AsRef<[u8]>> File<B> {
    fn get(&self, at: u64, size: usize) -> Option<u64> {
        let at = usize::try_from(at).ok()?;
        let bytes = self.0.as_ref().get(at..at.checked_add(size)?)?;
        Some(bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)))
    }

    fn sections(&self) -> Option<u64> {
        self.get(60, 2)
    }

    /// Offset of a section's header.
    fn header(&self, index: u64) -> Option<u64> {
        self.get(40, 8)?.checked_add(index.checked_mul(SECTION)?)
    }

    fn section(&self, index: u64) -> Option<Section> {
        let at = self.header(index)?;
        Some(Section {
            kind: self.get(at + 4, 4)?,
            flags: self.get(at + 8, 8)?,
            address: self.get(at + 16, 8)?,
            offset: self.get(at + 24, 8)?,
            size: self.get(at + 32, 8)?,
            link: self.get(at + 40, 4)?,
            info: self.get(at + 44, 4)?,
        })
    }

    /// The sections, by their names; of equal names, the first.
    fn sections_by_name(&self) -> HashMap<&[u8], u64> {
        let mut named = HashMap::new();
        let names = self.get(62, 2).and_then(|index| self.section(index)).map(|names| names.offset);
        let sections = names.and(self.sections()).unwrap_or(0);
        for index in 0..sections {
            let at = self.header(index).and_then(|at| names?.checked_add(self.get(at, 4)?));
            if let Some(name) = at.and_then(|at| self.text(at)) {
                named.entry(name).or_insert(index);
            }
        }
        named
    }

    /// The bytes before the next NUL, if it comes soon enough for a name.
    fn text(&self, at: u64) -> Option<&[u8]> {
        let text = self.0.as_ref().get(usize::try_from(at).ok()?..)?;
        let end = text.iter().take(NAME_MAX + 1).position(|byte| *byte == 0)?;
        Some(&text[..end])
    }
}

impl File<&mut [u8]> {
    fn put(&mut self, at: u64, size: usize, value: u64) -> Option<()> {
        let at = usize::try_from(at).ok()?;
        let bytes = self.0.get_mut(at..at.checked_add(size)?)?;
        bytes.copy_from_slice(value.to_le_bytes().get(..size)?);
        Some(())
    }

    /// A symbol's value is an offset in its section until here.
    fn place_symbols(&mut self, sections: &[Section], table: &Section) -> Option<()> {
        for index in 0..table.size / SYMBOL {
            let at = table.offset.checked_add(index * SYMBOL)?;
            let section = self.get(at + 6, 2)?;
            if section == 0 || section >= SHN_LORESERVE {
                continue;
            }
            let base = sections.get(usize::try_from(section).ok()?)?.address;
            let value = self.get(at + 8, 8)?;
            self.put(at + 8, 8, value.wrapping_add(base))?;
        }
        Some(())
    }

    fn relocate(&mut self, relocations: &Section, target: &Section, symbols: &Section) -> Option<()> {
        for index in 0..relocations.size / RELOCATION {
            let at = relocations.offset.checked_add(index * RELOCATION)?;
            let (offset, info, addend) = (self.get(at, 8)?, self.get(at + 8, 8)?, self.get(at + 16, 8)?);
            let size = match info & 0xffff_ffff {
                R_X86_64_64 => 8,
                R_X86_64_32 | R_X86_64_32S => 4,
                _ => continue,
            };
            let symbol = symbols.offset.checked_add((info >> 32) * SYMBOL)?;
            let value = self.get(symbol.checked_add(8)?, 8)?.wrapping_add(addend);
            self.put(target.offset.checked_add(offset)?, size, value)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use object::write::{Object as Writer, Relocation, StandardSection, Symbol, SymbolSection};
    use object::{
        Architecture, BinaryFormat, Endianness, Object, ObjectSection, ObjectSymbol, RelocationEncoding,
        RelocationFlags, RelocationKind, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
    };

    use super::*;

    /// A module with function `lab_irq` at 0x10 of `.text`, and debug information that points at it.
    fn module() -> Vec<u8> {
        let mut file = Writer::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
        let text = file.section_id(StandardSection::Text);
        file.append_section_data(text, &[0x90; 0x40], 16);
        let function = file.add_symbol(Symbol {
            name: b"lab_irq".to_vec(),
            value: 0x10,
            size: 0x20,
            kind: SymbolKind::Text,
            scope: SymbolScope::Linkage,
            weak: false,
            section: SymbolSection::Section(text),
            flags: SymbolFlags::None,
        });
        let debug = file.add_section(Vec::new(), b".debug_addr".to_vec(), SectionKind::Debug);
        file.append_section_data(debug, &[0; 8], 8);
        let flags = RelocationFlags::Generic {
            kind: RelocationKind::Absolute,
            encoding: RelocationEncoding::Generic,
            size: 64,
        };
        let relocation = Relocation { offset: 0, symbol: function, addend: 4, flags };
        file.add_relocation(debug, relocation).unwrap();
        file.write().unwrap()
    }

    #[test]
    fn sections_symbols_and_debug_information_get_their_addresses() {
        let mut elf = module();

        place(&mut elf, ".text 0xffffffffc0001000\n.data 0xffffffffc0003000\n").unwrap();

        let file = object::File::parse(&*elf).unwrap();
        assert_eq!(file.section_by_name(".text").unwrap().address(), 0xffff_ffff_c000_1000);
        let symbol = file.symbols().find(|symbol| symbol.name() == Ok("lab_irq")).unwrap();
        assert_eq!(symbol.address(), 0xffff_ffff_c000_1010);
        let debug = file.section_by_name(".debug_addr").unwrap().data().unwrap();
        assert_eq!(debug, 0xffff_ffff_c000_1014_u64.to_le_bytes());
    }

    #[test]
    fn a_module_has_the_name_that_it_says_and_not_its_files() {
        let mut file = Writer::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
        let information = file.add_section(Vec::new(), b".modinfo".to_vec(), SectionKind::ReadOnlyData);
        file.append_section_data(information, b"license=GPL\0filename=no\0name=my_driver\0", 1);

        assert_eq!(name(&file.write().unwrap()).as_deref(), Some("my_driver"));
        assert_eq!(name(&module()), None);
        assert_eq!(name(b"#!/bin/sh"), None);
    }

    #[test]
    fn a_file_whose_sections_all_have_one_name_is_placed_in_time() {
        // 65,535 sections that lie over each other, and a line for each of a quarter million others.
        let mut elf = vec![0; 0x1_0000];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[40] = 64;
        elf[60..62].copy_from_slice(&[0xff, 0xff]);
        let began = std::time::Instant::now();
        // What it gives is of no interest.
        let _ = place(&mut elf, &"a 0\n".repeat(0x4_0000));
        assert_eq!(name(&elf), None);
        assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
    }

    #[test]
    fn tables_that_lie_over_each_other_are_refused() {
        let mut elf = module();
        let tables = |elf: &[u8]| {
            let kind =
                |index: usize| u32::from_le_bytes(elf[header(elf, index) + 4..][..4].try_into().unwrap());
            (0..elf[60].into()).find(|index| kind(*index) == 2).unwrap()
        };
        fn header(elf: &[u8], index: usize) -> usize {
            u64::from_le_bytes(elf[40..48].try_into().unwrap()) as usize + index * 64
        }
        let at = header(&elf, tables(&elf)) + 32;
        let length = elf.len() as u64 + 1;
        elf[at..at + 8].copy_from_slice(&length.to_le_bytes());
        assert_eq!(place(&mut elf, ".text 0x1000\n"), None);
    }

    #[test]
    fn no_truncated_or_damaged_module_panics() {
        let whole = module();
        for length in 0..whole.len() {
            // What it gives is of no interest.
            let _ = place(&mut whole[..length].to_vec(), ".text 0x1000\n");
        }
        for offset in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[offset] = 0xff;
            let _ = place(&mut damaged, ".text 0x1000\n");
        }
        assert_eq!(place(&mut b"#!/bin/sh".to_vec(), ""), None);
    }
}
