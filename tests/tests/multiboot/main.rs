//! Kernels that somebody else's loader starts too: what they print and how they end is the same in QEMU, by `-kernel`
//! (version 1) or by GRUB (version 2), and here.

mod hardware;
mod image;
mod machines;
mod program;
mod testdev;

use anyhow::{Result, ensure};
use barscope_bench::Bench;
use barscope_bench::command::Session;
use barscope_cost::long_mode;
use barscope_vmm::{ExitStatus, Stop};
use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, dword_ptr, eax, ebp, ebx, edi};

use image::{ENTRY, Form, LOADED};
use machines::{Kernel, Outcome};
use program::Program;

/// Where 64-bit code begins, far behind the 32-bit code that leads there.
const LONG: u32 = ENTRY + 0x800;
/// Where the 32-bit code keeps what it was given.
const GIVEN: i32 = 0x1f_0100;

/// A program of 32-bit code.
fn program(code: impl FnOnce(&mut Program) -> Result<(), IcedError>) -> Result<Vec<u8>> {
    let mut program = Program::new(32)?;
    program.a.mov(edi, GIVEN)?;
    program.a.mov(dword_ptr(edi), eax)?;
    program.text("magic ")?;
    program.a.mov(edi, GIVEN)?;
    program.a.mov(edi, dword_ptr(edi))?;
    program.hex(edi)?;
    program.text("\n")?;
    code(&mut program)?;
    program.exit()?;
    Ok(program.assemble(ENTRY.into())?)
}

/// 32-bit code that switches to long mode, and a program of 64-bit code.
fn long_program(code: impl FnOnce(&mut Program) -> Result<(), IcedError>) -> Result<Vec<u8>> {
    let mut a = CodeAssembler::new(32)?;
    long_mode::write_tables(&mut a)?;
    long_mode::switch_on(&mut a)?;
    let mut bytes = a.assemble(ENTRY.into())?;
    // ljmp 8:LONG
    bytes.push(0xea);
    bytes.extend(LONG.to_le_bytes());
    bytes.extend([8, 0]);
    ensure!(bytes.len() <= 0x800, "{} bytes of 32-bit code", bytes.len());
    bytes.resize(0x800, 0xcc);
    let mut program = Program::new(64)?;
    program.text("64-bit code\n")?;
    code(&mut program)?;
    program.exit()?;
    bytes.extend(program.assemble(LONG.into())?);
    Ok(bytes)
}

/// Two modules, one with arguments.
fn modules() -> Vec<(&'static str, &'static str, &'static str)> {
    vec![("first", "a=1 b", "the first module\n"), ("second", "", "the second module\n")]
}

const TOLD_1: &str = "\
command line: kernel one two=2
lower memory enough
upper memory enough
module: first a=1 b | the first module
module: second | the second module
memory from 1 MiB on
";

const TOLD_2: &str = "\
command line: one two=2
module: first a=1 b | the first module
module: second | the second module
lower memory enough
upper memory enough
memory from 1 MiB on
RSDP of ACPI 1.0
";

fn outcome(console: &str, status: u64) -> Outcome {
    Outcome { console: console.to_owned(), status: Some(status) }
}

fn version_1(form: Form) -> Result<Kernel<'static>> {
    let file = image::version_1(form, &program(Program::tell_version_1)?)?;
    Ok(Kernel { file, command_line: "one two=2", modules: modules(), ..Kernel::default() })
}

fn version_2(form: Form) -> Result<Kernel<'static>> {
    // It has to be told all that is printed, and modules begin at pages.
    let tags: &[image::Tag<'_>] = &[(1, 0, &[1, 3, 4, 6]), (6, 0, &[])];
    let file = image::version_2(form, tags, &program(Program::tell_version_2)?)?;
    Ok(Kernel { file, command_line: "one two=2", modules: modules(), ..Kernel::default() })
}

fn forms_1() -> Result<Vec<(Kernel<'static>, Outcome)>> {
    let expected = || outcome(&format!("magic 2badb002\n{TOLD_1}"), 5);
    let long = long_program(Program::tell_version_1)?;
    let long = Kernel { file: image::version_1(Form::Elf32, &long)?, ..version_1(Form::Elf32)? };
    Ok(vec![
        (version_1(Form::Elf32)?, expected()),
        (version_1(Form::Addresses)?, expected()),
        (long, outcome(&format!("64-bit code\n{TOLD_1}"), 5)),
    ])
}

