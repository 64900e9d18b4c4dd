//! Does anything that a guest does end more than the guest?
//!
//! Guests made from seeds, which are printed: random instructions, requests to the bench with every size and
//! pointer, page tables that lead in circles or to devices, code that changes under its own accesses, every port.
//! `BARSCOPE_CASES=N` makes N guests of each kind instead of a few.

mod anything;
mod code;
mod page_tables;
mod ports;
mod random;
mod requests;
mod two_cpus;

use std::time::{Duration, Instant};

use anyhow::Result;
use barscope_analysis::print::{JsonPrinter, TextPrinter, print};
use barscope_bench::{Bench, Run, raw_guest};
use barscope_trace::{Clock, EventKind};
use barscope_vmm::Stop;
use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, dword_ptr, dx, eax, ebx, ecx, edi, edx};

use random::Random;

/// Instructions or so of a guest.
const OPERATIONS: u32 = 3000;
/// Memory that a request may point at: filled with small numbers and addresses, for structures to be
/// made of.
const REQUESTS: u32 = 0x20_0000;
const REQUESTS_SIZE: u32 = 0x400;
/// End of the guest's memory.
const MEMORY_END: u32 = 0x200_0000;
/// Of the guest ABI.
const EXIT: u32 = 9;
/// What a guest says that got through all of its code.
const THROUGH: u32 = 42;
/// How long a guest may take.
const TIME_LIMIT: Duration = Duration::from_secs(20);
/// How much longer the bench may take to stop it, with the trace's reading.
const PATIENCE: Duration = Duration::from_secs(5);

/// Seeds: as many as the environment asks for, or `few`.
fn seeds(few: u64) -> impl Iterator<Item = u64> {
    let asked = std::env::var("BARSCOPE_CASES").ok().and_then(|text| text.parse().ok());
    (1..=asked.unwrap_or(few)).inspect(|seed| println!("seed {seed}"))
}

/// Structures for requests to be made of.
fn fill_requests(a: &mut CodeAssembler, random: &mut Random) -> Result<(), IcedError> {
    a.mov(edi, REQUESTS)?;
    for _ in 0..REQUESTS_SIZE / 4 {
        let (small, any) = (random.below(16), random.next());
        a.mov(dword_ptr(edi), random.of([0, 0, small, small, REQUESTS, 0xffff_ffff, any]) as i32)?;
        a.add(edi, 4)?;
    }
    Ok(())
}

/// A request that is as it should be: the guest is through.
fn exit(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.mov(dword_ptr(REQUESTS), THROUGH as i32)?;
    a.mov(dword_ptr(REQUESTS + 4), 0)?;
    ask(a, EXIT, REQUESTS, 8)
}

/// Makes a request.
fn ask(a: &mut CodeAssembler, number: u32, pointer: u32, size: u32) -> Result<(), IcedError> {
    a.mov(ebx, pointer)?;
    a.mov(ecx, size)?;
    a.mov(eax, number)?;
    a.mov(edx, u32::from(barscope_guest_abi::PORT))?;
    a.out(dx, eax)
}

/// Runs a guest; it has to be over in time, and everything can be read and printed.
fn run(bench: Bench) -> Result<Run> {
    let began = Instant::now();
    let run = bench.time_limit(TIME_LIMIT).run()?;
    assert!(began.elapsed() < TIME_LIMIT + PATIENCE, "it took {:?}", began.elapsed());
    assert_eq!(run.trace.info().lost, 0);
    print(&run.trace, &mut TextPrinter::new(Vec::new(), Clock::Virtual, 80, true))?;
    print(&run.trace, &mut JsonPrinter::new(Vec::new(), Clock::Virtual))?;
    Ok(run)
}

/// The guest came to the end of its code.
fn assert_through(run: &Run) {
    assert!(matches!(run.stop, Stop::Exit { status } if status == u64::from(THROUGH)), "{:?}", run.stop);
}

/// The guest came to an end of its own, and not the bench.
fn assert_ended(run: &Run) {
    let by_itself = matches!(
        run.stop,
        Stop::Exit { .. } | Stop::Reset | Stop::PowerOff | Stop::TripleFault(_) | Stop::Halted(_)
    );
    // KVM itself may refuse to go on.
    let by_kvm = matches!(run.stop, Stop::NotEmulated { .. } | Stop::Unexpected { .. });
    assert!(by_itself || by_kvm, "{:?}", run.stop);
}

fn warnings(run: &Run) -> usize {
    run.trace.events().iter().filter(|event| matches!(event.kind, EventKind::Warning { .. })).count()
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_guest_that_does_anything_at_random_ends_nothing_but_itself() -> Result<()> {
    let told: [&[(&str, &str)]; 4] = [
        &[],
        &[("memory", "direct"), ("doorbells", "ioeventfd")],
        &[("doorbells", "coalesced"), ("msi-address", "32")],
        &[("msix", "off"), ("msi-vectors", "0")],
    ];
    for (seed, options) in seeds(8).zip(told.into_iter().cycle()) {
        let mut random = Random::new(seed);
        let guest = raw_guest::assemble(|a| {
            fill_requests(a, &mut random)?;
            (0..OPERATIONS).try_for_each(|_| anything::operation(a, &mut random))?;
            a.ud2()
        })?;
        let run = run(Bench::kernel(guest).device("lab", options)?)?;
        assert!(matches!(run.stop, Stop::TripleFault(_)), "{:?}", run.stop);
        assert!(warnings(&run) > 0);
    }
    Ok(())
}
