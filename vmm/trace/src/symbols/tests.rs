//! Images are matched by address space and time. Lines come from a program that is compiled here.

use super::*;
use crate::definition::{Definition, Image, Instruction};
use crate::sample::{address, program};

fn image(definitions: &mut Definitions, address_space: Option<u64>, elf: &[u8]) {
    definitions.push(Definition::Image(Image { name: "sample".into(), address_space }), elf.to_vec());
}

fn instruction(definitions: &mut Definitions, rip: u64, cr3: u64) -> Id {
    let code = Instruction { rip, bytes: vec![0x8b, 0x07], cr3, ambiguous: false };
    definitions.push(Definition::Instruction(code), Vec::new());
    definitions.iter().map(|(id, _)| id).last().unwrap()
}

#[test]
fn an_inlined_read_goes_by_the_line_of_its_call() {
    let rip = address("lab::probe", 13);
    let mut definitions = Definitions::default();
    image(&mut definitions, None, program());
    let mut symbols = Symbols::default();
    let expected = Symbol {
        function: "lab::probe".into(),
        file: Some("lab.rs".into()),
        line: Some(13),
        ..Symbol::default()
    };
    assert_eq!(symbols.address(&definitions, rip, 0x7000), Some(expected.clone()));
    assert_eq!(expected.to_string(), "lab::probe lab.rs:13");
    let id = instruction(&mut definitions, rip, 0x7000);
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
fn an_instruction_belongs_to_the_image_that_was_there_before_it() {
    let rip = address("lab::probe", 13);
    let mut definitions = Definitions::default();
    image(&mut definitions, Some(0x5000), program());
    let id = instruction(&mut definitions, rip, 0x5000);
    image(&mut definitions, Some(0x5000), b"no ELF file");
    let mut symbols = Symbols::default();
    assert!(symbols.instruction(&definitions, id).is_some());
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
