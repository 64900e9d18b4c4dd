//! A kernel's list of modules in memory that is made by hand.

use std::cell::RefCell;
use std::collections::BTreeMap;

use object::write::{
    Object as Writer, Relocation, SectionId, StandardSection, Symbol, SymbolId, SymbolSection,
};
use object::{
    Architecture, BinaryFormat, Endianness, Object, ObjectSymbol, RelocationEncoding, RelocationFlags,
    RelocationKind, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
};

use super::*;

const HEAD: u64 = 0xffff_ffff_8200_0000;
/// Where modules have their sections, as the tests have the kernel choose.
const TEXT: u64 = 0xffff_ffff_c000_0000;
const INIT: u64 = 0xffff_ffff_c010_0000;
const MODULE: u64 = 0xffff_ffff_c000_3000;

/// Guest memory by address.
#[derive(Default)]
struct Memory(RefCell<BTreeMap<u64, u8>>);

impl Memory {
    fn write(&self, address: u64, bytes: &[u8]) {
        self.0.borrow_mut().extend((address..).zip(bytes.iter().copied()));
    }

    fn read(&self, address: u64, data: &mut [u8]) -> bool {
        let bytes = self.0.borrow();
        (address..).zip(data).all(|(at, byte)| {
            bytes.get(&at).is_some_and(|held| {
                *byte = *held;
                true
            })
        })
    }

    /// The list holds modules whose structures are here, in this order.
    fn link(&self, modules: &[(u64, &str)]) {
        let entries: Vec<u64> = modules.iter().map(|(address, _)| address + 8).collect();
        let mut ring = vec![HEAD];
        ring.extend(&entries);
        for (at, entry) in ring.iter().enumerate() {
            let next = ring[(at + 1) % ring.len()];
            let before = ring[(at + ring.len() - 1) % ring.len()];
            self.write(*entry, &[next.to_le_bytes(), before.to_le_bytes()].concat());
        }
        for (address, name) in modules {
            let mut padded = name.as_bytes().to_vec();
            padded.resize(NAME_LENGTH, 0);
            self.write(address + 24, &padded);
        }
    }

    /// What loading the module of [`file`] leaves: a pointer to its `init`, and the call in that.
    fn load(&self, module: u64, init: u64, text: u64) {
        self.write(module + 0x100, &init.to_le_bytes());
        let distance = (text + 0x10).wrapping_sub(init + 9) as i32;
        self.write(init + 5, &distance.to_le_bytes());
    }
}

/// Whether code at `rip` has to be looked at again.
fn may_have_changed(modules: &Modules, read: Read<'_>, rip: u64, image: Option<Id>) -> bool {
    !modules.unchanged(rip, image).is_some_and(|unchanged| unchanged.holds(read))
}

fn function(file: &mut Writer<'_>, name: &str, section: SectionId, value: u64) -> SymbolId {
    file.add_symbol(Symbol {
        name: name.as_bytes().to_vec(),
        value,
        size: 0x10,
        kind: SymbolKind::Text,
        scope: SymbolScope::Linkage,
        weak: false,
        section: SymbolSection::Section(section),
        flags: SymbolFlags::None,
    })
}

/// A module whose `init`, in a section of its own, calls `read_id`, at 0x10 in `.text`.
fn file(name: &str) -> ModuleFile {
    let mut file = Writer::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let text = file.section_id(StandardSection::Text);
    file.append_section_data(text, &[0x90; 0x20], 16);
    let init = file.add_section(Vec::new(), b".init.text".to_vec(), SectionKind::Text);
    file.append_section_data(init, &[0x90; 0x20], 16);
    let this_module = b".gnu.linkonce.this_module".to_vec();
    let this_module = file.add_section(Vec::new(), this_module, SectionKind::Data);
    file.append_section_data(this_module, &[0; 0x200], 64);
    let information = file.add_section(Vec::new(), b".modinfo".to_vec(), SectionKind::ReadOnlyData);
    file.append_section_data(information, format!("license=GPL\0name={name}\0").as_bytes(), 1);
    let read_id = function(&mut file, "read_id", text, 0x10);
    let init_module = function(&mut file, "init_module", init, 0);
    let flags = |kind, encoding, size| RelocationFlags::Generic { kind, encoding, size };
    let whole = flags(RelocationKind::Absolute, RelocationEncoding::Generic, 64);
    let relocation = Relocation { offset: 0x100, symbol: init_module, addend: 0, flags: whole };
    file.add_relocation(this_module, relocation).unwrap();
    let call = flags(RelocationKind::PltRelative, RelocationEncoding::X86Branch, 32);
    let relocation = Relocation { offset: 5, symbol: read_id, addend: -4, flags: call };
    file.add_relocation(init, relocation).unwrap();
    ModuleFile::parse(file.write().unwrap()).unwrap()
}

