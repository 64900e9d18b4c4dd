//! A kernel module's file, made as if it had been linked to where the kernel loaded it: sections and
//! symbols get their addresses, and debug information points there. ELF-64, System V ABI with its x86-64
//! supplement.
//!
//! In place, by the crate `object`'s types of what is in the file: one that links would move sections, and copy megabytes
//! of debug information that keeps its size.

use std::collections::HashMap;
use std::ops::Range;

use object::elf::{self, FileHeader64, Rela64, SectionHeader64, Sym64};
use object::pod::{Pod, slice_from_bytes, slice_from_bytes_mut};
use object::read::elf::{FileHeader, SectionHeader};
use object::{LittleEndian as LE, U64};

/// Where a module says what it is: texts like `name=lab`, each with a NUL at its end.
const INFORMATION: &[u8] = b".modinfo";

/// Length of the longest section name that is looked at: compilers make them of function names.
const NAME_MAX: usize = 1024;

type Header = FileHeader64<LE>;
type Section = SectionHeader64<LE>;
type Symbol = Sym64<LE>;
type Relocation = Rela64<LE>;

/// The name of a module, as its file says it: it may have been renamed. `None` if it says none.
pub fn name(elf: &[u8]) -> Option<String> {
    information(elf, b"name=")
}

/// The names of the modules that a module needs, as its file says it.
pub fn needs(elf: &[u8]) -> Vec<String> {
    let needed = information(elf, b"depends=").unwrap_or_default();
    needed.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// What a module says of itself after `key`. `None` if it doesn't say that.
fn information(elf: &[u8], key: &[u8]) -> Option<String> {
    let sections = sections(elf)?;
    let index = *by_name(elf, sections).get(INFORMATION)?;
    let information = sections[index].data(LE, elf).ok()?;
    let texts = information.split(|byte| *byte == 0);
    let text = texts.filter_map(|text| text.strip_prefix(key)).next()?;
    Some(String::from_utf8_lossy(text).into_owned())
}

/// Places the sections of `elf` as `addresses` says: a line each, name and hexadecimal address. `None` if
/// the file is no module, or damaged.
pub fn place(elf: &mut [u8], addresses: &str) -> Option<()> {
    let named = by_name(elf, sections(elf)?);
    let mut places = Vec::new();
    for line in addresses.lines() {
        let (name, address) = line.split_once(' ')?;
        let address = u64::from_str_radix(address.trim().trim_start_matches("0x"), 16).ok()?;
        places.extend(named.get(name.as_bytes()).map(|index| (*index as u64, address)));
    }
    place_sections(elf, &places)
}

/// Places the sections of `elf`, each by its index. `None` if the file is no module, or damaged.
pub fn place_sections(elf: &mut [u8], places: &[(u64, u64)]) -> Option<()> {
    let mut sections = sections(elf)?.to_vec();
    for (index, address) in places {
        sections.get_mut(usize::try_from(*index).ok()?)?.sh_addr = U64::new(LE, *address);
    }
    let headers = usize::try_from(Header::parse(&*elf).ok()?.e_shoff(LE)).ok()?;
    slice_from_bytes_mut(elf.get_mut(headers..)?, sections.len()).ok()?.0.copy_from_slice(&sections);

    let of_kind = |kind| sections.iter().filter(move |section| section.sh_type.get(LE) == kind);
    // Tables that lie over each other, which no linker makes, would be worth hours.
    let tables = of_kind(elf::SHT_SYMTAB).chain(of_kind(elf::SHT_RELA));
    if tables.map(|table| u128::from(table.sh_size.get(LE))).sum::<u128>() > elf.len() as u128 {
        return None;
    }
    for table in of_kind(elf::SHT_SYMTAB) {
        place_symbols(elf, table, &sections)?;
    }
    for table in of_kind(elf::SHT_RELA) {
        let target = sections.get(table.sh_info.get(LE) as usize)?;
        let flags = target.sh_flags.get(LE).0;
        // Code and data that were loaded need none: nobody reads them here. What is compressed has other offsets.
        if flags & (elf::SHF_ALLOC.0 | elf::SHF_COMPRESSED.0) == 0 {
            let symbols = sections.get(table.sh_link.get(LE) as usize)?;
            for relocation in entries::<Relocation>(elf, table)?.to_vec() {
                relocate(elf, &relocation, target, symbols)?;
            }
        }
    }
    Some(())
}

/// A symbol's value is an offset in its section until here.
fn place_symbols(elf: &mut [u8], table: &Section, sections: &[Section]) -> Option<()> {
    let bytes = elf.get_mut(range(table)?)?;
    let count = bytes.len() / size_of::<Symbol>();
    for symbol in slice_from_bytes_mut::<Symbol>(bytes, count).ok()?.0 {
        let section = symbol.st_shndx.get(LE);
        if !section.is_special() {
            let base = sections.get(usize::from(section.0))?.sh_addr.get(LE);
            symbol.st_value = U64::new(LE, symbol.st_value.get(LE).wrapping_add(base));
        }
    }
    Some(())
}

fn relocate(elf: &mut [u8], relocation: &Relocation, target: &Section, symbols: &Section) -> Option<()> {
    let size = match relocation.r_type(LE, false) {
        elf::R_X86_64_64 => 8,
        elf::R_X86_64_32 | elf::R_X86_64_32S => 4,
        _ => return Some(()),
    };
    let symbol = entries::<Symbol>(elf, symbols)?.get(relocation.r_sym(LE, false) as usize)?;
    let value = symbol.st_value.get(LE).wrapping_add_signed(relocation.r_addend.get(LE));
    let offset = usize::try_from(relocation.r_offset.get(LE)).ok()?;
    let place = elf.get_mut(range(target)?)?.get_mut(offset..offset.checked_add(size)?)?;
    place.copy_from_slice(value.to_le_bytes().get(..size)?);
    Some(())
}

/// The section headers of a 64-bit little-endian file.
fn sections(elf: &[u8]) -> Option<&[Section]> {
    let header = Header::parse(elf).ok()?;
    header.endian().ok()?;
    header.section_headers(LE, elf).ok()
}

/// The sections, by their names; of equal names, the first.
fn by_name<'a>(elf: &'a [u8], sections: &[Section]) -> HashMap<&'a [u8], usize> {
    let mut named = HashMap::new();
    let names = || {
        let index = Header::parse(elf).ok()?.shstrndx(LE, elf).ok()?;
        sections.get(index as usize)?.data(LE, elf).ok()
    };
    let names: &[u8] = names().unwrap_or_default();
    for (index, section) in sections.iter().enumerate() {
        if let Some(name) = text(names, section.sh_name.get(LE) as usize) {
            named.entry(name).or_insert(index);
        }
    }
    named
}

