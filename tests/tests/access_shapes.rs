//! Which accesses an instruction makes, and that they are traced under that one instruction: the same from
//! ring 0 and from ring 3, where KVM emulates the one and runs the other.

use anyhow::Result;
use barscope_analysis::assert::{Verdict, access, any_access, map, mark, page_fault};
use barscope_analysis::view::Place;
use barscope_bench::instructions::instructions;
use barscope_bench::play;
use barscope_trace::EventKind;
use barscope_trace::definition::Path;
use barscope_trace::event::Counted;

/// Plays a scenario whose instructions have to be these, from both rings.
fn check(scenario: &'static str, function: &str, expected: &[&str]) -> Result<()> {
    let run = play(scenario)?;
    for (cpl, path) in [(0, Path::Ioremap), (3, Path::Mmap)] {
        assert_eq!(instructions(&run.trace, "BAR2", cpl), expected, "in ring {cpl}");
        let count = expected.len() as u64;
        let all = access("BAR2.MEMORY").cpl(cpl).via(path).announced().uncached().function(function);
        run.expect(scenario).count(all, count..=count).assert_passed();
    }
    run.expect(scenario).never(any_access().cpl(3).via(Path::Ioremap)).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn an_access_of_1_2_4_or_8_bytes_is_one() -> Result<()> {
    check(
        "access-sizes",
        "shapes::sizes",
        &[
            "mov [rdi],al: W1 0x0=0x11",
            "mov [rdi+2],ax: W2 0x2=0x2211",
            "mov [rdi+4],eax: W4 0x4=0x44332211",
            "mov [rdi+8],rax: W8 0x8=0x8877665544332211",
            "mov al,[rdi]: R1 0x0=0x11",
            "mov ax,[rdi+2]: R2 0x2=0x2211",
            "mov eax,[rdi+4]: R4 0x4=0x44332211",
            "mov rax,[rdi+8]: R8 0x8=0x8877665544332211",
        ],
    )
}

#[test]
#[ignore = "needs /dev/kvm"]
fn every_form_of_instruction_makes_its_one_access() -> Result<()> {
    check(
        "instruction-forms",
        "shapes::forms",
        &[
            "movnti [rdi],eax: W4 0x0=0x44332211",
            "mov word ptr [rdi+4],0xFFFE: W2 0x4=0xfffe",
            "sete [rdi+6]: W1 0x6=0x1",
            "pop qword ptr [rdi+8]: W8 0x8=0x8877665544332211",
            "movzx eax,word ptr [rdi+4]: R2 0x4=0xfffe",
            "movsx rax,word ptr [rdi+4]: R2 0x4=0xfffe",
            "cmovne rax,[rdi+8]: R8 0x8=0x8877665544332211",
            "push qword ptr [rdi+8]: R8 0x8=0x8877665544332211",
            "cmp byte ptr [rdi+6],1: R1 0x6=0x1",
            "add eax,[rdi]: R4 0x0=0x44332211",
        ],
    )
}

#[test]
#[ignore = "needs /dev/kvm"]
fn an_access_at_an_odd_address_is_not_split() -> Result<()> {
    check(
        "unaligned",
        "shapes::unaligned",
        &[
            "mov [rdi+0x11],ax: W2 0x11=0x2211",
            "mov [rdi+0x17],eax: W4 0x17=0x44332211",
            "mov [rdi+0x23],rax: W8 0x23=0x8877665544332211",
            "mov ax,[rdi+0x11]: R2 0x11=0x2211",
            "mov eax,[rdi+0x17]: R4 0x17=0x44332211",
            "mov rax,[rdi+0x23]: R8 0x23=0x8877665544332211",
        ],
    )
}

#[test]
#[ignore = "needs /dev/kvm"]
fn an_access_across_the_end_of_a_page_is_split_there() -> Result<()> {
    check(
        "page-crossing",
        "shapes::page_crossing",
        &[
            "mov [rdi+0xFFF],ax: W1 0xfff=0x11, W1 0x1000=0x22",
            "mov ax,[rdi+0xFFF]: R1 0xfff=0x11, R1 0x1000=0x22",
            "mov [rdi+0xFFE],eax: W2 0xffe=0x2211, W2 0x1000=0x4433",
            "mov eax,[rdi+0xFFE]: R2 0xffe=0x2211, R2 0x1000=0x4433",
            "mov [rdi+0xFFD],rax: W3 0xffd=0x332211, W5 0x1000=0x8877665544",
            "mov rax,[rdi+0xFFD]: R3 0xffd=0x332211, R5 0x1000=0x8877665544",
            "add [rdi+0xFFE],eax: R2 0xffe=0x3322, R2 0x1000=0x5544, W2 0xffe=0x3423, W2 0x1000=0x5645",
            "mov rax,[rdi+0xFFD]: R3 0xffd=0x342311, R5 0x1000=0x8877665645",
        ],
    )
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_string_instruction_accesses_element_by_element() -> Result<()> {
    check(
        "string-moves",
        "shapes::strings",
        &[
            "rep stosd [rdi]: W4 0x0=0x44332211, W4 0x4=0x44332211, W4 0x8=0x44332211",
            "rep stosb [rdi]: W1 0xf=0xaa, W1 0xe=0xaa",
            "rep movsq [rdi],[rsi]: W8 0x20=0x8877665544332211, W8 0x28=0x778899aabbccddee",
            "rep movsd [rdi],[rsi]: R4 0x20=0x44332211, W4 0x40=0x44332211, R4 0x24=0x88776655, W4 0x44=0x88776655",
            "movsw [rdi],[rsi]: R2 0x20=0x2211, W2 0x50=0x2211",
            "rep movsb [rdi],[rsi]: R1 0x40=0x11, R1 0x41=0x22, R1 0x42=0x33",
            "stosw [rdi]: W2 0x60=0x2211",
            "lodsd [rsi]: R4 0x8=0x44332211",
            "lodsd [rsi]: R4 0x2c=0x778899aa",
            "lodsw [rsi]: R2 0x50=0x2211",
            "repe scasb [rdi]: R1 0xe=0xaa, R1 0xf=0xaa",
        ],
    )
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_read_modify_write_is_a_read_and_a_write() -> Result<()> {
    check(
        "read-modify-write",
        "shapes::read_modify_write",
        &[
            "mov [rdi],rax: W8 0x0=0x10",
            "add [rdi],eax: R4 0x0=0x10, W4 0x0=0x12",
            "inc byte ptr [rdi]: R1 0x0=0x12, W1 0x0=0x13",
            "lock or [rdi],ax: R2 0x0=0x13, W2 0x0=0x113",
            "lock bts dword ptr [rdi],0xC: R4 0x0=0x113, W4 0x0=0x1113",
            "xchg [rdi],rax: R8 0x0=0x1113, W8 0x0=0x20",
            "lock xadd [rdi],eax: R4 0x0=0x20, W4 0x0=0x23",
            "lock cmpxchg [rdi],ecx: R4 0x0=0x23, W4 0x0=0x77",
            // Refused: writes back what it found.
            "lock cmpxchg [rdi],ecx: R4 0x0=0x77, W4 0x0=0x77",
            "mov eax,[rdi]: R4 0x0=0x77",
        ],
    )
}

#[test]
#[ignore = "needs /dev/kvm"]
fn sixteen_bytes_are_two_times_eight() -> Result<()> {
    check(
        "sixteen-bytes",
        "shapes::sixteen_bytes",
        &[
            "mov [rdi],rax: W8 0x0=0x8877665544332211",
            "mov [rdi+8],rax: W8 0x8=0x778899aabbccddee",
            "movaps xmm0,[rdi]: R8 0x0=0x8877665544332211, R8 0x8=0x778899aabbccddee",
            "movups [rdi+0x21],xmm0: W8 0x21=0x8877665544332211, W8 0x29=0x778899aabbccddee",
            "movdqu xmm0,[rdi+0x21]: R8 0x21=0x8877665544332211, R8 0x29=0x778899aabbccddee",
            "movdqa [rdi+0x40],xmm0: W8 0x40=0x8877665544332211, W8 0x48=0x778899aabbccddee",
            "movdqa xmm0,[rdi+0x40]: R8 0x40=0x8877665544332211, R8 0x48=0x778899aabbccddee",
            "movdqu [rdi+0xFF4],xmm0: W8 0xff4=0x8877665544332211, W4 0xffc=0xbbccddee, W4 0x1000=0x778899aa",
            "movups xmm0,[rdi+0xFF4]: R8 0xff4=0x8877665544332211, R4 0xffc=0xbbccddee, R4 0x1000=0x778899aa",
            "movaps [rdi+0x50],xmm0: W8 0x50=0x8877665544332211, W8 0x58=0x778899aabbccddee",
            "mov rax,[rdi+0x50]: R8 0x50=0x8877665544332211",
            "mov rax,[rdi+0x58]: R8 0x58=0x778899aabbccddee",
        ],
    )
}

#[test]
#[ignore = "needs /dev/kvm"]
fn of_an_access_that_begins_in_memory_only_the_devices_half_is_seen() -> Result<()> {
    let run = play("half-in-memory")?;
    let expected =
        ["mov rax,[rdi]: R4 0x0=0x0", "mov [rdi],rax: W4 0x0=0xc0ffee1d", "mov rax,[rdi]: R4 0x0=0xc0ffee1d"];
    assert_eq!(instructions(&run.trace, "BAR2", 0), expected);
    let all = access("BAR2.MEMORY").via(Path::Ioremap).announced().function("edges::exchange");
    run.expect("half-in-memory").count(all, 3..=3).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn an_access_into_an_unmapped_page_faults_before_it_reaches_the_device() -> Result<()> {
    let run = play("half-unmapped")?;
    let scenario = run.expect("half-unmapped");
    scenario
        .sequence([
            map(Path::Mmap),
            mark("read across the end of the mapping"),
            page_fault(Counted::FaultFatal).address(0x4000_0000_1000).error_code(4),
        ])
        .assert_passed();
    scenario.never(access("BAR0")).assert_passed();
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn an_instruction_that_kvm_cannot_emulate_is_named_and_the_device_sees_nothing() -> Result<()> {
    let run = play("not-emulated")?;
    let refused =
        run.trace.views().all().iter().filter(|view| matches!(view.kind, EventKind::NotEmulated { .. }));
    let [view] = refused.collect::<Vec<_>>()[..] else { anyhow::bail!("not one record") };
    let register = view.place().and_then(Place::register_name);
    assert_eq!((view.gpa(), register.as_deref()), (Some(0xfe00_0008), Some("SCRATCH")));
    assert_eq!((view.cpl(), view.path()), (Some(3), Some(Path::Mmap)));
    assert!(view.walk().is_some_and(|walk| walk.announced), "{view:?}");
    assert!(view.mapping().is_some_and(|mapping| mapping.path == Path::Mmap), "{view:?}");
    assert!(view.code().is_some_and(|code| code.symbol.is_some()), "{view:?}");
    // It would have been one.
    let never = run.expect("not-emulated").never(access("BAR0"));
    assert!(matches!(never, Verdict::Inconclusive(_)), "{never}");
    Ok(())
}
