//! Does anything that a guest does end more than the guest?
//!
//! Guests of random instructions, the same ones each time: configuration writes, loads and stores in and
//! around BARs wherever those are by then, ports, and requests to the bench that make no sense.

use anyhow::Result;
use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, al, ax, byte_ptr, dword_ptr, dx, eax, ebx, ecx, edi, edx, word_ptr};
use tests::{Bench, Run, raw_guest};
use trace::print::{JsonPrinter, TextPrinter, print};
use trace::{Clock, EventKind};
use vmm::Stop;

const OPERATIONS: u32 = 3000;
/// Memory that a request may point at: filled with small numbers and addresses, for structures to be
/// made of.
const REQUESTS: u32 = 0x20_0000;
const REQUESTS_SIZE: u32 = 0x400;
/// Of the guest ABI.
const EXIT: u32 = 9;

/// Random numbers, by xorshift.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as u32
    }

    fn below(&mut self, limit: u32) -> u32 {
        self.next() % limit
    }

    fn of<const N: usize>(&mut self, values: [u32; N]) -> u32 {
        values[self.below(N as u32) as usize]
    }

    /// A value that registers may react to.
    fn value(&mut self) -> u32 {
        let any = self.next();
        self.of([0, 1, 2, 4, 7, 0x1f, 0x8000, 0xfe00_0000, 0xfe00_1000, 0xffff_ffff, 0xffff_fffe, any])
    }

    /// An address where a BAR is or might be, or of configuration space; never of memory, nor of the
    /// interrupt controllers.
    fn address(&mut self) -> u32 {
        let near = self.below(0x120);
        let place = self.of([
            0xfe00_0000,
            0xfe00_0000,
            0xfe00_0ff0,
            0xfe00_1000,
            0xfe00_17f0,
            0xfe00_2000,
            0xfd00_0000,
            0xfd0f_fff0,
            0xe002_0000,
            0xe004_0000,
            0xe00f_fff0,
            0x7fff_ff00,
            0xfffe_f000,
        ]);
        place + near
    }
}

fn operation(a: &mut CodeAssembler, random: &mut Random) -> Result<(), IcedError> {
    match random.below(8) {
        0 | 1 => configure(a, random),
        2..=4 => {
            a.mov(edi, random.address())?;
            a.mov(eax, random.value())?;
            match random.below(7) {
                0 => a.mov(byte_ptr(edi), al),
                1 => a.mov(word_ptr(edi), ax),
                2 | 3 => a.mov(dword_ptr(edi), eax),
                4 => a.mov(al, byte_ptr(edi)),
                5 => a.mov(ax, word_ptr(edi)),
                _ => a.mov(eax, dword_ptr(edi)),
            }
        }
        5 => {
            let (bar, data, odd) = (0xc000 + random.below(0x18), 0xcf8 + random.below(8), random.below(0x20));
            port(a, random, [bar, data, 0x3f8 + odd % 8, 0xb5c])
        }
        6 => request(a, random),
        _ => {
            a.mov(edi, random.address())?;
            a.mov(eax, random.value())?;
            a.add(dword_ptr(edi), eax)
        }
    }
}

/// Writes a register in configuration space of a function that is there, or is not.
fn configure(a: &mut CodeAssembler, random: &mut Random) -> Result<(), IcedError> {
    let function = random.of([0x2000, 0x2000, 0x2000, 0x4000, 0x0000, 0x2100, 0xf_f800]);
    let register = random.of([0x04, 0x04, 0x10, 0x14, 0x18, 0x1c, 0x20, 0x24, 0x30, 0x44, 0x48, 0x60, 0x74]);
    a.mov(edx, 0xcf8)?;
    a.mov(eax, 0x8000_0000 | function | register)?;
    a.out(dx, eax)?;
    let base = random.of([0xfe00_0000, 0xfe00_1000, 0xfe00_2000, 0xfd00_0000, 0x0000_c000, 0x0010_0000]);
    let value = random.value();
    let value = random.of([base, base, value, 0x7, 0x407]);
    match random.below(4) {
        0 => port(a, random, [0xcfc, 0xcfd, 0xcfe, 0xcff]),
        _ => {
            a.mov(edx, 0xcfc)?;
            a.mov(eax, value)?;
            a.out(dx, eax)
        }
    }
}

/// Reads or writes a port, in some width. Resets nothing.
fn port(a: &mut CodeAssembler, random: &mut Random, ports: [u32; 4]) -> Result<(), IcedError> {
    let port = random.of(ports);
    // A write that covers the port of the reset register may reset the machine.
    let write = !(0xcf6..=0xcf9).contains(&port) && port != 0xb5c;
    a.mov(edx, port)?;
    a.mov(eax, random.value())?;
    match (random.below(3), write && random.below(2) == 0) {
        (0, true) => a.out(dx, al),
        (1, true) => a.out(dx, ax),
        (_, true) => a.out(dx, eax),
        (0, false) => a.in_(al, dx),
        (1, false) => a.in_(ax, dx),
        (_, false) => a.in_(eax, dx),
    }
}

/// A request of any number but the one that ends the run, mostly of the size that it has to have.
fn request(a: &mut CodeAssembler, random: &mut Random) -> Result<(), IcedError> {
    let number = random.below(13);
    let number = if number == EXIT { 77 } else { number };
    let right = match number {
        1 | 5 => 16,
        2 => 88,
        3 | 10 | 11 => 8,
        4 | 7 => 40,
        6 => 24,
        _ => 0,
    };
    let inside = REQUESTS + random.below(REQUESTS_SIZE);
    let pointer = random.of([inside, inside, inside, inside, 0, 0x1ff_fffc, 0x200_0000, 0xffff_fff0]);
    a.mov(ebx, pointer)?;
    a.mov(ecx, random.of([right, right, right, right, 0, 8, 0xffff_ffff]))?;
    a.mov(eax, number)?;
    a.mov(edx, u32::from(protocol::PORT))?;
    a.out(dx, eax)
}

fn guest(seed: u64) -> Result<Vec<u8>> {
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ seed << 32);
    raw_guest::assemble(|a| {
        a.mov(edi, REQUESTS)?;
        for _ in 0..REQUESTS_SIZE / 4 {
            let (small, any) = (random.below(16), random.next());
            a.mov(dword_ptr(edi), random.of([0, 0, small, small, REQUESTS, 0xffff_ffff, any]) as i32)?;
            a.add(edi, 4)?;
        }
        for _ in 0..OPERATIONS {
            operation(a, &mut random)?;
        }
        a.ud2()
    })
}

/// The guest comes to its end, a triple fault, and everything can be read and printed.
fn check(run: &Run) -> Result<()> {
    assert!(matches!(run.stop, Stop::TripleFault(_)), "{:?}", run.stop);
    assert_eq!(run.trace.lost(), 0);
    assert!(run.trace.events().iter().any(|event| matches!(event.kind, EventKind::Warning { .. })));
    print(&run.trace, &mut TextPrinter::new(Vec::new(), Clock::Virtual, 80, true))?;
    print(&run.trace, &mut JsonPrinter::new(Vec::new(), Clock::Virtual))?;
    Ok(())
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
    for (seed, options) in (1..).zip(told.into_iter().cycle().take(8)) {
        check(&Bench::kernel(guest(seed)?).device("lab", options)?.run()?)?;
    }
    Ok(())
}