fn forms_2() -> Result<Vec<(Kernel<'static>, Outcome)>> {
    let forms = [Form::Elf32, Form::Elf64, Form::Addresses];
    let expected = || outcome(&format!("magic 36d76289\n{TOLD_2}"), 5);
    forms.into_iter().map(|form| Ok((version_2(form)?, expected()))).collect()
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn version_1_starts_32_bit_and_64_bit_kernels_and_those_without_program_headers() -> Result<()> {
    for (kernel, expected) in forms_1()? {
        assert_eq!(kernel.here(&Session::new()?)?, expected);
    }
    Ok(())
}

#[test]
#[ignore = "needs QEMU"]
fn version_1_starts_the_same_kernels_in_qemu() -> Result<()> {
    for (kernel, expected) in forms_1()? {
        assert_eq!(kernel.in_qemu(&Session::new()?)?, expected);
    }
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn version_2_starts_elf_files_of_both_classes_and_those_without_program_headers() -> Result<()> {
    for (kernel, expected) in forms_2()? {
        assert_eq!(kernel.here(&Session::new()?)?, expected);
    }
    Ok(())
}

#[test]
#[ignore = "needs QEMU and GRUB"]
fn version_2_starts_the_same_kernels_by_grub() -> Result<()> {
    for (kernel, expected) in forms_2()? {
        assert_eq!(kernel.by_grub(&Session::new()?)?, expected);
    }
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_test_in_rust_boots_a_kernel_with_modules() -> Result<()> {
    let bench = || -> Result<Bench> {
        let file = image::version_1(Form::Elf32, &program(Program::tell_version_1)?)?;
        Ok(Bench::kernel(file)
            .command_line("one")
            .boot_module("first x", b"1\n")
            .boot_module("second", b"2\n"))
    };
    let run = bench()?.run()?;
    ensure!(matches!(run.stop, Stop::DebugExit { status: 5 }), "{:?}", run.stop);
    let run = bench()?.exit_status(ExitStatus::KvmUnitTests).run()?;
    ensure!(matches!(run.stop, Stop::Exit { status: 2 }), "{:?}", run.stop);
    Ok(())
}

/// A relocatable kernel that may not lie where it is linked to, and prints where it lies: its code is bound to no address.
fn relocatable() -> Result<Kernel<'static>> {
    let code = program(|program| {
        program.tell_version_2()?;
        program.each_tag(21, |program| program.text("relocatable\n"))?;
        program.a.mov(ebp, 7)
    })?;
    let (min, max) = (LOADED + 0x20_0000, LOADED + 0x60_0000);
    let tags: &[image::Tag<'_>] = &[(10, 0, &[min, max, 0x1000, 1])];
    Ok(Kernel { file: image::version_2(Form::Elf32, tags, &code)?, ..version_2(Form::Elf32)? })
}

fn relocated() -> Outcome {
    outcome(&format!("magic 36d76289\n{TOLD_2}relocatable\n"), 15)
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_relocatable_kernel_runs_where_it_was_put() -> Result<()> {
    assert_eq!(relocatable()?.here(&Session::new()?)?, relocated());
    Ok(())
}

#[test]
#[ignore = "needs QEMU and GRUB"]
fn a_relocatable_kernel_runs_where_grub_puts_it() -> Result<()> {
    assert_eq!(relocatable()?.by_grub(&Session::new()?)?, relocated());
    Ok(())
}

/// Ends with this value.
fn ends_with(value: i32) -> Result<Kernel<'static>> {
    let file = image::version_1(Form::Elf32, &program(|program| program.a.mov(ebp, value))?)?;
    Ok(Kernel { file, ..Kernel::default() })
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn a_status_is_what_kvm_unit_tests_take_it_for_if_that_is_asked_for() -> Result<()> {
    let session = Session::new()?;
    for (value, code, said) in [
        (0, 0, ""),
        (1, 1, "error: the guest ended with status 1\n"),
        (0x80, 1, "error: the guest ended with status 128\n"),
    ] {
        session.file("kernel", &ends_with(value)?.file)?;
        let ended = session.run(&["run", "--kernel", "kernel", "--exit-status", "kvm-unit-tests"])?;
        assert_eq!(ended.code, Some(code), "{}", ended.stderr);
        assert_eq!(ended.stderr.strip_prefix("magic 2badb002\n"), Some(said));
    }
    session.file("kernel", &ends_with(16)?.file)?;
    let ended = session.run(&["run", "--kernel", "kernel"])?;
    assert_eq!(ended.code, Some(1));
    let said = "magic 2badb002\nerror: the guest ended with status 33 by isa-debug-exit, as QEMU counts; add \
                --exit-status kvm-unit-tests if 16 is meant\n";
    assert_eq!(ended.stderr, said);
    Ok(())
}

#[test]
#[ignore = "needs QEMU"]
fn a_status_is_odd_in_qemu() -> Result<()> {
    for (value, status) in [(0, 1), (16, 33)] {
        assert_eq!(ends_with(value)?.in_qemu(&Session::new()?)?, outcome("magic 2badb002\n", status));
    }
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn what_no_kernel_can_have_is_told_in_one_line() -> Result<()> {
    let session = Session::new()?;
    let code = program(|_| Ok(()))?;
    for (file, said) in [
        (image::version_2(Form::Elf32, &[(5, 0, &[0, 0, 0])], &code)?, "needs a frame buffer (tag 5)"),
        (image::version_2(Form::Elf32, &[(1, 0, &[12])], &code)?, "asks for information 12"),
    ] {
        session.file("kernel", &file)?;
        let ended = session.run(&["run", "--kernel", "kernel"])?;
        assert_eq!(ended.code, Some(2));
        ensure!(ended.stderr.contains(said) && ended.stderr.lines().count() == 1, "{}", ended.stderr);
    }
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn an_access_of_a_multiboot_kernel_has_its_instruction() -> Result<()> {
    let session = Session::new()?;
    let code = program(|program| {
        program.a.mov(ebx, 0xf000_0008_u32 as i32)?;
        program.a.mov(dword_ptr(ebx), 0x1234)
    })?;
    session.file("kernel", &image::version_1(Form::Elf32, &code)?)?;
    let ended =
        session.run(&["run", "--kernel", "kernel", "--device", "lab", "--filter", "write BAR0.SCRATCH"])?;
    ensure!(ended.stdout.contains("SCRATCH") && ended.stdout.contains("1 access"), "{}", ended.stdout);
    Ok(())
}

/// The commands in the section on test kernels of docs/guests.md, each as it stands there.
#[test]
#[ignore = "needs this machine's /dev/kvm, QEMU and Debian's kernel"]
fn the_commands_of_the_guide_boot_a_test_kernel() -> Result<()> {
    let guide = include_str!("../../../docs/guests.md");
    let section = guide.split("\n## ").find(|section| section.starts_with("Bring your test kernel\n"));
    let block = section.and_then(|section| section.split("```sh\n").nth(1)?.split("```").next());
    let block = block.unwrap_or_default();
    let commands: Vec<_> = block.trim().lines().collect();
    ensure!(commands.len() == 3, "{commands:?}");
    for command in commands {
        let session = Session::new()?;
        session.file("kernel.elf", &image::version_1(Form::Elf32, &program(Program::tell_version_1)?)?)?;
        session.file("disk.img", b"the first\n")?;
        session.file("second.img", b"the second\n")?;
        let mut words = command.split('"').enumerate().flat_map(|(index, part)| match index % 2 {
            0 => part.split_whitespace().collect(),
            _ => vec![part],
        });
        ensure!(words.next() == Some("barscope"), "{command}");
        let words: Vec<_> = words.collect();
        let ended = session.run(&words)?;
        let (modules, said) = if words.contains(&"--initrd") {
            (2, "module: disk.img ro | the first\nmodule: second.img | the second\n")
        } else {
            (0, "magic 2badb002\ncommand line: kernel.elf\n")
        };
        ensure!(ended.stderr.contains(said), "{command}: {}", ended.stderr);
        if words.contains(&"kvm-unit-tests") {
            assert_eq!(ended.code, Some(0), "{command}: {}", ended.stderr);
        } else {
            let status = format!("error: the guest ended with status {}", 2 * modules + 1);
            ensure!(ended.code == Some(1) && ended.stderr.contains(&status), "{command}: {}", ended.stderr);
        }
    }
    Ok(())
}
