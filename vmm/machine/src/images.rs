//! Executables that run in the guest: which of them holds an address, and where its functions start.

use std::sync::Arc;

use barscope_trace::event::Id;
use barscope_x86::FunctionStarts;
use object::{Object, ObjectKind, ObjectSection, ObjectSegment, ObjectSymbol, SectionKind, SymbolKind};

/// More functions than any executable has.
const MOST: usize = 1 << 20;

/// Code by address: where it is, and where its functions start.
#[derive(Clone, Default)]
pub struct Code {
    /// Start and end of each part.
    ranges: Vec<(u64, u64)>,
    /// Start and end of each function, in ascending order.
    functions: Vec<(u64, u64)>,
}

impl Code {
    /// That of an ELF file, at the addresses that it says; `None` if it is none.
    pub fn of(elf: &[u8]) -> Option<Self> {
        let file = object::File::parse(elf).ok()?;
        let range = |start: u64, size: u64| (start, start.saturating_add(size));
        let ranges = match file.kind() {
            // A module has no segments: the kernel placed its sections one by one.
            ObjectKind::Relocatable => file
                .sections()
                .filter(|section| section.kind() == SectionKind::Text && section.address() != 0)
                .map(|section| range(section.address(), section.size()))
                .collect(),
            _ => file.segments().map(|segment| range(segment.address(), segment.size())).collect(),
        };
        // A stripped library still says what others may call.
        let symbols = if file.symbol_table().is_some() { file.symbols() } else { file.dynamic_symbols() };
        let mut functions: Vec<_> = symbols
            .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0)
            .map(|symbol| range(symbol.address(), symbol.size()))
            .take(MOST)
            .collect();
        functions.sort_unstable();
        Some(Self { ranges, functions })
    }

    /// Functions, start and end of each in ascending order, and nothing between them.
    pub fn functions(functions: Vec<(u64, u64)>) -> Self {
        Self { ranges: Vec::new(), functions }
    }

    /// Whether `address` lies in it. What names nothing holds nothing: names for it may still come.
    fn holds(&self, address: u64) -> bool {
        self.function(address).is_some() || (!self.functions.is_empty() && self.covers_address(address))
    }

    fn covers_address(&self, address: u64) -> bool {
        self.ranges.iter().any(|(start, end)| (*start..*end).contains(&address))
    }

    fn function(&self, address: u64) -> Option<u64> {
        let after = self.functions.partition_point(|(start, _)| *start <= address);
        let (start, end) = *self.functions[..after].last()?;
        (address < end).then_some(start)
    }

    /// Whether it has every function of `other`.
    pub fn covers(&self, other: &Code) -> bool {
        other.functions.iter().all(|function| self.functions.binary_search(function).is_ok())
    }
}

/// A file that a process maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// Its definition in the trace.
    pub file: Id,
    /// What is to be added to the file's addresses.
    pub bias: u64,
}

struct Image {
    /// Its definition in the trace.
    id: Id,
    /// A CR3, or `None` for the kernel's part, that all address spaces share.
    address_space: Option<u64>,
    code: Arc<Code>,
    /// The file, if it is one that a process maps: it is there, whether it names something or not.
    mapped: Option<Mapped>,
}

impl Image {
    fn in_file(&self, rip: u64) -> u64 {
        rip.wrapping_sub(self.mapped.map_or(0, |mapped| mapped.bias))
    }

    fn holds(&self, rip: u64) -> bool {
        let address = self.in_file(rip);
        self.code.holds(address) || (self.mapped.is_some() && self.code.covers_address(address))
    }
}

/// The images that are in the guest now. One that came later holds what an earlier one held.
#[derive(Default)]
pub struct Images(Vec<Image>);

impl Images {
    /// Takes in an image.
    pub fn add(&mut self, id: Id, address_space: Option<u64>, code: Code) {
        self.0.retain(|image| address_space.is_none() || image.address_space != address_space);
        self.0.push(Image { id, address_space, code: Arc::new(code), mapped: None });
    }

    /// Takes in a file that a process maps, beside others that it does.
    pub fn map(&mut self, id: Id, address_space: u64, code: Arc<Code>, mapped: Mapped) {
        self.0.push(Image { id, address_space: Some(address_space), code, mapped: Some(mapped) });
    }

    /// Drops what an address space has beside these files; those of them that it hasn't yet.
    pub fn keep(&mut self, address_space: u64, files: &[Mapped]) -> Vec<Mapped> {
        let is_one = |image: &Image| image.mapped.is_some_and(|mapped| files.contains(&mapped));
        self.0.retain(|image| image.address_space != Some(address_space) || is_one(image));
        let known = self.0.iter().filter(|image| image.address_space == Some(address_space));
        let known: Vec<_> = known.filter_map(|image| image.mapped).collect();
        files.iter().filter(|file| !known.contains(file)).copied().collect()
    }

    /// The image went.
    pub fn remove(&mut self, id: Id) {
        self.0.retain(|image| image.id != id);
    }