/// A module whose `init` calls nothing of its own: what its code is called only its `exit` gives away, which
/// comes after it.
fn file_with_exit(name: &str) -> ModuleFile {
    let mut file = Writer::new(BinaryFormat::Elf, Architecture::X86_64, Endianness::Little);
    let text = file.section_id(StandardSection::Text);
    file.append_section_data(text, &[0x90; 0x23], 16);
    let exit = file.add_section(Vec::new(), b".exit.text".to_vec(), SectionKind::Text);
    file.append_section_data(exit, &[0x90; 0x10], 16);
    let this_module = b".gnu.linkonce.this_module".to_vec();
    let this_module = file.add_section(Vec::new(), this_module, SectionKind::Data);
    file.append_section_data(this_module, &[0; 0x200], 64);
    let information = file.add_section(Vec::new(), b".modinfo".to_vec(), SectionKind::ReadOnlyData);
    file.append_section_data(information, format!("name={name}\0").as_bytes(), 1);
    function(&mut file, "read_id", text, 0x10);
    let cleanup_module = function(&mut file, "cleanup_module", exit, 4);
    let flags = RelocationFlags::Generic {
        kind: RelocationKind::Absolute,
        encoding: RelocationEncoding::Generic,
        size: 64,
    };
    let relocation = Relocation { offset: 0x180, symbol: cleanup_module, addend: 0, flags };
    file.add_relocation(this_module, relocation).unwrap();
    ModuleFile::parse(file.write().unwrap()).unwrap()
}

fn modules(names: &[&str]) -> Modules {
    let files = names.iter().map(|name| file(name)).collect();
    // The first is some other variable of this name.
    Modules { files, heads: [0xffff_ffff_8100_0000, HEAD].into(), ..Modules::default() }
}

/// The address of `read_id` in a placed file.
fn read_id(placed: &Placed) -> u64 {
    let file = object::File::parse(&*placed.0).unwrap();
    file.symbols().find(|symbol| symbol.name() == Ok("read_id")).unwrap().address()
}

#[test]
fn a_module_is_found_before_its_init_is_over() {
    let memory = Memory::default();
    memory.link(&[(MODULE, "slow")]);
    memory.load(MODULE, INIT, TEXT);
    let mut modules = modules(&["other", "slow"]);
    let read: Read<'_> = &|address, data| memory.read(address, data);
    assert!(modules.may_hold(TEXT + 0x10) && !modules.may_hold(0xffff_ffff_8100_0000));
    assert!(may_have_changed(&modules, read, TEXT + 0x10, None));

    let changes = modules.follow(read).unwrap();

    let [(index, name, placed)] = changes.new.as_slice() else { panic!("{}", changes.new.len()) };
    assert_eq!((name.as_str(), read_id(placed)), ("slow", TEXT + 0x10));
    modules.set_image(*index, 7);
    assert!(!may_have_changed(&modules, read, TEXT + 0x10, Some(7)));
    assert_eq!(modules.image("slow"), Some(7));
    assert!(modules.follow(read).unwrap().new.is_empty());
}