/// The bytes before the next NUL, if it comes soon enough for a name.
fn text(names: &[u8], at: usize) -> Option<&[u8]> {
    let text = names.get(at..)?;
    let end = text.iter().take(NAME_MAX + 1).position(|byte| *byte == 0)?;
    Some(&text[..end])
}

/// The records in a section, as many as are whole.
fn entries<'a, T: Pod>(elf: &'a [u8], section: &Section) -> Option<&'a [T]> {
    let bytes = elf.get(range(section)?)?;
    Some(slice_from_bytes(bytes, bytes.len() / size_of::<T>()).ok()?.0)
}

/// Where a section is in the file.
fn range(section: &Section) -> Option<Range<usize>> {
    let (offset, size) = section.file_range(LE)?;
    let start = usize::try_from(offset).ok()?;
    Some(start..start.checked_add(usize::try_from(size).ok()?)?)
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
        // 65,000 sections, whose one name has no end, and a line for each of a quarter million others.
        const SECTIONS: u16 = 65_000;
        const NAMES: u32 = 24 << 20;
        let mut elf = vec![b'a'; NAMES as usize];
        elf[..64].fill(0);
        elf[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        elf[40] = 64;
        elf[58] = 64;
        elf[60..62].copy_from_slice(&SECTIONS.to_le_bytes());
        elf[62] = 1;
        for header in elf[64..].chunks_exact_mut(64).take(SECTIONS.into()) {
            header[..4].copy_from_slice(&0x0101_0101_u32.to_le_bytes());
        }
        // The second one holds the names: all of the file.
        elf[128 + 4..128 + 40].fill(0);
        elf[128 + 4] = 3;
        elf[128 + 32..128 + 36].copy_from_slice(&NAMES.to_le_bytes());
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
