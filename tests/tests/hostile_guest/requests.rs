//! Every request of the guest ABI, and some that there aren't, with every size and pointer.

use anyhow::Result;
use barscope_bench::{Bench, raw_guest};
use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, dword_ptr};

use super::random::Random;
use super::{
    EXIT, MEMORY_END, REQUESTS, REQUESTS_SIZE, ask, assert_through, exit, fill_requests, run, seeds, warnings,
};

const NUMBERS: [u32; 20] =
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 0x8000_0001, 0xffff_ffff];
const SIZES: [u32; 9] = [0, 1, 8, 16, 24, 40, 48, 88, 0xffff_ffff];
/// In memory, at its end, across it, behind it; where devices are; where nothing is.
const POINTERS: [u32; 10] = [
    REQUESTS,
    REQUESTS + 4,
    0,
    MEMORY_END - 8,
    MEMORY_END - 4,
    MEMORY_END,
    0xfe00_0000,
    0xfee0_0000,
    0x8000_0000,
    0xffff_fff8,
];

/// A word of 64 bits, as a structure has them: a number, an address that may wrap, a length.
pub fn word(random: &mut Random) -> u64 {
    let small = u64::from(random.below(0x20));
    let inside = u64::from(REQUESTS + random.below(REQUESTS_SIZE));
    let any = u64::from(random.next()) << 32 | u64::from(random.next());
    let words = [
        0,
        small,
        small,
        inside,
        inside,
        0x1000,
        u64::from(MEMORY_END) - small,
        u64::from(MEMORY_END),
        0xfe00_0000,
        0xffff_ffff,
        0x1_0000_0000,
        64 << 20,
        0x7fff_ffff_ffff_fff8,
        0x8000_0000_0000_0000,
        u64::MAX - small,
        any,
    ];
    words[random.below(words.len() as u32) as usize]
}

/// Puts a word at an address.
pub fn put(a: &mut CodeAssembler, address: u32, word: u64) -> Result<(), IcedError> {
    a.mov(dword_ptr(address), word as u32 as i32)?;
    a.mov(dword_ptr(address + 4), (word >> 32) as i32)
}

#[test]
#[ignore = "needs /dev/kvm"]
fn a_request_of_any_number_size_and_pointer_is_answered_or_complained_of() -> Result<()> {
    for seed in seeds(1) {
        let mut random = Random::new(seed);
        let guest = raw_guest::assemble(|a| {
            fill_requests(a, &mut random)?;
            for (number, size) in NUMBERS.into_iter().flat_map(|number| SIZES.map(|size| (number, size))) {
                for pointer in POINTERS {
                    for index in 0..11 {
                        put(a, REQUESTS + index * 8, word(&mut random))?;
                    }
                    if (number, size) != (EXIT, 8) {
                        ask(a, number, pointer, size)?;
                    }
                }
            }
            exit(a)
        })?;
        let run = run(Bench::kernel(guest))?;
        assert_through(&run);
        // Those that there aren't, at least.
        assert!(warnings(&run) > 4 * SIZES.len() * POINTERS.len(), "{}", warnings(&run));
    }
    Ok(())
}