#[test]
fn a_module_that_took_the_place_of_another_is_noticed() {
    let memory = Memory::default();
    memory.link(&[(MODULE, "old")]);
    memory.load(MODULE, INIT, TEXT);
    let mut modules = modules(&["old", "new"]);
    let read: Read<'_> = &|address, data| memory.read(address, data);
    modules.follow(read).unwrap();
    modules.set_image(0, 7);

    memory.link(&[(MODULE, "new")]);
    memory.load(MODULE, INIT, TEXT + 0x1000);

    assert!(may_have_changed(&modules, read, TEXT + 0x10, Some(7)));
    let changes = modules.follow(read).unwrap();
    assert_eq!(changes.gone, [7]);
    assert_eq!((changes.new[0].1.as_str(), read_id(&changes.new[0].2)), ("new", TEXT + 0x1010));
}

#[test]
fn code_that_nothing_refers_to_is_found_by_what_lies_beside_it() {
    let memory = Memory::default();
    memory.link(&[(MODULE, "quiet")]);
    memory.write(MODULE + 0x180, &(TEXT + 0x34).to_le_bytes());
    let files = vec![file_with_exit("quiet")];
    let mut modules = Modules { files, heads: [HEAD].into(), ..Modules::default() };
    let changes = modules.follow(&|address, data| memory.read(address, data)).unwrap();
    assert_eq!(read_id(&changes.new[0].2), TEXT + 0x10);

    // Not where a page would begin: memory that holds something else.
    let memory = Memory::default();
    memory.link(&[(MODULE, "quiet")]);
    memory.write(MODULE + 0x180, &(TEXT + 0x74).to_le_bytes());
    let files = vec![file_with_exit("quiet")];
    let mut modules = Modules { files, heads: [HEAD].into(), ..Modules::default() };
    let changes = modules.follow(&|address, data| memory.read(address, data)).unwrap();
    assert_eq!(read_id(&changes.new[0].2), 0x10);
}

#[test]
fn what_is_unknown_is_looked_at_again_only_when_the_list_changes() {
    let memory = Memory::default();
    memory.link(&[(MODULE, "foreign")]);
    let mut modules = modules(&["slow"]);
    let read: Read<'_> = &|address, data| memory.read(address, data);
    assert!(modules.follow(read).unwrap().new.is_empty());
    modules.set_unknown(TEXT);
    assert!(!may_have_changed(&modules, read, TEXT, None));
    assert!(may_have_changed(&modules, read, TEXT + 4, None));

    memory.link(&[(MODULE + 0x8000, "slow"), (MODULE, "foreign")]);
    memory.load(MODULE + 0x8000, INIT, TEXT + 0x8000);

    assert!(may_have_changed(&modules, read, TEXT, None));
    assert_eq!(read_id(&modules.follow(read).unwrap().new[0].2), TEXT + 0x8010);
}

#[test]
fn a_list_without_an_end_is_left() {
    let memory = Memory::default();
    memory.link(&[(MODULE, "one")]);
    // Its own successor.
    memory.write(MODULE + 8, &(MODULE + 8).to_le_bytes());
    let mut modules = modules(&["slow"]);
    assert!(modules.follow(&|address, data| memory.read(address, data)).unwrap().new.is_empty());
    memory.0.borrow_mut().clear();
    assert!(modules.follow(&|address, data| memory.read(address, data)).is_none());
}

#[test]
fn modules_are_taken_from_an_archive_and_from_nothing_else() {
    let mut archive = crate::initramfs::Initramfs::default();
    let path = std::path::Path::new;
    archive.file(path("/modules/2/renamed.ko"), file("slow").elf).unwrap();
    archive.file(path("/modules/broken.ko"), b"no module".to_vec()).unwrap();
    archive.file(path("/init"), file("no").elf).unwrap();
    let mut bytes = Vec::new();
    archive.write(&mut bytes, path("archive")).unwrap();

    let names = |bytes: &[u8]| file::all_in(bytes).into_iter().map(|file| file.name).collect::<Vec<_>>();
    assert_eq!(names(&bytes), ["slow"]);
    assert!(names(&bytes[1..]).is_empty());
    assert!(names(b"").is_empty());
}