    /// An address space is another process's from here on: its images went.
    pub fn clear(&mut self, address_space: u64) {
        self.0.retain(|image| image.address_space != Some(address_space));
    }

    /// The image that holds `rip` in address space `cr3`.
    pub fn at(&self, cr3: u64, rip: u64) -> Option<Id> {
        self.image(cr3, rip).map(|image| image.id)
    }

    /// The code of an image.
    pub fn code(&self, id: Id) -> Option<&Code> {
        self.0.iter().find(|image| image.id == id).map(|image| &*image.code)
    }

    fn image(&self, cr3: u64, rip: u64) -> Option<&Image> {
        let visible = |image: &&Image| image.address_space.is_none_or(|space| space == cr3);
        self.0.iter().rev().filter(visible).find(|image| image.holds(rip))
    }
}

impl FunctionStarts for Images {
    fn function_start(&self, cr3: u64, rip: u64) -> Option<u64> {
        let image = self.image(cr3, rip)?;
        let in_file = image.in_file(rip);
        Some(rip.wrapping_sub(in_file - image.code.function(in_file)?))
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
    fn file(functions: &[(u64, u64)]) -> Code {
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
        Code::of(&file.write().unwrap()).unwrap()
    }

    #[test]
    fn a_function_holds_its_first_byte_and_not_the_one_after_its_last() {
        let mut images = Images::default();
        images.add(1, None, file(&[(0x2000, 0x10), (0x1000, 0x20), (0x3000, 0)]));
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
        images.add(1, None, file(&[(0x8000, 0x10)]));
        images.add(2, Some(PROCESS), file(&[(0x1000, 0x10)]));

        assert_eq!(images.function_start(PROCESS, 0x1004), Some(0x1000));
        assert_eq!(images.function_start(OTHER_PROCESS, 0x1004), None);
        assert_eq!(images.function_start(OTHER_PROCESS, 0x8004), Some(0x8000));
    }

    #[test]
    fn a_program_replaces_the_one_before_in_its_address_space() {
        let mut images = Images::default();
        images.add(1, Some(PROCESS), file(&[(0x1000, 0x10)]));
        images.add(2, Some(OTHER_PROCESS), file(&[(0x1000, 0x20)]));

        images.add(3, Some(PROCESS), file(&[(0x2000, 0x10)]));

        assert_eq!(images.at(PROCESS, 0x1004), None);
        assert_eq!(images.at(PROCESS, 0x2004), Some(3));
        assert_eq!(images.at(OTHER_PROCESS, 0x1014), Some(2));
        images.clear(OTHER_PROCESS);
        assert_eq!(images.at(OTHER_PROCESS, 0x1014), None);
    }

    #[test]
    fn a_module_takes_the_place_of_the_one_before_until_it_goes_itself() {
        let mut images = Images::default();
        images.add(1, None, file(&[(0x1000, 0x10), (0x2000, 0x10)]));
        images.add(2, None, file(&[(0x1000, 0x20)]));

        assert_eq!([0x1004, 0x1014, 0x2004].map(|rip| images.at(0, rip)), [Some(2), Some(2), Some(1)]);
        images.remove(1);
        assert_eq!([0x1004, 0x1014, 0x2004].map(|rip| images.at(0, rip)), [Some(2), Some(2), None]);
    }

    #[test]
    fn what_names_nothing_hides_nothing() {
        let mut images = Images::default();
        images.add(1, None, file(&[(0x1000, 0x10)]));
        images.add(2, None, file(&[]));

        assert_eq!(images.at(0, 0x1004), Some(1));
    }

    #[test]
    fn a_mapped_file_is_seen_where_its_address_space_has_it_until_it_is_mapped_no_more() {
        let mut images = Images::default();
        let [program, library] =
            [(1, 0x5555_0000_0000), (2, 0x7fff_0000_0000)].map(|(file, bias)| Mapped { file, bias });
        assert_eq!(images.keep(PROCESS, &[program, library]), [program, library]);
        images.map(11, PROCESS, Arc::new(file(&[(0x1000, 0x10)])), program);
        images.map(12, PROCESS, Arc::new(file(&[(0x1000, 0x10)])), library);

        assert_eq!(images.at(PROCESS, 0x5555_0000_1004), Some(11));
        assert_eq!(images.at(PROCESS, 0x7fff_0000_1004), Some(12));
        assert_eq!(images.function_start(PROCESS, 0x7fff_0000_1004), Some(0x7fff_0000_1000));
        assert_eq!(images.at(OTHER_PROCESS, 0x5555_0000_1004), None);
        assert_eq!(images.at(PROCESS, 0x1004), None);

        let moved = Mapped { bias: 0x1_0000, ..library };
        assert_eq!(images.keep(PROCESS, &[program, moved]), [moved]);
        assert_eq!([0x5555_0000_1004, 0x7fff_0000_1004].map(|rip| images.at(PROCESS, rip)), [Some(11), None]);
    }

    #[test]
    fn what_is_no_elf_file_is_refused() {
        assert!(Code::of(b"").is_none());
        assert!(Code::of(b"#!/bin/sh\n").is_none());
    }
}
