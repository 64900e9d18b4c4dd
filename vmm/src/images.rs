//! Executables that run in the guest: where their functions start.

use object::{Object, ObjectSymbol, SymbolKind};

use crate::vcpu::FunctionStarts;

struct Image {
    /// A CR3, or `None` for the kernel's part, that all address spaces share.
    address_space: Option<u64>,
    /// Start and end of each function, in ascending order.
    functions: Vec<(u64, u64)>,
}

/// All images known so far.
#[derive(Default)]
pub struct Images(Vec<Image>);

impl Images {
    /// Takes in the functions of an ELF file; `false` if it is none.
    pub fn add(&mut self, address_space: Option<u64>, elf: &[u8]) -> bool {
        let Ok(file) = object::File::parse(elf) else { return false };
        let mut functions: Vec<_> = file
            .symbols()
            .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0)
            .map(|symbol| (symbol.address(), symbol.address().saturating_add(symbol.size())))
            .collect();
        functions.sort_unstable();
        self.add_functions(address_space, functions);
        true
    }

    /// Takes in functions: start and end of each, in ascending order.
    pub fn add_functions(&mut self, address_space: Option<u64>, functions: Vec<(u64, u64)>) {
        self.0.retain(|image| address_space.is_none() || image.address_space != address_space);
        self.0.push(Image { address_space, functions });
    }
}

impl FunctionStarts for Images {
    fn function_start(&self, cr3: u64, rip: u64) -> Option<u64> {
        let visible = |image: &&Image| image.address_space.is_none_or(|space| space == cr3);
        // What was loaded last is what is there: a module may get the place of one that went.
        self.0.iter().rev().filter(visible).find_map(|image| {
            let after = image.functions.partition_point(|(start, _)| *start <= rip);
            let (start, end) = *image.functions[..after].last()?;
            (rip < end).then_some(start)
        })
    }
}

#[cfg(test)]
mod tests {
    use object::write::{Object as File, StandardSection, Symbol, SymbolSection};
    use object::{Architecture, BinaryFormat, Endianness, SymbolFlags, SymbolScope};

    use super::*;

    const PROCESS: u64 = 0x5000;
    const OTHER_PROCESS: u64 = 0x6000;

    /// An ELF file with functions at these addresses, each with its size.
    fn file(functions: &[(u64, u64)]) -> Vec<u8> {
        let mut file = File::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
        let text = file.section_id(StandardSection::Text);
        for (value, size) in functions {
            file.add_symbol(Symbol {
                name: b"function".to_vec(),
                value: *value,
                size: *size,
                kind: SymbolKind::Text,
                scope: SymbolScope::Linkage,
                weak: false,
                section: SymbolSection::Section(text),
                flags: SymbolFlags::None,
            });
        }
        file.write().unwrap()
    }

    #[test]
    fn a_function_holds_its_first_byte_and_not_the_one_after_its_last() {
        let mut images = Images::default();
        assert!(images.add(None, &file(&[(0x2000, 0x10), (0x1000, 0x20), (0x3000, 0)])));
        let start = |rip| images.function_start(PROCESS, rip);

        assert_eq!(start(0xfff), None);
        assert_eq!(start(0x1000), Some(0x1000));
        assert_eq!(start(0x101f), Some(0x1000));
        assert_eq!(start(0x1020), None);
        assert_eq!(start(0x2008), Some(0x2000));
        assert_eq!(start(0x3000), None, "a symbol without a size");
    }

    #[test]
    fn a_program_is_seen_in_its_address_space_and_the_kernel_in_all() {
        let mut images = Images::default();
        images.add(None, &file(&[(0x8000, 0x10)]));
        images.add(Some(PROCESS), &file(&[(0x1000, 0x10)]));

        assert_eq!(images.function_start(PROCESS, 0x1004), Some(0x1000));
        assert_eq!(images.function_start(OTHER_PROCESS, 0x1004), None);
        assert_eq!(images.function_start(OTHER_PROCESS, 0x8004), Some(0x8000));
    }

    #[test]
    fn a_program_replaces_the_one_before_in_its_address_space() {
        let mut images = Images::default();
        images.add(Some(PROCESS), &file(&[(0x1000, 0x10)]));
        images.add(Some(OTHER_PROCESS), &file(&[(0x1000, 0x20)]));

        images.add(Some(PROCESS), &file(&[(0x2000, 0x10)]));

        assert_eq!(images.function_start(PROCESS, 0x1004), None);
        assert_eq!(images.function_start(PROCESS, 0x2004), Some(0x2000));
        assert_eq!(images.function_start(OTHER_PROCESS, 0x1014), Some(0x1000));
    }

    #[test]
    fn what_is_no_elf_file_is_refused() {
        let mut images = Images::default();

        assert!(!images.add(None, b""));
        assert!(!images.add(None, b"#!/bin/sh\n"));
        assert_eq!(images.function_start(0, 0), None);
    }
}
