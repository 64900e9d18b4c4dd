//! Records of a block as columns of small numbers, which compress far better than the records.
//!
//! Each slot has a class: the code of its kind, with bit 7 set if it isn't a record's first. Words of a slot are foretold
//! by those of the last slot of its class, times and sequence number of a record by those of the last record of any. Each
//! half of a word is stored as its distance from that, columns after each other:
//!
//! 1. two bytes: the number of slots
//! 2. the class of each slot, a byte
//! 3. for each class in the order of their first slots, for each of 16 halves of words, low ones first: a number for each
//!    slot of the class. It is `(now - foretold) mod 2^32`, as `n << 1 ^ n >> 31` (signed), in groups of seven bits, lowest
//!    first, bit 7 set in all but the last. The high half of word 7 is turned right by 8 bits before.

use super::varint;
use crate::format::{SLOT_BYTES, SLOT_WORDS};

const HALVES: usize = 2 * SLOT_WORDS;
/// The half of word 7 that an access has its service time in, above a byte of something else.
const TURNED: usize = HALVES - 1;
const CLASSES: usize = 256;
/// Not a record's first slot.
const FOLLOWS: u8 = 1 << 7;
/// Halves of words that are foretold by any record: sequence number, times.
const SHARED: std::ops::Range<usize> = 2..8;

type Slot = [u32; HALVES];

/// What slots are foretold by.
struct Foretold {
    of_class: Vec<Slot>,
    of_any: Slot,
}

impl Foretold {
    fn new() -> Self {
        Self { of_class: vec![[0; HALVES]; CLASSES], of_any: [0; HALVES] }
    }

    fn next(&self, class: u8) -> Slot {
        let mut slot = self.of_class[usize::from(class)];
        if class & FOLLOWS == 0 {
            slot[SHARED].copy_from_slice(&self.of_any[SHARED]);
        }
        slot
    }

    fn learn(&mut self, class: u8, slot: Slot) {
        self.of_class[usize::from(class)] = slot;
        if class & FOLLOWS == 0 {
            self.of_any = slot;
        }
    }
}

/// Columns of the slots in `content`; `None` if these are not records, one after the other. `slots_of` is the size of a
/// record in slots by its word 0.
pub(super) fn encode(content: &[u8], slots_of: impl Fn(u64) -> usize) -> Option<Vec<u8>> {
    let (slots, []) = content.as_chunks::<SLOT_BYTES>() else { return None };
    let count = u16::try_from(slots.len()).ok()?;
    let classes = classes(slots, slots_of)?;
    let mut out = count.to_le_bytes().to_vec();
    out.extend_from_slice(&classes);
    let mut foretold = Foretold::new();
    let mut columns: Vec<Vec<Slot>> = vec![Vec::new(); CLASSES];
    for (class, slot) in classes.iter().zip(slots) {
        let now = halves(slot);
        let next = foretold.next(*class);
        columns[usize::from(*class)].push(std::array::from_fn(|at| zigzag(now[at].wrapping_sub(next[at]))));
        foretold.learn(*class, now);
    }
    for class in in_order(&classes) {
        for half in 0..HALVES {
            for slot in &columns[usize::from(class)] {
                varint::push(&mut out, slot[half]);
            }
        }
    }
    Some(out)
}

/// The slots that [`encode`] made `columns` of, `length` bytes; `None` if it can't have.
pub(super) fn decode(columns: &[u8], length: usize) -> Option<Vec<u8>> {
    let (count, rest) = columns.split_first_chunk()?;
    let count = usize::from(u16::from_le_bytes(*count));
    if count * SLOT_BYTES != length {
        return None;
    }
    let (classes, mut rest) = rest.split_at_checked(count)?;
    let mut distances: Vec<Vec<Slot>> = vec![Vec::new(); CLASSES];
    for class in classes {
        distances[usize::from(*class)].push([0; HALVES]);
    }
    for class in in_order(classes) {
        for half in 0..HALVES {
            for slot in &mut distances[usize::from(class)] {
                slot[half] = varint::take(&mut rest)?;
            }
        }
    }
    if !rest.is_empty() {
        return None;
    }
    let mut foretold = Foretold::new();
    let mut next_of = vec![0; CLASSES];
    let mut content = Vec::with_capacity(length);
    for class in classes {
        let at = &mut next_of[usize::from(*class)];
        let distance = distances[usize::from(*class)][*at];
        *at += 1;
        let next = foretold.next(*class);
        let now = std::array::from_fn(|half| next[half].wrapping_add(unzigzag(distance[half])));
        foretold.learn(*class, now);
        push(&mut content, now);
    }
    Some(content)
}

