//! What does a trace say of accesses that KVM serves by itself?

use anyhow::Result;
use barscope_analysis::assert::{Verdict, read, write};
use barscope_bench::raw_guest::store;
use barscope_bench::{Bench, Run, raw_guest};
use barscope_trace::EventKind;
use barscope_trace::event::{AccessEvent, Backing, Target};
use barscope_vmm::Stop;
use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, dword_ptr, eax, edi};

const BAR0: u32 = 0xfe00_0000;
const BAR2: u32 = 0xfd00_0000;
const BAR4: u32 = 0xfe00_2000;
const BAR5: u32 = 0xfe00_4000;
const SCRATCH: u32 = BAR0 + 0x08;
const CONTROL: u32 = BAR0 + 0x0c;
const DOORBELL_COUNT: u32 = BAR0 + 0x80;
/// CONTROL: while set, BAR2 is served the other way, direct instead of trapped.
const FLIP: u32 = 4;

/// Reads a register or memory, and keeps what it read in SCRATCH.
fn load_to_scratch(a: &mut CodeAssembler, address: u32) -> Result<(), IcedError> {
    a.mov(edi, address)?;
    a.mov(eax, dword_ptr(edi))?;
    a.mov(edi, SCRATCH)?;
    a.mov(dword_ptr(edi), eax)
}

/// Boots a guest that gives `lab`, made with `options`, its addresses, runs `code` and ends.
fn run(
    options: &[(&str, &str)],
    code: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>,
) -> Result<Run> {
    let guest = raw_guest::assemble(|a| {
        let bars = [(0x10, BAR0), (0x18, BAR2), (0x1c, 0), (0x20, BAR4), (0x24, BAR5), (0x04, 6)];
        for (register, value) in bars {
            raw_guest::configure(a, 4, register, value)?;
        }
        code(a)?;
        a.ud2()
    })?;
    let run = Bench::kernel(guest).device("lab", options)?.firmware(false).run()?;
    assert!(matches!(run.stop, Stop::TripleFault(_)), "{:?}", run.stop);
    assert_eq!(run.trace.info().lost, 0);
    Ok(run)
}

fn accesses(run: &Run) -> impl Iterator<Item = (u64, AccessEvent)> + '_ {
    run.trace.events().iter().filter_map(|event| match event.kind {
        EventKind::Access(access) => Some((event.seq, access)),
        _ => None,
    })
}

/// Accesses to `size` bytes from `base` on.
fn accesses_in(run: &Run, base: u32, size: u32) -> Vec<(u64, AccessEvent)> {
    let range = u64::from(base)..u64::from(base) + u64::from(size);
    let inside = |access: &AccessEvent| matches!(access.target, Target::Memory(gpa) if range.contains(&gpa));
    accesses(run).filter(|(_, access)| inside(access)).collect()
}

/// What the guest wrote to SCRATCH, in order.
fn scratch(run: &Run) -> Vec<u64> {
    accesses_in(run, SCRATCH, 4).iter().map(|(_, access)| access.value).collect()
}

fn backings(run: &Run) -> Vec<Backing> {
    let backing = |kind: &EventKind| match kind {
        EventKind::Backing { backing, .. } => Some(*backing),
        _ => None,
    };
    run.trace.events().iter().filter_map(|event| backing(&event.kind)).collect()
}

/// Offset and number of the pages that were written unseen, and between which records.
fn pages_written(run: &Run) -> Vec<(u64, u64, std::ops::Range<u64>)> {
    let written = |seq: u64, kind: &EventKind| match kind {
        EventKind::PagesWritten { offset, pages, since, .. } => Some((*offset, *pages, *since..seq)),
        _ => None,
    };
    run.trace.events().iter().filter_map(|event| written(event.seq, &event.kind)).collect()
}

