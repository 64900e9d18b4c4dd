//! Which memory types does a guest find, and what do its mappings of a device get?

use anyhow::{Context, Result};
use barscope_analysis::Trace;
use barscope_analysis::view::View;
use barscope_bench::access_loop::{CACHED, SCRATCH, in_long_mode};
use barscope_bench::{Bench, play};
use barscope_trace::definition::MemoryType::{Uncacheable, UncacheableMinus, WriteBack, WriteCombining};
use barscope_trace::definition::{MemoryType, Path};
use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, dword_ptr, eax, ecx, edx, ptr, qword_ptr, rax, rdi, rsp, word_ptr};

const PAT: u32 = 0x277;
/// An interrupt descriptor table of fourteen entries, and what LIDT reads.
const IDT: u64 = 0x20_5000;
const IDT_POINTER: u64 = 0x20_5f00;
const GENERAL_PROTECTION: u64 = 13;

fn run(code: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Result<Trace> {
    Ok(Bench::kernel(in_long_mode(code)?).run()?.trace)
}

/// What was written to SCRATCH.
fn written(trace: &Trace) -> Vec<u64> {
    let accesses = trace.views().all().iter().filter_map(View::access);
    accesses
        .filter(|access| access.write && access.gpa() == Some(SCRATCH))
        .map(|access| access.value)
        .collect()
}

/// What each access to SCRATCH asked for, and had.
fn types(trace: &Trace) -> Vec<(Option<MemoryType>, Option<MemoryType>)> {
    let accesses = trace.views().all().iter().filter_map(View::access);
    accesses
        .filter(|access| access.gpa() == Some(SCRATCH))
        .map(|access| (access.pat(), access.memory_type()))
        .collect()
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_guest_finds_both_pci_windows_uncacheable_as_firmware_leaves_them() -> Result<()> {
    let trace = run(|a| {
        a.mov(rdi, SCRATCH)?;
        for register in [0x2ff, 0x200, 0x201, 0x202, 0x203, 0x205] {
            a.mov(ecx, register)?;
            a.rdmsr()?;
            a.mov(dword_ptr(rdi), eax)?;
            a.mov(dword_ptr(rdi), edx)?;
        }
        a.ud2()
    })?;
    let words = written(&trace);
    let [default, base, mask, high_base, high_mask, unused] =
        <[u64; 6]>::try_from(words.chunks(2).map(|pair| pair[1] << 32 | pair[0]).collect::<Vec<_>>())
            .ok()
            .context("not all were written")?;
    assert_eq!((default, base, high_base, unused), (0x806, 0xe000_0000, 0x8_0000_0000, 0));
    // Beyond 36 bits it is the processor's size.
    assert_eq!((mask & 0xf_ffff_ffff, high_mask & 0xf_ffff_ffff), (0xf_e000_0800, 0x8_0000_0800));
    assert_eq!(mask >> 36, high_mask >> 36);
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_cached_mapping_of_a_bar_asks_for_write_back_and_is_uncacheable() -> Result<()> {
    let trace = run(|a| {
        for address in [SCRATCH, CACHED + 8] {
            a.mov(rdi, address)?;
            a.mov(eax, dword_ptr(rdi))?;
        }
        a.ud2()
    })?;
    let expected = [(Some(UncacheableMinus), Some(Uncacheable)), (Some(WriteBack), Some(Uncacheable))];
    assert_eq!(types(&trace), expected);
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_write_to_pat_counts_if_kvm_takes_it_and_not_if_it_gives_a_fault() -> Result<()> {
    let trace = run(|a| {
        let mut handler = a.create_label();
        let mut start = a.create_label();
        a.jmp(start)?;
        // The instruction that faulted is two bytes long.
        a.set_label(&mut handler)?;
        a.add(rsp, 8)?;
        a.add(qword_ptr(rsp), 2)?;
        a.iretq()?;
        a.set_label(&mut start)?;
        a.lea(rax, ptr(handler))?;
        a.mov(rdi, IDT + 16 * GENERAL_PROTECTION)?;
        a.mov(dword_ptr(rdi), eax)?;
        // An interrupt gate into the code segment; the handler lies between 1 and 2 MiB.
        a.mov(word_ptr(rdi + 2), 8)?;
        a.shr(eax, 16)?;
        a.mov(dword_ptr(rdi + 4), 0x8e00)?;
        a.mov(word_ptr(rdi + 6), iced_x86::code_asm::ax)?;
        a.mov(rdi, IDT_POINTER)?;
        a.mov(word_ptr(rdi), 16 * (GENERAL_PROTECTION as i32 + 1) - 1)?;
        a.mov(dword_ptr(rdi + 2), IDT as i32)?;
        a.lidt(ptr(rdi))?;
        // A reserved type in entry 0, which KVM refuses; then write-combining.
        for low in [0x0007_0402, 0x0007_0401] {
            a.mov(ecx, PAT)?;
            a.mov(eax, low)?;
            a.mov(edx, 0x0007_0406)?;
            a.wrmsr()?;
            a.mov(rdi, CACHED + 8)?;
            a.mov(eax, dword_ptr(rdi))?;
        }
        a.hlt()
    })?;
    let expected = [(Some(WriteBack), Some(Uncacheable)), (Some(WriteCombining), Some(WriteCombining))];
    assert_eq!(types(&trace), expected);
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn ioremap_wc_and_ioremap_cache_ask_for_what_they_are_called() -> Result<()> {
    for (scenario, asked, effective) in
        [("write-combining", WriteCombining, WriteCombining), ("cached-mapping", WriteBack, Uncacheable)]
    {
        let run = play(scenario)?;
        let views = run.trace.views().all().iter().filter_map(View::access);
        let of_memory = views
            .filter(|access| access.place().is_some_and(|at| at.region == barscope_device::Region::BAR2));
        let types: Vec<_> =
            of_memory.map(|access| (access.path(), access.pat(), access.memory_type())).collect();
        assert!(!types.is_empty());
        for (path, pat, memory_type) in types {
            assert_eq!((pat, memory_type), (Some(asked), Some(effective)), "{scenario} {path}");
            assert!(matches!(path, Path::Ioremap | Path::Mmap), "{path}");
        }
    }
    Ok(())
}
