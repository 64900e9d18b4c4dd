//! Images are matched by address space and time. Lines come from a program that is compiled here.

use barscope_trace::definition::{self, Definition, Image, Instruction};

use super::*;
use crate::sample::{address, program};

fn image(definitions: &mut Definitions, address_space: Option<u64>, elf: &[u8]) -> Id {
    named(definitions, "sample", address_space, elf)
}

fn named(definitions: &mut Definitions, name: &str, address_space: Option<u64>, elf: &[u8]) -> Id {
    definitions.push(Definition::Image(Image::new(name, address_space)), elf.to_vec());
    definitions.iter().map(|(id, _)| id).last().unwrap()
}

/// An instruction that was defined when `image` held its address.
fn instruction(definitions: &mut Definitions, rip: u64, cr3: u64, image: Option<Id>) -> Id {
    let bytes = vec![0x8b, 0x07];
    let code = Instruction { rip, bytes, cr3, ambiguous: false, code_size: 64, image };
    definitions.push(Definition::Instruction(code), Vec::new());
    definitions.iter().map(|(id, _)| id).last().unwrap()
}

#[test]
fn an_inlined_read_goes_by_the_line_of_its_call() {
    let rip = address("lab::probe", 13);
    let mut definitions = Definitions::default();
    let own = image(&mut definitions, None, program());
    let mut symbols = Symbols::default();
    let expected = Symbol {
        function: "lab::probe".into(),
        file: Some("lab.rs".into()),
        line: Some(13),
        ..Symbol::default()
    };
    let found = symbols.address(&definitions, rip, 0x7000).unwrap();
    // Within it are the program's own `read` and what the library makes of that.
    let (own_read, library) = found.inlined.split_last().unwrap();
    assert_eq!(
        (own_read.function.as_str(), own_read.file.as_deref(), own_read.line),
        ("read", Some("lab.rs"), Some(7))
    );
    let path = own_read.path.as_deref().unwrap();
    assert!(path.starts_with('/') && path.ends_with("/lab.rs"), "{path}");
    assert_eq!(found.path.as_deref(), Some(path));
    assert!(library.iter().all(|inlined| inlined.function == "read_volatile"), "{library:?}");
    let expected = Symbol { inlined: found.inlined.clone(), path: found.path.clone(), ..expected };
    assert_eq!(found, expected);
    assert_eq!(expected.to_string(), "lab::probe lab.rs:13");
    let id = instruction(&mut definitions, rip, 0x7000, Some(own));
    assert_eq!(symbols.instruction(&definitions, id), Some(expected.clone()));
    assert_eq!(symbols.instruction(&definitions, id), Some(expected));
    assert_eq!(symbols.address(&definitions, 0x10, 0x7000), None);
}

#[test]
fn a_program_is_found_in_its_own_address_space_only() {
    let rip = address("lab::probe", 13);
    let mut definitions = Definitions::default();
    image(&mut definitions, Some(0x5000), program());
    let mut symbols = Symbols::default();
    assert!(symbols.address(&definitions, rip, 0x5000).is_some());
    // The low bits are no part of the address space's identity.
    assert!(symbols.address(&definitions, rip, 0x5018).is_some());
    assert_eq!(symbols.address(&definitions, rip, 0x6000), None);
}

#[test]
fn an_instruction_belongs_to_the_image_that_held_it_when_it_was_recorded() {
    let rip = 0xffff_ffff_c000_0012;
    let mut definitions = Definitions::default();
    let old = named(&mut definitions, "kernel", None, b"ffffffffc0000000 40 old_irq [old]\n");
    let before = instruction(&mut definitions, rip, 0, Some(old));
    let new = named(&mut definitions, "kernel", None, b"ffffffffc0000000 40 new_irq [new]\n");
    let after = instruction(&mut definitions, rip, 0, Some(new));
    let mut symbols = Symbols::default();
    let mut name = |id| symbols.instruction(&definitions, id).map(|symbol| symbol.to_string());
    assert_eq!(name(before).as_deref(), Some("old_irq+0x12 [old]"));
    assert_eq!(name(after).as_deref(), Some("new_irq+0x12 [new]"));
    let now = symbols.address(&definitions, rip, 0).unwrap();
    assert_eq!(now.to_string(), "new_irq+0x12 [new]");
}

#[test]
fn an_instruction_that_no_image_held_is_named_by_the_first_that_comes_and_holds_it() {
    let rip = 0xffff_ffff_c000_0012;
    let mut definitions = Definitions::default();
    named(&mut definitions, "gone", None, b"ffffffffc0000000 40 gone_irq [gone]\n");
    let early = instruction(&mut definitions, rip, 0, None);
    named(&mut definitions, "elsewhere", None, b"ffffffffc0100000 40 other_irq [other]\n");
    named(&mut definitions, "its own", None, b"ffffffffc0000000 40 own_irq [own]\n");
    named(&mut definitions, "next", None, b"ffffffffc0000000 40 next_irq [next]\n");
    let symbol = Symbols::default().instruction(&definitions, early).unwrap();
    assert_eq!(symbol.to_string(), "own_irq+0x12 [own]");
}

