//! What the test kernel's image must be, found out without running it.

mod emulated;

use std::collections::BTreeMap;
use std::env;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use barscope_guests::TEST_KERNEL;
use iced_x86::{Decoder, DecoderOptions, Mnemonic};
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader};
use object::{Endianness, Object, ObjectSection, ObjectSymbol, SymbolKind, elf};

use emulated::{Function, Scan};

/// XEN_ELFNOTE_PHYS32_ENTRY.
const PVH_ENTRY: u32 = 18;

fn kernel() -> Result<ElfFile64<'static, Endianness>> {
    Ok(ElfFile64::parse(TEST_KERNEL)?)
}

/// The functions of section `name`, each once, in the order of their addresses.
fn functions<'a>(file: &'a ElfFile64<'static, Endianness>, name: &str) -> Result<Vec<Function<'a>>> {
    let section = file.section_by_name(name).with_context(|| format!("no section {name}"))?;
    let data = section.data()?;
    let mut functions = BTreeMap::new();
    for symbol in file.symbols() {
        let is_function = symbol.kind() == SymbolKind::Text && symbol.size() > 0;
        if !is_function || symbol.section_index() != Some(section.index()) {
            continue;
        }
        let offset = usize::try_from(symbol.address() - section.address())?;
        let code = data.get(offset..offset + usize::try_from(symbol.size())?);
        let function = Function {
            name: symbol.name()?,
            address: symbol.address(),
            code: code.context("a function that leaves its section")?,
            bitness: match symbol.name()? {
                "trampoline" => 16,
                "pvh_entry" | "trampoline_protected" => 32,
                _ => 64,
            },
        };
        functions.insert(symbol.address(), function);
    }
    Ok(functions.into_values().collect())
}

#[test]
fn ring_0_uses_only_what_every_kvm_can_emulate() -> Result<()> {
    let file = kernel()?;
    let mut scan = Scan::default();
    let mut count = 0;
    for section in [".boot", ".text"] {
        for function in functions(&file, section)? {
            count += 1;
            scan.add(&function);
        }
    }
    let found = scan.finish();

    ensure!(count > 20, "{count} functions are not all");
    ensure!(found.is_empty(), "the kernel can't run everywhere:\n  {}", found.join("\n  "));
    Ok(())
}

/// So nothing escapes [`ring_0_uses_only_what_every_kvm_can_emulate`]: data is in `.rodata`. (`.boot` has page tables too.)
#[test]
fn text_is_functions_and_padding() -> Result<()> {
    let file = kernel()?;
    let section = file.section_by_name(".text").context("no .text")?;
    let (start, data) = (section.address(), section.data()?);
    let mut end = start;
    let mut gaps = Vec::new();
    let mut gap = |from: u64, to: u64| {
        let bytes = &data[(from - start) as usize..(to.max(from) - start) as usize];
        let mut decoder = Decoder::with_ip(64, bytes, from, DecoderOptions::NONE);
        if !decoder.iter().all(|one| matches!(one.mnemonic(), Mnemonic::Int3 | Mnemonic::Nop)) {
            gaps.push(format!("{from:#x} to {to:#x}"));
        }
    };
    for function in functions(&file, ".text")? {
        gap(end, function.address);
        end = end.max(function.address + function.code.len() as u64);
    }
    gap(end, start + data.len() as u64);

    ensure!(gaps.is_empty(), ".text has more than functions and padding: {gaps:?}");
    Ok(())
}

#[test]
fn the_pvh_note_leads_to_the_entry() -> Result<()> {
    let file = kernel()?;
    let entry = file.symbols().find(|symbol| symbol.name() == Ok("pvh_entry")).context("no pvh_entry")?;
    let endian = file.endian();
    let mut entries = Vec::new();
    for header in file.elf_header().program_headers(endian, TEST_KERNEL)? {
        let Some(mut notes) = header.notes(endian, TEST_KERNEL)? else { continue };
        while let Some(note) = notes.next()? {
            if note.name() == b"Xen" && note.n_type(endian).0 == PVH_ENTRY {
                entries.push(note.desc().to_vec());
            }
        }
    }

    assert_eq!(entries, [entry.address().to_le_bytes()]);
    assert_eq!(file.elf_header().e_machine(endian), elf::EM_X86_64);
    Ok(())
}

#[test]
fn functions_have_names_and_lines() -> Result<()> {
    let file = kernel()?;
    let names: Vec<_> = functions(&file, ".text")?.iter().map(|function| function.name).collect();

    for name in ["kernel_main", "3lab12read_scratch", "3lab13write_scratch", "3lab3isr", "3lab5probe"] {
        assert!(names.iter().any(|mangled| mangled.ends_with(name)), "{name} is not in {names:?}");
    }
    for section in [".debug_info", ".debug_line"] {
        assert!(file.section_by_name(section).is_some_and(|section| section.size() > 0), "{section}");
    }
    Ok(())
}

#[test]
fn no_path_of_the_build_machine_is_in_the_image() -> Result<()> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("tests has a parent")?;
    let this = env::current_exe()?;
    // The test lies in `deps` of the profile's folder of the target folder.
    let target = this.ancestors().nth(3).context("the test lies in a target folder")?;
    let home = env::var("HOME").unwrap_or_default();
    let mut needles = vec![repository.display().to_string(), target.display().to_string()];
    needles.extend([home, "/home/".to_owned(), "/root/".to_owned(), "/Users/".to_owned()]);

    for needle in needles.iter().filter(|needle| needle.len() > 1) {
        let bytes = needle.as_bytes();
        let found = TEST_KERNEL.windows(bytes.len()).position(|window| window == bytes);
        assert_eq!(found, None, "{needle} is in the image");
    }
    Ok(())
}
