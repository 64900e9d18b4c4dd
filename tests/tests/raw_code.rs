//! Guests of a few instructions in 32-bit code, without paging: what is known of the code of an access, and of
//! an instruction that KVM can't emulate.

use anyhow::{Context, Result};
use barscope_analysis::Trace;
use barscope_analysis::view::View;
use barscope_bench::Bench;
use barscope_bench::access_loop::SCRATCH;
use barscope_bench::raw_guest::{assemble, configure};
use barscope_trace::EventKind;
use barscope_trace::definition::Path;
use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, eax, ebx, edi};

/// A guest that gives BAR0 its address, has EBX and EDI point at SCRATCH, and runs these bytes.
fn run(bytes: &[u8]) -> Result<Trace> {
    let code = |a: &mut CodeAssembler| -> Result<(), IcedError> {
        for (register, value) in [(0x10, 0xfe00_0000), (0x04, 2)] {
            configure(a, 4, register, value)?;
        }
        a.mov(ebx, SCRATCH as i32)?;
        a.mov(edi, SCRATCH as i32)?;
        a.xor(eax, eax)?;
        for chunk in bytes.chunks(8) {
            a.db(chunk)?;
        }
        a.hlt()
    };
    Ok(Bench::kernel(assemble(code)?).run()?.trace)
}

/// The first record of memory, as everybody resolves it.
fn first(trace: &Trace) -> Result<&View> {
    trace.views().all().iter().find(|view| view.gpa().is_some()).context("no record of memory")
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn code_of_32_bits_is_shown_as_such() -> Result<()> {
    for (bytes, text, value) in [
        // inc eax, which in 64-bit code is a prefix of the store.
        (&[0x40, 0x89, 0x03][..], "mov [ebx],eax", 1),
        // An absolute address, which in 64-bit code is 8 bytes long.
        (&[0x40, 0xa3, 0x08, 0x00, 0x00, 0xfe], "mov [0xFE000008],eax", 1),
        // dec eax, which in 64-bit code makes the load one of 8 bytes.
        (&[0x48, 0x8b, 0x07], "mov eax,[edi]", 0),
    ] {
        let trace = run(bytes)?;
        let view = first(&trace)?;
        let access = view.access().context("no access")?;
        assert_eq!(view.code().map(|code| (&*code.text, code.ambiguous)), Some((text, false)));
        assert_eq!((access.value, access.size), (value, 4), "{text}");
        // Without paging.
        assert_eq!((view.gpa(), view.gva()), (Some(SCRATCH), Some(SCRATCH)));
    }
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn an_instruction_that_kvm_cannot_emulate_tells_all_that_an_access_does() -> Result<()> {
    for (bytes, text, expected) in [
        (&[0xd9, 0x07][..], "fld st,dword ptr [edi]", (true, false, 4)),
        (&[0xf3, 0x0f, 0xb8, 0x07], "popcnt eax,[edi]", (true, false, 4)),
        (&[0xf2, 0x0f, 0x38, 0xf1, 0x07], "crc32 eax,dword ptr [edi]", (true, false, 4)),
        (&[0x66, 0x0f, 0x38, 0x2a, 0x07], "movntdqa xmm0,[edi]", (true, false, 16)),
        (&[0x66, 0x0f, 0x7e, 0x07], "movd [edi],xmm0", (false, true, 4)),
        (&[0xc5, 0xfe, 0x7f, 0x07], "vmovdqu [edi],ymm0", (false, true, 32)),
    ] {
        let trace = run(bytes)?;
        let view = first(&trace)?;
        let EventKind::NotEmulated { operand, .. } = view.kind else { anyhow::bail!("{text}: {view:?}") };
        assert_eq!(view.code().map(|code| &*code.text), Some(text));
        assert_eq!((operand.reads, operand.writes, operand.size), expected, "{text}");
        assert_eq!((view.cpl(), view.gpa(), view.gva()), (Some(0), Some(SCRATCH), Some(SCRATCH)), "{text}");
        let register = view.place().and_then(barscope_analysis::view::Place::register_name);
        assert_eq!(register.as_deref(), Some("SCRATCH"), "{text}");
        assert_eq!(view.function().map(|function| &*function.name), Some("lab"), "{text}");
        assert_eq!(view.path(), Some(Path::Unknown), "{text}");
    }
    Ok(())
}