fn classes(slots: &[[u8; SLOT_BYTES]], slots_of: impl Fn(u64) -> usize) -> Option<Vec<u8>> {
    let mut classes = Vec::with_capacity(slots.len());
    while let Some(slot) = slots.get(classes.len()) {
        let code = slot[0];
        let size = slots_of(u64::from(code));
        if code & FOLLOWS != 0 || size == 0 || slots.len() - classes.len() < size {
            return None;
        }
        classes.push(code);
        classes.extend(std::iter::repeat_n(code | FOLLOWS, size - 1));
    }
    Some(classes)
}

/// Classes in the order of their first slots.
fn in_order(classes: &[u8]) -> Vec<u8> {
    let mut seen = [false; CLASSES];
    let first = |class: &&u8| !std::mem::replace(&mut seen[usize::from(**class)], true);
    classes.iter().filter(first).copied().collect()
}

fn halves(slot: &[u8; SLOT_BYTES]) -> Slot {
    let (halves, _) = slot.as_chunks::<4>();
    let mut halves: Slot = std::array::from_fn(|at| u32::from_le_bytes(halves[at]));
    halves[TURNED] = halves[TURNED].rotate_right(8);
    halves
}

fn push(content: &mut Vec<u8>, mut slot: Slot) {
    slot[TURNED] = slot[TURNED].rotate_left(8);
    content.extend(slot.iter().flat_map(|half| half.to_le_bytes()));
}

fn zigzag(distance: u32) -> u32 {
    distance << 1 ^ ((distance as i32) >> 31) as u32
}

fn unzigzag(number: u32) -> u32 {
    number >> 1 ^ (number & 1).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(head: u64) -> usize {
        [0, 2, 1][(head as usize).min(2)]
    }

    /// Records of one and of two slots with numbers of all sizes.
    fn content() -> Vec<u8> {
        let mut number = 1_u64;
        let mut slot = |code: Option<u8>| {
            let mut bytes: Vec<u8> = (0..8)
                .flat_map(|at| {
                    number = number.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                    (number >> (at * 8)).to_le_bytes()
                })
                .collect();
            if let Some(code) = code {
                bytes[0] = code;
            }
            bytes
        };
        let slots = [Some(1), None, Some(2), Some(2), Some(1), None, Some(2)];
        slots.into_iter().flat_map(&mut slot).collect()
    }

    #[test]
    fn what_is_taken_apart_comes_together_again() {
        let content = content();
        let columns = encode(&content, sizes).unwrap();
        assert_eq!(decode(&columns, content.len()), Some(content));
    }

    #[test]
    fn equal_steps_are_bytes_of_one_bit() {
        let mut content = Vec::new();
        for at in 0_u64..100 {
            let words = [2, at, 10 * at, 1000 * at, 0xfe00_0000, 7, 0, 5 << 40];
            content.extend(words.iter().flat_map(|word: &u64| word.to_le_bytes()));
        }
        let columns = encode(&content, sizes).unwrap();
        assert!(columns.len() < content.len() / 3, "{}", columns.len());
        assert_eq!(decode(&columns, content.len()), Some(content));
    }

    #[test]
    fn what_is_no_records_has_no_columns() {
        let content = content();
        assert_eq!(encode(&content[..63], sizes), None);
        assert_eq!(encode(&content[..64], sizes), None);
        assert_eq!(encode(&[0; 64], sizes), None);
        let mut later = content;
        later[0] = 0x81;
        assert_eq!(encode(&later, sizes), None);
    }

    #[test]
    fn no_columns_lead_decoding_astray() {
        let content = content();
        let columns = encode(&content, sizes).unwrap();
        for at in 0..columns.len() {
            assert_eq!(decode(&columns[..at], content.len()), None, "cut at {at}");
            let mut changed = columns.clone();
            changed[at] ^= 0x80;
            // Some are other records of as many bytes; checksums tell those.
            let decoded = decode(&changed, content.len());
            assert!(decoded.is_none_or(|decoded| decoded.len() == content.len()));
        }
    }
}