#[test]
#[ignore = "needs /dev/kvm"]
fn directly_mapped_memory_is_reported_by_the_pages_that_were_written() -> Result<()> {
    let run = run(&[("memory", "direct")], |a| {
        store(a, BAR2 + 0x1000, 0x11)?;
        store(a, BAR2 + 0x3ffc, 0x22)?;
        store(a, BAR2 + 0x4000, 0x33)?;
        load_to_scratch(a, BAR2 + 0x3ffc)
    })?;

    assert_eq!(scratch(&run), [0x22]);
    assert_eq!(backings(&run), [Backing::Direct]);
    assert_eq!(accesses_in(&run, BAR2, 0x10_0000), []);
    let written = pages_written(&run);
    let pages: Vec<_> = written.iter().map(|(offset, pages, _)| (*offset, *pages)).collect();
    assert_eq!(pages, [(0x1000, 1), (0x3000, 2)]);
    let scratch_written = accesses_in(&run, SCRATCH, 4)[0].0;
    assert!(written.iter().all(|(.., between)| between.contains(&scratch_written)), "{written:?}");
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn memory_keeps_its_content_when_it_changes_between_trapped_and_direct() -> Result<()> {
    let run = run(&[], |a| {
        store(a, BAR2 + 0x1000, 0x11)?;
        store(a, CONTROL, FLIP)?;
        load_to_scratch(a, BAR2 + 0x1000)?;
        store(a, BAR2 + 0x1000, 0x22)?;
        store(a, CONTROL, 0)?;
        load_to_scratch(a, BAR2 + 0x1000)
    })?;

    assert_eq!(scratch(&run), [0x11, 0x22]);
    assert_eq!(backings(&run), [Backing::Direct, Backing::Trapped]);
    let seen: Vec<_> =
        accesses_in(&run, BAR2, 0x10_0000).iter().map(|(_, access)| (access.write, access.value)).collect();
    assert_eq!(seen, [(true, 0x11), (false, 0x22)]);
    let pages: Vec<_> = pages_written(&run).iter().map(|(offset, pages, _)| (*offset, *pages)).collect();
    assert_eq!(pages, [(0x1000, 1)]);
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn memory_stays_trapped_at_an_address_that_kvm_has_no_memory_at() -> Result<()> {
    let run = run(&[("memory", "direct")], |a| {
        // Decoding stays on: the upper half takes BAR2 past every processor's last address.
        for (register, value) in [(0x1c, 0xffff_fff0), (0x1c, 0)] {
            raw_guest::configure(a, 4, register, value)?;
        }
        store(a, BAR2 + 0x1000, 0x11)?;
        load_to_scratch(a, BAR2 + 0x1000)
    })?;

    assert_eq!(scratch(&run), [0x11]);
    let last = backings(&run).last().copied();
    assert_eq!(last, Some(Backing::Direct));
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn the_scenario_shows_what_a_trace_can_not_see() -> Result<()> {
    let run = barscope_bench::play("direct-memory")?;

    let scenario = run.expect("direct-memory");
    scenario
        .sequence([
            write("BAR2.MEMORY").value(0xc0ff_ee1b),
            read("BAR2.MEMORY").value(0xc0ff_ee1b),
            write("BAR0.CONTROL").field("FLIP", 1),
            write("BAR0.CONTROL").field("FLIP", 0),
            read("BAR2.MEMORY").value(0xc0ff_ee1c),
        ])
        .assert_passed();
    assert_eq!(backings(&run), [Backing::Direct, Backing::Trapped]);
    let pages: Vec<_> = pages_written(&run).iter().map(|(offset, pages, _)| (*offset, *pages)).collect();
    assert_eq!(pages, [(0, 1)]);
    // The write while it was direct is not in the trace, and the trace does not claim that there was none.
    let unseen = scenario.never(write("BAR2.MEMORY").value(0xc0ff_ee1c));
    assert!(matches!(unseen, Verdict::Inconclusive(_)), "{unseen:?}");
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn doorbells_that_kvm_takes_are_counted() -> Result<()> {
    let run = run(&[("doorbells", "ioeventfd")], |a| {
        store(a, BAR5 + 0x20, 1)?;
        store(a, BAR5 + 0x20, 2)?;
        store(a, BAR5 + 0xe0, 3)?;
        load_to_scratch(a, DOORBELL_COUNT)
    })?;

    assert_eq!(scratch(&run), [3]);
    assert_eq!(backings(&run), [Backing::Doorbell]);
    assert_eq!(accesses_in(&run, BAR5, 0x100), []);
    let rung: u64 = run
        .trace
        .events()
        .iter()
        .filter_map(|event| match event.kind {
            EventKind::Doorbell { count, .. } => Some(count),
            _ => None,
        })
        .sum();
    assert_eq!(rung, 3);
    Ok(())
}

#[test]
#[ignore = "needs /dev/kvm"]
fn coalesced_writes_arrive_before_the_next_exit_and_say_so() -> Result<()> {
    let run = run(&[("doorbells", "coalesced")], |a| {
        store(a, BAR5, 0x31)?;
        store(a, BAR5 + 0x20, 0x32)?;
        store(a, BAR5 + 0x40, 0x33)?;
        load_to_scratch(a, DOORBELL_COUNT)
    })?;

    assert_eq!(scratch(&run), [3]);
    assert_eq!(backings(&run), [Backing::Coalesced]);
    let gathered = accesses_in(&run, BAR5, 0x100);
    let values: Vec<_> = gathered.iter().map(|(_, access)| access.value).collect();
    assert_eq!(values, [0x31, 0x32, 0x33]);
    assert!(gathered.iter().all(|(_, access)| access.coalesced && access.instruction == 0));
    let read = accesses_in(&run, DOORBELL_COUNT, 4)[0].0;
    assert!(gathered.iter().all(|(seq, _)| *seq < read));
    Ok(())
}
