//! Code that changes around its own accesses.

use anyhow::Result;
use barscope_bench::{Bench, raw_guest};
use barscope_trace::EventKind;
use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, dword_ptr, eax, ebx, ecx, edi, esi, esp};

use super::random::Random;
use super::{MEMORY_END, assert_through, exit, fill_requests, run, seeds};

/// Where the changing code is: in the middle of a page, across two, at the end of memory.
pub const PLACES: [u32; 3] = [0x28_0100, 0x28_0ffe, MEMORY_END - 4];
/// Of the stack.
pub const STACK: u32 = 0x27_0000;
/// Accesses to what EDI or ESI points at, each followed by `ret`.
const CODES: [[u8; 4]; 14] = [
    [0x89, 0x07, 0xc3, 0x90], // mov [edi], eax
    [0x8b, 0x07, 0xc3, 0x90], // mov eax, [edi]
    [0x88, 0x07, 0xc3, 0x90], // mov [edi], al
    [0x8a, 0x07, 0xc3, 0x90], // mov al, [edi]
    [0x01, 0x07, 0xc3, 0x90], // add [edi], eax
    [0x87, 0x07, 0xc3, 0x90], // xchg [edi], eax
    [0x03, 0x07, 0xc3, 0x90], // add eax, [edi]
    [0x66, 0x89, 0x07, 0xc3], // mov [edi], ax
    [0x0f, 0xb1, 0x0f, 0xc3], // cmpxchg [edi], ecx
    [0xf0, 0x01, 0x07, 0xc3], // lock add [edi], eax
    [0xab, 0xc3, 0x90, 0x90], // stosd
    [0xf3, 0xab, 0xc3, 0x90], // rep stosd
    [0xad, 0xc3, 0x90, 0x90], // lodsd
    [0xa5, 0xc3, 0x90, 0x90], // movsd
];

/// A code to be stored as one word.
pub fn code(random: &mut Random) -> u32 {
    u32::from_le_bytes(CODES[random.below(CODES.len() as u32) as usize])
}

/// Stores a code somewhere and calls it; what is in front of it, by which it is looked for once it has run, changes
/// as well.
pub fn change_and_call(a: &mut CodeAssembler, random: &mut Random) -> Result<(), IcedError> {
    let place = PLACES[random.below(3) as usize];
    for before in [4, 8, 12] {
        a.mov(dword_ptr(place - before), random.next() as i32)?;
    }
    a.mov(dword_ptr(place), code(random) as i32)?;
    // From a device to the bytes in front of the instruction that reads it, or from one device to another.
    let (from, other) = (random.address(), random.address());
    a.mov(esi, from)?;
    a.mov(edi, random.of([other, other, other, place - 12]))?;
    a.mov(ecx, random.below(4))?;
    a.mov(eax, random.value())?;
    a.mov(ebx, place)?;
    a.call(ebx)
}

#[test]
#[ignore = "needs /dev/kvm"]
fn code_that_changes_around_its_accesses_is_traced_to_its_end() -> Result<()> {
    const CALLS: u32 = 3000;
    for seed in seeds(2) {
        let mut random = Random::new(seed);
        let guest = raw_guest::assemble(|a| {
            a.mov(esp, STACK)?;
            fill_requests(a, &mut random)?;
            (0..CALLS).try_for_each(|_| change_and_call(a, &mut random))?;
            exit(a)
        })?;
        let run = run(Bench::kernel(guest))?;
        assert_through(&run);
        let events = run.trace.events().iter();
        let accesses = events.filter(|event| matches!(event.kind, EventKind::Access(_))).count();
        assert!(accesses > CALLS as usize, "{accesses}");
    }
    Ok(())
}
