//! Instructions that reach configuration space, device memory, ports and the guest ABI, at random.

use iced_x86::IcedError;
use iced_x86::code_asm::{CodeAssembler, al, ax, byte_ptr, dword_ptr, dx, eax, ebx, ecx, edi, edx, word_ptr};

use super::random::Random;
use super::{EXIT, REQUESTS, REQUESTS_SIZE};

/// One thing or another: configuration, device memory, a port, a request.
pub fn operation(a: &mut CodeAssembler, random: &mut Random) -> Result<(), IcedError> {
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
pub fn request(a: &mut CodeAssembler, random: &mut Random) -> Result<(), IcedError> {
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
    a.mov(edx, u32::from(barscope_guest_abi::PORT))?;
    a.out(dx, eax)
}
