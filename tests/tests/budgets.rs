//! Does a guest that tells more than a trace keeps get less of the host, and of a verdict?
//!
//! Each guest goes over one budget. The run ends in order, the guest is told once, its later records are there, and
//! what they lack leaves a clause INCONCLUSIVE that would have passed.

use anyhow::Result;
use barscope_analysis::Trace;
use barscope_bench::command::Session;
use barscope_bench::raw_guest::{assemble, configure};
use barscope_guest_abi::request;
use barscope_trace::EventKind;
use barscope_trace::event::Target;
use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, al, byte_ptr, dword_ptr, dx, eax, ebx, ecx, edi, edx, esi};

/// Where guests put what requests point at.
const WORDS: u32 = 0x30_0000;
const TEXT: u32 = 0x30_0100;
/// 40 MiB that look like a program.
const PROGRAM: u32 = 0x40_0000;

/// Makes a request whose structure is at [`WORDS`].
fn request(a: &mut CodeAssembler, number: u32, size: usize) -> Result<(), IcedError> {
    a.mov(ebx, WORDS)?;
    a.mov(ecx, size as i32)?;
    a.mov(edx, u32::from(barscope_guest_abi::PORT))?;
    a.mov(eax, number)?;
    a.out(dx, eax)
}

/// Stores one of the structure's words, less than 4 GiB.
fn word(a: &mut CodeAssembler, index: u32, value: u32) -> Result<(), IcedError> {
    a.mov(edi, WORDS + 8 * index)?;
    a.mov(dword_ptr(edi), value)?;
    a.mov(dword_ptr(edi + 4), 0)
}

/// Repeats `body` `count` times; ESI counts down to 1.
fn repeat(
    a: &mut CodeAssembler,
    count: u32,
    body: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>,
) -> Result<(), IcedError> {
    let mut again = a.create_label();
    a.mov(esi, count)?;
    a.set_label(&mut again)?;
    body(a)?;
    a.dec(esi)?;
    a.jne(again)
}

fn exit(a: &mut CodeAssembler) -> Result<(), IcedError> {
    word(a, 0, 0)?;
    request(a, request::EXIT, size_of::<barscope_guest_abi::Exit>())
}