#[test]
fn a_frame_is_the_call_before_the_address_that_it_returns_to() {
    let lines = b"ffffffff81000000 40 calls_last\nffffffff81000040 40 comes_next\n";
    let mut definitions = Definitions::default();
    let image = Some(image(&mut definitions, None, lines));
    let mut symbols = Symbols::default();
    let mut named =
        |how, address, image| symbols.frame(&definitions, &Frame { how, address, cr3: 0, image }, 9);
    let name = |named: Named| named.symbol().unwrap().to_string();
    let behind = 0xffff_ffff_8100_0040;
    assert_eq!(name(named(Entered::Call, behind, image)), "calls_last+0x40");
    assert_eq!(name(named(Entered::SystemCall { number: 0 }, behind, image)), "calls_last+0x40");
    assert_eq!(name(named(Entered::Interrupt, behind, image)), "comes_next+0x0");
    assert_eq!(name(named(Entered::Exception, behind, image)), "comes_next+0x0");
    assert_eq!(named(Entered::Call, 0, image), Named::Unknown);
    // Held by no image when it was recorded, and by none that came later.
    assert_eq!(named(Entered::Call, behind, None), Named::Unknown);
}

#[test]
fn a_mapped_file_is_found_where_each_address_space_has_it() {
    let (rip, bias) = (address("lab::probe", 13), 0x5555_0000_0000);
    let mut definitions = Definitions::default();
    let file = definition::File { path: "/bin/sample".into() };
    definitions.push(Definition::File(file), program().to_vec());
    for (address_space, bias) in [(0x5000, bias), (0x6000, 0)] {
        let image = Image { file: Some(1), bias, ..Image::new("sample", Some(address_space)) };
        definitions.push(Definition::Image(image), Vec::new());
    }
    let mut symbols = Symbols::default();
    let mut at = |rip, cr3| symbols.address(&definitions, rip, cr3).map(|symbol| symbol.to_string());
    assert_eq!(at(rip + bias, 0x5000).as_deref(), Some("lab::probe lab.rs:13"));
    assert_eq!(at(rip, 0x6000).as_deref(), Some("lab::probe lab.rs:13"));
    assert_eq!(at(rip, 0x5000), None);
    assert_eq!(at(rip, 0x7000), None, "a file alone is nowhere");
}

#[test]
fn code_of_a_stripped_file_goes_by_its_place_in_it() {
    let mut elf = program().to_vec();
    // e_shoff, e_shnum and e_shstrndx: no sections, and so no symbols.
    elf[0x28..0x30].fill(0);
    elf[0x3c..0x40].fill(0);
    let rip = address("lab::probe", 13);
    let mut definitions = Definitions::default();
    definitions.push(Definition::File(definition::File { path: "/bin/sample".into() }), elf);
    let image = Image { file: Some(1), bias: 0x10_0000, ..Image::new("/bin/sample", Some(0x5000)) };
    definitions.push(Definition::Image(image), Vec::new());
    let symbol = Symbols::default().address(&definitions, rip + 0x10_0000, 0x5000).unwrap();
    assert_eq!((&*symbol.function, symbol.offset), ("sample", Some(rip)));
}

#[test]
fn files_that_are_no_images_name_nothing() {
    let elf = program();
    for broken in [&b""[..], b"\x7fELF", &elf[..200], &elf[..elf.len() / 2]] {
        let mut definitions = Definitions::default();
        image(&mut definitions, None, broken);
        assert_eq!(Symbols::default().address(&definitions, 0xdead_0000, 0), None);
    }
}

#[test]
fn a_kernel_without_a_file_names_its_functions_and_its_modules() {
    let lines = b"ffffffff81000000 40 ioread32\nffffffffc0000000 40 lab_irq [lab]\n";
    let mut definitions = Definitions::default();
    image(&mut definitions, None, lines);
    let mut symbols = Symbols::default();
    let mut named = |rip| symbols.address(&definitions, rip, 0x7000).map(|symbol| symbol.to_string());
    assert_eq!(named(0xffff_ffff_8100_0010).as_deref(), Some("ioread32+0x10"));
    assert_eq!(named(0xffff_ffff_c000_0012).as_deref(), Some("lab_irq+0x12 [lab]"));
    assert_eq!(named(0xffff_ffff_8100_0040), None, "between two functions");
    assert_eq!(named(0x1000), None);
}

#[test]
fn names_of_code_are_harmless_for_terminals() {
    let mut definitions = Definitions::default();
    image(&mut definitions, None, "1000 10 evil\u{1b}[2J\u{202e} [mod\u{9b}]\n".as_bytes());
    let symbol = Symbols::default().address(&definitions, 0x1000, 0).unwrap();
    assert_eq!((&*symbol.function, symbol.module.as_deref()), ("evil.[2J.", Some("mod.")));
}
