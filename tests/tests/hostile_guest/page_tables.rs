//! Page tables that lead in circles, to devices, beyond memory: walked for requests, then by the processor.

use anyhow::Result;
use barscope_bench::{Bench, raw_guest};
use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, cr0, cr3, cr4, dword_ptr, eax, ecx};

use super::random::Random;
use super::requests::put;
use super::{REQUESTS, ask, assert_ended, exit, fill_requests, run, seeds, warnings};

const PML4: u32 = 0x30_0000;
const PDPT: u32 = 0x30_1000;
const PD: u32 = 0x30_2000;
/// Entries of each that aren't as they should be.
const STRANGE: u32 = 16;
const REQUESTS_MADE: u32 = 1000;

/// An entry to any of the tables themselves, a device, nothing, or with bits that are reserved there.
fn entry(random: &mut Random) -> u64 {
    let any = u64::from(random.next()) << 32 | u64::from(random.next());
    let table = u64::from(random.of([PML4, PDPT, PD]));
    let flags = u64::from(random.of([0x3, 0x7, 0x83, 0x1, 0x0, 0xe3]));
    let entries = [
        table,
        table,
        0xfe00_0000,
        0xfee0_0000,
        0x1ff_f000,
        0x200_0000,
        0xffff_f000,
        0x000f_ffff_ffff_f000,
        0xfff0_0000_0000_0000 | table,
        any & !0xfff,
    ];
    entries[random.below(entries.len() as u32) as usize] | flags
}

/// An address by way of these tables, most often below 4 GiB.
fn address(random: &mut Random) -> u64 {
    let pml4 = u64::from(random.of([0, 0, 0, 1, 2, 15, 256, 511]));
    let pdpt = u64::from(random.of([0, 1, 2, 3]));
    let pd = u64::from(random.below(STRANGE + 2));
    let rest = u64::from(random.of([0, 0xff8, 0xffc, 0x1f_fffc, 0x1000]));
    let bits = pml4 << 39 | pdpt << 30 | pd << 21 | rest;
    // Sign extension, or an address that isn't canonical.
    if pml4 < 256 || random.below(2) == 0 { bits } else { bits | 0xffff << 48 }
}

/// Long mode with 32-bit code: the first 4 MiB lead to themselves.
fn set_up(a: &mut CodeAssembler, random: &mut Random) -> Result<(), IcedError> {
    put(a, PML4, u64::from(PDPT) | 3)?;
    put(a, PDPT, u64::from(PD) | 3)?;
    put(a, PD, 0x83)?;
    put(a, PD + 8, 0x20_0083)?;
    for index in 1..STRANGE {
        put(a, PML4 + index * 8, entry(random))?;
        put(a, PDPT + index * 8, entry(random))?;
        put(a, PD + (index + 1) * 8, entry(random))?;
    }
    put(a, PML4 + 256 * 8, entry(random))?;
    put(a, PML4 + 511 * 8, u64::from(PML4) | 3)?;
    a.mov(eax, cr4)?;
    a.or(eax, 0x20)?;
    a.mov(cr4, eax)?;
    a.mov(eax, PML4)?;
    a.mov(cr3, eax)?;
    a.mov(ecx, 0xc000_0080_u32)?;
    a.rdmsr()?;
    a.or(eax, 0x100)?;
    a.wrmsr()?;
    a.mov(eax, cr0)?;
    a.or(eax, 0x8000_0000_u32 as i32)?;
    a.mov(cr0, eax)
}

/// A request at such an address, or one whose structure points there.
fn request(a: &mut CodeAssembler, random: &mut Random) -> Result<(), IcedError> {
    let (number, size) = (random.of([1, 2, 4, 6, 12, 13, 14, 7]), random.of([8, 16, 24, 40, 48, 88]));
    let size = match number {
        1 | 12 => 16,
        2 => 88,
        4 | 7 => 40,
        6 | 14 => 24,
        13 => 48,
        _ => size,
    };
    for index in 0..11 {
        let length = u64::from(random.of([0, 1, 8, 0x1000, 0x20_0000, 0xffff_ffff]));
        let word = if random.below(2) == 0 { address(random) } else { length };
        put(a, REQUESTS + index * 8, word)?;
    }
    let pointer = address(random) as u32;
    ask(a, number, random.of([REQUESTS, REQUESTS, pointer]), size)
}

#[test]
#[ignore = "needs /dev/kvm"]
fn page_tables_that_lead_anywhere_are_walked_to_an_end() -> Result<()> {
    for seed in seeds(4) {
        let mut random = Random::new(seed);
        let guest = raw_guest::assemble(|a| {
            fill_requests(a, &mut random)?;
            set_up(a, &mut random)?;
            (0..REQUESTS_MADE).try_for_each(|_| request(a, &mut random))?;
            // A fault ends the guest: there is nobody to handle it.
            for _ in 0..4 {
                let address = address(&mut random) as u32;
                a.mov(eax, dword_ptr(address))?;
                a.mov(dword_ptr(address), eax)?;
            }
            exit(a)
        })?;
        let run = run(Bench::kernel(guest))?;
        assert_ended(&run);
        assert!(warnings(&run) > REQUESTS_MADE as usize / 4, "{}", warnings(&run));
    }
    Ok(())
}
