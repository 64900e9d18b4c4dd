//! An event as a record of one or two slots.
//!
//! | word | bits | content |
//! |---|---|---|
//! | 0 | 7:0 | kind, never 0 |
//! | | 15:8 | flags |
//! | | 23:16 | `a`: a size, a vector, a region or a number of bits |
//! | | 31:24 | `b`: an outcome, a reason, or what was counted |
//! | | 63:32 | the id of a definition |
//! | 1 | 47:0 | sequence number |
//! | | 63:48 | vCPU plus one, 0 for none |
//! | 2 | | host time in ns |
//! | 3 | | device time in ns |
//! | 4-7 | | per kind; word 7 is the cause of what a device did |
//! | 8 | | an access has a second slot |
//! | 9-15 | | 0 |
//!
//! Words 0 and 1 are the same for every kind to come. [`KINDS`] says where the fields of each kind lie; bits of no
//! field are 0.

use super::{SLOT_WORDS, vcpu_code, vcpu_from_code};
use crate::event::{self, Event, EventKind, KINDS, Kind, RECORD_WORDS};

/// The words of a record's first slot.
pub(crate) type Words = [u64; SLOT_WORDS];

/// The most slots that a record has which this program writes.
pub(crate) const SLOTS_MAX: usize = 2;

const _: () = assert!(RECORD_WORDS == SLOT_WORDS + 1, "fields lie in the first slot and the word after it");

/// An event in the form that it has in the file.
pub(crate) struct Record {
    /// The first slot.
    pub(crate) words: Words,
    /// The word after it; those that follow are 0.
    pub(crate) more: u64,
    /// How many slots it takes.
    pub(crate) slots: usize,
}

const SEQ_BITS: u32 = 48;
/// Sequence number in word 1.
pub(crate) const SEQ: u64 = (1 << SEQ_BITS) - 1;

/// Sizes in slots by code, 0 for codes of no kind.
const SLOTS: [u8; 256] = {
    let mut slots = [0; 256];
    let mut at = 0;
    while at < KINDS.len() {
        let code = KINDS[at].code as usize;
        assert!(code != 0 && slots[code] == 0, "a code has one kind, and 0 has none");
        slots[code] = KINDS[at].slots();
        at += 1;
    }
    slots
};

/// All kinds in the order of their codes, as the header page lists them.
pub(crate) fn kinds() -> impl Iterator<Item = &'static Kind> {
    (1..=u8::MAX).filter_map(Kind::of_code)
}

/// The record that stands for `event`.
#[inline]
pub(crate) fn encode(event: &Event) -> Record {
    let mut words = [0; RECORD_WORDS];
    words[0] = event.kind.code().into();
    words[1] = event.seq & SEQ | vcpu_code(event.vcpu) << SEQ_BITS;
    words[2] = event.host_ns;
    words[3] = event.device_ns;
    event.kind.store(&mut words);
    let [w0, w1, w2, w3, w4, w5, w6, w7, more] = words;
    Record { words: [w0, w1, w2, w3, w4, w5, w6, w7], more, slots: slots_of(w0) }
}

/// The size in slots of a record of this program, by its word 0; 0 if that stands for nothing.
#[inline]
pub(crate) fn slots_of(head: u64) -> usize {
    SLOTS[usize::from(head as u8)].into()
}

/// The event that `words` and the word after them stand for, if there is one; `None` if no writer of this version
/// wrote them.
#[inline]
pub(crate) fn decode(words: &Words, more: u64) -> Option<Event> {
    let [head, order, host_ns, device_ns, ..] = *words;
    Some(Event {
        seq: order & SEQ,
        host_ns,
        device_ns,
        vcpu: vcpu_from_code(order >> SEQ_BITS),
        kind: EventKind::load(head as u8, &event::Words { first: words, more })?,
    })
}

#[cfg(test)]
mod tests;
