//! What does a guest see of `edu` under KVM, and what does the trace say?

use anyhow::Result;
use barscope_analysis::assert::{Expect, read, write};
use barscope_bench::{Bench, Run, raw_guest};
use barscope_trace::event::Outcome;
use barscope_vmm::Stop;
use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, ax, dword_ptr, eax, edi, word_ptr};

const BAR0: u32 = 0xfe00_0000;
const STATUS: u32 = 0x20;

fn store(a: &mut CodeAssembler, offset: u32, value: u32) -> Result<(), IcedError> {
    a.mov(dword_ptr(edi + offset), value as i32)
}

/// Boots a guest that decodes the device, with EDI at its BAR, runs `code` and ends.
fn run(code: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Result<Run> {
    let guest = raw_guest::assemble(|a| {
        for (register, value) in [(0x10, BAR0), (0x04, 6)] {
            raw_guest::configure(a, 4, register, value)?;
        }
        a.mov(edi, BAR0)?;
        code(a)?;
        a.ud2()
    })?;
    let run = Bench::kernel(guest).device("edu", &[])?.run()?;
    assert!(matches!(run.stop, Stop::TripleFault(_)), "{:?}", run.stop);
    Ok(run)
}

#[test]
#[ignore = "needs /dev/kvm"]
fn what_it_refuses_reads_as_in_qemu_and_the_trace_says_why() -> Result<()> {
    let run = run(|a| {
        a.mov(ax, word_ptr(edi))?;
        a.mov(eax, dword_ptr(edi + 2))?;
        a.mov(eax, dword_ptr(edi + 0x60))
    })?;

    Expect::on(&run.trace)
        .sequence([
            read("BAR0").width(2).value(0).outcome(Outcome::Width),
            read("BAR0").width(4).value(0).outcome(Outcome::Alignment),
            read("BAR0.INT_RAISE").value(0xffff_ffff).outcome(Outcome::WriteOnly),
        ])
        .assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_driver_that_polls_gets_its_factorial() -> Result<()> {
    let run = run(|a| {
        store(a, 0x08, 12)?;
        let mut poll = a.create_label();
        a.set_label(&mut poll)?;
        a.test(dword_ptr(edi + STATUS), 1)?;
        a.jne(poll)?;
        a.mov(eax, dword_ptr(edi + 0x08))
    })?;

    Expect::on(&run.trace)
        .sequence([
            write("BAR0.FACTORIAL").value(12),
            read("BAR0.STATUS").field("COMPUTING", 0),
            read("BAR0.FACTORIAL").value(479_001_600),
        ])
        .assert_passed();
    Ok(())
}
