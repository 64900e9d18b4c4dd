use std::time::{Duration, Instant};

use barscope_device::DmaMemory;
use barscope_guest_abi::request;
use barscope_trace::definition::FilePart;
use barscope_x86::Registers;

use super::*;
use crate::memory::GuestMemory;

/// Requests that are tried.
const ROUNDS: u64 = 20_000;

/// Numbers that are the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 8) % limit
    }
}

/// A guest without paging that points at `words`.
fn pointing_at(words: &[u64]) -> (GuestMemory, Registers) {
    let memory = GuestMemory::new(1 << 20).unwrap();
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    memory.write(0x1000, &bytes).unwrap();
    memory.write(0x2000, b"text").unwrap();
    (memory, Registers { rbx: 0x1000, rcx: bytes.len() as u64, ..Registers::default() })
}

fn parsed(number: u32, words: &[u64]) -> Result<Request, BadRequest> {
    let (memory, registers) = pointing_at(words);
    Request::parse(number, &memory, &registers)
}

#[test]
fn a_mark_is_read_from_where_it_points() {
    assert_eq!(parsed(request::MARK, &[0x2000, 4]), Ok(Request::Now(Now::Mark("text".to_owned()))));
}

#[test]
fn a_walk_is_asked_for_by_its_address_and_what_is_there() {
    let walk = Now::Walk { address: 0x7000, what: "text".to_owned() };
    assert_eq!(parsed(request::WALK, &[0x7000, 0x2000, 4]), Ok(Request::Now(walk)));
}

#[test]
fn a_mapping_may_say_what_of_which_file_it_is_and_earlier_ones_could_not() {
    let words = [
        1,
        barscope_guest_abi::path::MMAP,
        0x7000,
        0xfe00_0000,
        0x1000,
        0x5000,
        0,
        0x2000,
        4,
        0x2000,
        4,
        0x2000,
        4,
        0x3000,
    ];
    let of = |words: &[u64]| match parsed(request::MAP, words) {
        Ok(Request::Now(Now::Map(1, mapping))) => Ok(mapping.of),
        other => Err(format!("{other:?}")),
    };
    let file = FilePart { file: "text".into(), offset: 0x3000 };
    assert_eq!(of(&words), Ok(Some(file)));
    assert_eq!(of(&words[..11]), Ok(None));
    let other = BadRequest::Size { request: 2, expected: 112, given: 96 };
    assert_eq!(parsed(request::MAP, &words[..12]), Err(other));
}

#[test]
fn what_makes_no_sense_is_told_with_what_would() {
    assert_eq!(parsed(99, &[]), Err(BadRequest::Unknown(99)));
    assert_eq!(
        parsed(request::MARK, &[0x2000]),
        Err(BadRequest::Size { request: 1, expected: 16, given: 8 })
    );
    for address in [0x10_0000 - 3, 0x10_0000, u64::MAX - 2] {
        let bad = BadRequest::Pointer { request: 1, address };
        assert_eq!(parsed(request::MARK, &[address, 4]), Err(bad));
    }
}

#[test]
fn no_request_allocates_more_than_memory_holds() {
    // Sixteen MiB, of a guest with one.
    let image = parsed(request::IMAGE, &[0x2000, 4, 0, 16 << 20, 0]);
    assert_eq!(image, Err(BadRequest::Pointer { request: 4, address: 0 }));
}

/// Whatever registers and memory hold, reading a request ends, soon: small numbers and addresses as a guest might have
/// them, page tables made of themselves, and an executable with changed bytes.
#[test]
fn any_request_is_read_in_a_moment() {
    let seed = 0x5eed_0b5c;
    let mut random = Random(seed);
    let elf = &barscope_guests::TEST_KERNEL[..0x4000];
    for round in 0..ROUNDS {
        let mut bytes = vec![0; 11 + 0x8000];
        bytes[0] = random.below(19) as u8;
        bytes[1] = random.below(2) as u8;
        let sizes = [0, 8, 16, 24, 32, 40, 48, 112, random.below(120)];
        for (at, value) in
            [(2, random.below(0x8000)), (5, sizes[random.below(9) as usize]), (8, random.below(8) << 12)]
        {
            bytes[at..at + 3].copy_from_slice(&value.to_le_bytes()[..3]);
        }
        for word in bytes[11..].chunks_exact_mut(8) {
            let value = match random.below(6) {
                0 => random.below(8) << 12 | 0x7,
                1 => random.below(0x9000),
                2 => random.below(0x100),
                3 => random.next(),
                _ => 0,
            };
            word.copy_from_slice(&value.to_le_bytes());
        }
        if round % 4 == 0 {
            bytes[11 + 0x4000..][..elf.len()].copy_from_slice(elf);
            for _ in 0..8 {
                let at = 0x4000 + random.below(0x200) as usize;
                bytes[11 + at] = random.next() as u8;
            }
        }
        let began = Instant::now();
        fuzz::request(&bytes);
        let took = began.elapsed();
        assert!(took < Duration::from_secs(2), "round {round} of seed {seed:#x} took {took:?}");
    }
}
