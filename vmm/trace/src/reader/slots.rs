//! A block's slots, decoded one by one.

use super::scan::{word, words};
use crate::event::Event;
use crate::format::{SLOT_BYTES, slot};

/// Word 1 of a slot, its bits above the sequence number left out.
const SEQ: u64 = (1 << 48) - 1;

/// The slots of a block of events in the order of their sequence numbers, as bytes: an event is decoded when
/// its turn comes.
pub(super) struct Slots {
    bytes: Vec<u8>,
    /// Bytes that were taken.
    at: usize,
    /// Bytes that hold slots.
    end: usize,
}

/// What comes next.
pub(super) enum Next {
    Event(Event),
    /// A slot at this byte of the block's content that holds no event.
    Broken(usize),
    End,
}

impl Slots {
    /// The slots at the beginning of `content`, up to the first that is empty. Calls `broken` for those that
    /// hold no event, if they are out of order: otherwise they are met when their turn comes.
    pub(super) fn new(content: Vec<u8>, mut broken: impl FnMut(usize)) -> Self {
        let end = content.chunks_exact(SLOT_BYTES).take_while(|slot| word(slot, 0) != 0).count() * SLOT_BYTES;
        let mut slots = Self { bytes: content, at: 0, end };
        if !slots.bytes[..end].chunks_exact(SLOT_BYTES).is_sorted_by_key(seq) {
            slots.sort(&mut broken);
        }
        slots
    }

    #[cold]
    fn sort(&mut self, broken: &mut impl FnMut(usize)) {
        let mut order = Vec::new();
        for (position, slot) in self.bytes[..self.end].chunks_exact(SLOT_BYTES).enumerate() {
            match slot::decode(&words(slot)) {
                Some(event) => order.push((event.seq, position * SLOT_BYTES)),
                None => broken(position * SLOT_BYTES),
            }
        }
        order.sort();
        self.end = order.len() * SLOT_BYTES;
        self.bytes = order.iter().flat_map(|(_, at)| &self.bytes[*at..][..SLOT_BYTES]).copied().collect();
    }

    /// The sequence number of the next slot; `u64::MAX` after the last one.
    pub(super) fn next_seq(&self) -> u64 {
        if self.at < self.end { seq(&self.bytes[self.at..]) } else { u64::MAX }
    }

    /// Takes the next slot.
    pub(super) fn next(&mut self) -> Next {
        if self.at >= self.end {
            return Next::End;
        }
        let at = self.at;
        self.at += SLOT_BYTES;
        slot::decode(&words(&self.bytes[at..self.at])).map_or(Next::Broken(at), Next::Event)
    }

    /// The sequence number of the last event; `None` if there is no event.
    pub(super) fn last_seq(&self) -> Option<u64> {
        let mut slots = self.bytes[self.at..self.end].rchunks_exact(SLOT_BYTES);
        slots.find_map(|slot| Some(slot::decode(&words(slot))?.seq))
    }

    /// The memory that it lies in, to be used again.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }
}

fn seq(slot: &[u8]) -> u64 {
    word(slot, 1) & SEQ
}