/// Runs a guest of this code. `expectation` can't be decided, and the guest is told once that a trace keeps no more of
/// `what`.
fn open(
    code: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>,
    expectation: &str,
    what: &str,
) -> Result<Trace> {
    let session = Session::new()?;
    let guest = assemble(|a| {
        code(a)?;
        exit(a)
    })?;
    session.file("guest", &guest)?;
    session.file("open.expect", expectation.as_bytes())?;
    let options = ["--memory", "64", "--timeout", "300", "--quiet", "--expect", "open.expect"];
    let ended = session.run(&[&["--kernel", "guest"], &options[..]].concat())?;
    assert_eq!(ended.code, Some(4), "{}{}", ended.stdout, ended.stderr);
    let warning = format!("a trace keeps {what}: later records lack theirs");
    assert_eq!(ended.stderr.matches(&warning).count(), 1, "{}", ended.stderr);
    let trace = session.trace()?;
    let texts = trace.events().iter().filter(|event| match event.kind {
        EventKind::Warning { text } => trace.definitions().text(text) == warning,
        _ => false,
    });
    assert_eq!(texts.count(), 1);
    assert_eq!((trace.info().lost, trace.info().damage), (0, &[][..]));
    Ok(trace)
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn marks_of_more_texts_than_a_trace_keeps_are_still_marks() -> Result<()> {
    let marks = |a: &mut CodeAssembler| {
        word(a, 0, TEXT)?;
        word(a, 1, 3)?;
        repeat(a, 65_540, |a| {
            a.mov(ecx, esi)?;
            a.mov(edi, TEXT)?;
            for at in 0..3 {
                a.mov(eax, ecx)?;
                a.and(eax, 0x3f)?;
                a.add(eax, 0x30)?;
                a.mov(byte_ptr(edi + at), al)?;
                a.shr(ecx, 6)?;
            }
            request(a, request::MARK, size_of::<barscope_guest_abi::Mark>())
        })
    };
    let never = "mark \"never said\"\ntest \"t\"\n  never mark \"never said\"\n";
    let trace = open(marks, never, "65536 texts")?;
    let marks = trace.events().iter().filter_map(|event| match event.kind {
        EventKind::Mark { text, .. } => Some(text),
        _ => None,
    });
    let ids: Vec<_> = marks.collect();
    assert_eq!((ids.len(), ids.iter().filter(|id| **id == 0).count()), (65_540, 4));
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn console_lines_of_more_texts_than_a_trace_keeps_are_still_lines() -> Result<()> {
    let lines = |a: &mut CodeAssembler| {
        a.mov(edx, 0x3f8)?;
        repeat(a, 65_540, |a| {
            a.mov(ecx, esi)?;
            for _ in 0..3 {
                a.mov(eax, ecx)?;
                a.and(eax, 0x3f)?;
                a.add(eax, 0x30)?;
                a.out(dx, al)?;
                a.shr(ecx, 6)?;
            }
            a.mov(eax, 0x0a)?;
            a.out(dx, al)
        })
    };
    let never = "test \"t\"\n  never console \"never said\"\n";
    let trace = open(lines, never, "65536 console lines")?;
    let lines = trace.events().iter().filter_map(|event| match event.kind {
        EventKind::Console { text } => Some(text),
        _ => None,
    });
    let ids: Vec<_> = lines.collect();
    assert_eq!((ids.len(), ids.iter().filter(|id| **id == 0).count()), (65_540, 4));
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn accesses_through_more_pages_than_a_trace_keeps_are_still_accesses() -> Result<()> {
    let pages = |a: &mut CodeAssembler| {
        a.mov(edi, 0x8000_0000_u32)?;
        repeat(a, 65_540, |a| {
            a.mov(eax, dword_ptr(edi))?;
            a.add(edi, 0x1000)
        })
    };
    let trace = open(pages, "test \"t\"\n  never read via mmap\n", "65536 page walks")?;
    let walks = trace.events().iter().filter_map(|event| match event.kind {
        EventKind::Access(access) => Some(access.walk),
        _ => None,
    });
    let ids: Vec<_> = walks.collect();
    assert_eq!((ids.len(), ids.iter().filter(|id| **id == 0).count()), (65_540, 4));
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn accesses_to_a_bar_at_more_addresses_than_a_trace_keeps_are_still_accesses() -> Result<()> {
    let moves = |a: &mut CodeAssembler| {
        configure(a, 4, 0x04, 2)?;
        a.mov(edi, 0x8000_0000_u32)?;
        repeat(a, 16_388, |a| {
            configure(a, 4, 0x10, 0)?;
            a.mov(eax, edi)?;
            a.out(dx, eax)?;
            a.add(edi, 0x1000)
        })?;
        a.mov(dword_ptr(edi - 0x1000 + 8), 0x77)
    };
    let trace = open(moves, "test \"t\"\n  never write BAR2\n", "16384 routes")?;
    let last = trace.events().iter().rev().find_map(|event| match event.kind {
        EventKind::Access(access) => Some(access),
        _ => None,
    });
    let last = last.map(|access| (access.route, access.target, access.value, access.outcome.name()));
    assert_eq!(last, Some((0, Target::Memory(0x8400_3008), 0x77, "ok")));
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn mappings_that_a_trace_has_no_room_for_are_still_made_and_undone() -> Result<()> {
    let maps = |a: &mut CodeAssembler| {
        word(a, 1, barscope_guest_abi::path::IOREMAP as u32)?;
        word(a, 4, 0x1000)?;
        repeat(a, 65_540, |a| {
            a.mov(edi, WORDS)?;
            a.mov(dword_ptr(edi), esi)?;
            request(a, request::MAP, size_of::<barscope_guest_abi::Map>())
        })?;
        word(a, 0, 1)?;
        request(a, request::UNMAP, size_of::<barscope_guest_abi::Unmap>())
    };
    let trace = open(maps, "test \"t\"\n  never map via sysfs\n", "65536 mappings")?;
    let maps = trace.events().iter().filter(|event| matches!(event.kind, EventKind::Map { .. }));
    assert_eq!(maps.count(), 65_540);
    assert!(trace.events().iter().any(|event| event.kind == EventKind::Unmap { mapping: 0 }));
    Ok(())
}

#[test]
#[ignore = "needs this machine's /dev/kvm"]
fn programs_that_a_trace_has_no_room_for_leave_names_open() -> Result<()> {
    let programs = |a: &mut CodeAssembler| {
        for (at, value) in [(0, 0x464c_457f_u32), (4, 0x0001_0102), (16, 0x003e_0002), (20, 1), (52, 64)] {
            a.mov(edi, PROGRAM + at)?;
            a.mov(dword_ptr(edi), value)?;
        }
        word(a, 0, TEXT)?;
        word(a, 2, PROGRAM)?;
        word(a, 3, 40 << 20)?;
        repeat(a, 8, |a| request(a, request::IMAGE, size_of::<barscope_guest_abi::Image>()))
    };
    let what = "1024 executables, or 256 MiB of them";
    let trace = open(programs, "test \"t\"\n  never write in \"unknown\"\n", what)?;
    // The kernel is one.
    assert_eq!(trace.definitions().images().count(), 1 + 6);
    Ok(())
}
