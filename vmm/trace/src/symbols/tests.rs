//! Images are matched by address space and time. Lines come from a program that is compiled here.

use std::fs;
use std::process::Command;

use super::*;
use crate::definition::{Definition, Image, Instruction};

/// An accessor that is inlined into what the trace should name, like the test kernel's.
const PROGRAM: &str = r#"
#![no_std]
#![no_main]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }
pub mod lab {
    #[inline(always)]
    fn read(address: *const u32) -> u32 {
        unsafe { address.read_volatile() }
    }
    #[inline(never)]
    pub fn probe(address: *const u32) -> u32 {
        let first = read(address);
        first ^ 1
    }
}
#[unsafe(no_mangle)]
pub extern "C" fn _start() -> u32 { lab::probe(0x1000 as *const u32) }
"#;

/// The program as a static ELF file.
fn compile() -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let (source, target) = (directory.path().join("sample.rs"), directory.path().join("sample"));
    fs::write(&source, PROGRAM).unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let status = Command::new(rustc)
        .args(["--edition", "2024", "-O", "-C", "panic=abort", "-C", "relocation-model=static"])
        .args([
            "-C",
            "debuginfo=line-tables-only",
            "-C",
            "link-arg=-nostartfiles",
            "-C",
            "link-arg=-nostdlib",
        ])
        .args(["-C", "link-arg=-static", "-C", "link-arg=-no-pie", "-o"])
        .args([&target, &source])
        .status()
        .unwrap();
    assert!(status.success());
    fs::read(target).unwrap()
}

/// The address of the read in `lab::probe`: its first instruction.
fn probe_address(elf: &[u8]) -> u64 {
    let image = SymbolImage::parse(elf).unwrap();
    (0x1000..0x100_0000)
        .find(|at| image.find(*at).is_some_and(|found| found.function == "lab::probe"))
        .unwrap()
}

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
    let elf = compile();
    let rip = probe_address(&elf);
    let mut definitions = Definitions::default();
    image(&mut definitions, None, &elf);
    let mut symbols = Symbols::default();
    let expected = Symbol { function: "lab::probe".into(), file: Some("sample.rs".into()), line: Some(13) };
    assert_eq!(symbols.address(&definitions, rip, 0x7000), Some(expected.clone()));
    assert_eq!(expected.to_string(), "lab::probe sample.rs:13");
    let id = instruction(&mut definitions, rip, 0x7000);
    assert_eq!(symbols.instruction(&definitions, id), Some(expected.clone()));
    assert_eq!(symbols.instruction(&definitions, id), Some(expected));
    assert_eq!(symbols.address(&definitions, 0x10, 0x7000), None);
}

#[test]
fn a_program_is_found_in_its_own_address_space_only() {
    let elf = compile();
    let rip = probe_address(&elf);
    let mut definitions = Definitions::default();
    image(&mut definitions, Some(0x5000), &elf);
    let mut symbols = Symbols::default();
    assert!(symbols.address(&definitions, rip, 0x5000).is_some());
    // The low bits are no part of the address space's identity.
    assert!(symbols.address(&definitions, rip, 0x5018).is_some());
    assert_eq!(symbols.address(&definitions, rip, 0x6000), None);
}

#[test]
fn an_instruction_belongs_to_the_image_that_was_there_before_it() {
    let elf = compile();
    let rip = probe_address(&elf);
    let mut definitions = Definitions::default();
    image(&mut definitions, Some(0x5000), &elf);
    let id = instruction(&mut definitions, rip, 0x5000);
    image(&mut definitions, Some(0x5000), b"no ELF file");
    let mut symbols = Symbols::default();
    assert!(symbols.instruction(&definitions, id).is_some());
}

#[test]
fn files_that_are_no_images_name_nothing() {
    let elf = compile();
    for broken in [&b""[..], b"\x7fELF", &elf[..200], &elf[..elf.len() / 2]] {
        let mut definitions = Definitions::default();
        image(&mut definitions, None, broken);
        assert_eq!(Symbols::default().address(&definitions, 0xdead_0000, 0), None);
    }
}
