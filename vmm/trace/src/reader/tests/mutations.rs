//! The reader's fuzz target, bounded: whatever happens to a trace that has ended, readers end, and what they read is
//! what was written, or they say that it isn't. `fuzz/` goes on from here for hours.

use super::*;
use crate::{Capability, Knowledge};

/// Mutations that are tried.
const ROUNDS: u64 = 20_000;
const BLOCK: usize = 65536;
const HEADER: usize = 4096;

/// Everything that a trace says.
fn said(trace: &Content) -> impl PartialEq + use<> {
    let definitions = trace.definitions();
    let defined: Vec<_> =
        definitions.iter().map(|(id, it)| (it.clone(), definitions.blob(id).to_vec())).collect();
    let numbers = (trace.info().lost, trace.info().unknown_kinds);
    (
        trace.events().to_vec(),
        defined,
        trace.info().end.cloned(),
        trace.info().clock,
        trace.info().capabilities,
        numbers,
    )
}

/// A finished trace of two blocks of definitions and three of events, one of them full.
fn original() -> Vec<u8> {
    let fixture = Fixture::new();
    fixture.writer.know(Capability::Handlers, Knowledge::Announced);
    fixture.writer.define(&text("first")).unwrap();
    fixture.writer.define_with_blob(&text("long"), &[7; 66_000]).unwrap();
    let mut lanes = [fixture.writer.lane(Some(0)), fixture.writer.lane(Some(1))];
    for at in 0..600 {
        fixture.record(&mut lanes[usize::from(at % 9 == 0)]);
    }
    fixture.writer.define(&text("last")).unwrap();
    fixture.writer.reserve();
    fixture.writer.finish(End::Interrupted("enough".into())).unwrap();
    fs::read(fixture.path()).unwrap()
}

/// Numbers that are the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) as usize % end
    }

    /// A place in the file, in words: mostly in the header page or in a block's first slots.
    fn word(&mut self, length: usize) -> usize {
        let blocks = (length - HEADER) / BLOCK;
        let byte = match self.below(4) {
            0 => self.below(length),
            1 => self.below(HEADER),
            2 => HEADER + self.below(blocks) * BLOCK + self.below(64),
            _ => HEADER + self.below(blocks) * BLOCK + self.below(1024),
        };
        byte / 8
    }
}

fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    let length = bytes.len();
    if length < HEADER + BLOCK {
        return;
    }
    let at = random.word(length) * 8;
    let block = |random: &mut Random| HEADER + random.below((length - HEADER) / BLOCK) * BLOCK;
    match random.below(9) {
        0 | 1 => bytes[at] ^= 1 << random.below(8),
        2 => bytes[at] = random.below(256) as u8,
        3 => {
            let end = length.min(at + 8 * (1 + random.below(64)));
            bytes[at..end].fill(0);
        }
        4 => {
            let value = [1, 2, u64::MAX, 1 << 32, 0x0001_0000, 0xffff][random.below(6)];
            bytes[at..][..8].copy_from_slice(&value.to_le_bytes());
        }
        5 => bytes.truncate(if random.below(2) == 0 { at } else { block(random) }),
        6 => {
            let (one, other) = (block(random), block(random));
            for offset in 0..BLOCK {
                bytes.swap(one + offset, other + offset);
            }
        }
        7 => {
            let (from, to) = (block(random), block(random));
            bytes.copy_within(from..from + BLOCK, to);
        }
        _ => {
            let from = random.word(length) * 8;
            let count = (8 * (1 + random.below(32))).min(length - from).min(length - at);
            bytes.copy_within(from..from + count, at);
        }
    }
}

#[test]
fn no_mutation_of_a_finished_trace_is_silently_accepted() {
    let original = original();
    let trace = Content::from_bytes(&original).unwrap();
    assert_eq!(trace.info().damage, []);
    let expected = said(&trace);
    let mut random = Random(1);
    let mut noticed = 0;
    for round in 0..ROUNDS {
        let mut bytes = original.clone();
        for _ in 0..1 + random.below(3) {
            mutate(&mut bytes, &mut random);
        }
        let Ok(trace) = Content::from_bytes(&bytes) else { continue };
        if trace.info().damage.is_empty() {
            assert!(said(&trace) == expected, "round {round} was silently accepted");
        } else {
            noticed += 1;
        }
    }
    assert!(noticed > ROUNDS / 2, "only {noticed} mutations were noticed");
}

#[test]
fn no_mutation_of_a_killed_trace_leads_readers_astray() {
    let mut original = original();
    // As if nobody had ended it.
    original[3 * 8] = 1;
    original[4 * 8..9 * 8].fill(0);
    for index in (0..5).map(|index| HEADER + index * BLOCK).filter(|at| at % 2 == 0) {
        original[index + 4 * 8..][..8].fill(0);
    }
    let mut random = Random(7);
    for _ in 0..ROUNDS / 10 {
        let mut bytes = original.clone();
        for _ in 0..1 + random.below(6) {
            mutate(&mut bytes, &mut random);
        }
        let Ok(trace) = Content::from_bytes(&bytes) else { continue };
        assert!(trace.events().is_sorted_by(|one, next| one.seq < next.seq));
    }
}
