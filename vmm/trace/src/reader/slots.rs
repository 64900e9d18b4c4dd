//! A block's records of events, decoded one by one.

use crate::event::Event;
use crate::format::header::{Kinds, word};
use crate::format::slot::{self, SEQ};
use crate::format::{SLOT_BYTES, SLOT_WORDS};

/// The records of a block of events in the order of their sequence numbers, as bytes: an event is decoded when
/// its turn comes.
pub(super) struct Slots {
    bytes: Vec<u8>,
    /// Bytes that were taken.
    at: usize,
    /// Bytes that hold records.
    end: usize,
    /// The same of the content as it was given.
    length: usize,
    /// Where there should be a record and is none.
    broken: Vec<usize>,
}

/// What comes next.
pub(super) enum Next {
    Event(Event),
    /// A record of a kind that this program doesn't know, with this sequence number.
    Unknown(u64),
    /// A slot at this byte of the block's content that holds no event.
    Broken(usize),
    End,
}

impl Slots {
    /// The records from byte `from` of `content` on, up to the first slot that is empty.
    pub(super) fn new(content: Vec<u8>, from: usize, kinds: &Kinds) -> Self {
        let mut slots = Self { bytes: content, at: from, end: from, length: from, broken: Vec::new() };
        let mut sorted = true;
        let mut last = 0;
        while let Some(slot) = slots.bytes.get(slots.end..slots.end + SLOT_BYTES) {
            let head = word(slot, 0);
            if head == 0 {
                break;
            }
            let length = kinds.slots(head) * SLOT_BYTES;
            if length == 0 || slots.end + length > slots.bytes.len() {
                // Where the next one begins isn't known.
                slots.broken.push(slots.end);
                break;
            }
            sorted &= last <= seq(slot);
            last = seq(slot);
            slots.end += length;
        }
        slots.length = slots.end;
        if !sorted {
            slots.sort(kinds);
        }
        slots
    }

    #[cold]
    fn sort(&mut self, kinds: &Kinds) {
        let mut order = Vec::new();
        let mut at = self.at;
        while at < self.end {
            let length = kinds.slots(word(&self.bytes[at..], 0)) * SLOT_BYTES;
            if let Next::Broken(_) = self.record(at, kinds) {
                self.broken.push(at);
            } else {
                order.push((seq(&self.bytes[at..]), at, length));
            }
            at += length;
        }
        order.sort_unstable();
        let sorted = order.iter().flat_map(|(_, at, length)| &self.bytes[*at..][..*length]);
        self.bytes = sorted.copied().collect();
        (self.at, self.end) = (0, self.bytes.len());
    }

    /// How many bytes from the beginning of the content are in use.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// Says that byte `length` of the content is where records end: one that is missing before it is broken.
    pub(super) fn must_end(&mut self, length: usize) {
        if self.length < length && self.broken.is_empty() {
            self.broken.push(self.length);
        }
    }

    /// Where there should have been a record, by bytes of the content.
    pub(super) fn take_broken(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.broken)
    }

    /// The sequence number of the next record; `u64::MAX` after the last one.
    pub(super) fn next_seq(&self) -> u64 {
        if self.at < self.end { seq(&self.bytes[self.at..]) } else { u64::MAX }
    }

    /// Takes the next record.
    #[inline]
    pub(super) fn next(&mut self, kinds: &Kinds) -> Next {
        if self.at >= self.end {
            return Next::End;
        }
        let at = self.at;
        self.at += kinds.slots(word(&self.bytes[at..], 0)) * SLOT_BYTES;
        self.record(at, kinds)
    }

    // Inlined, so that an event is made where it is wanted: it is copied less often.
    #[inline]
    fn record(&self, at: usize, kinds: &Kinds) -> Next {
        let bytes = &self.bytes[at..self.end];
        let words = std::array::from_fn(|at| word(bytes, at));
        if !kinds.know(words[0]) {
            return Next::Unknown(seq(bytes));
        }
        let more = if kinds.slots(words[0]) > 1 { word(bytes, SLOT_WORDS) } else { 0 };
        slot::decode(&words, more).map_or(Next::Broken(at), Next::Event)
    }

    /// The sequence number of the last record; `None` if there is none.
    pub(super) fn last_seq(mut self, kinds: &Kinds) -> Option<u64> {
        let mut last = None;
        loop {
            match self.next(kinds) {
                Next::Event(event) => last = Some(event.seq),
                Next::Unknown(seq) => last = Some(seq),
                Next::Broken(_) => {}
                Next::End => return last,
            }
        }
    }

    /// The memory that it lies in, to be used again.
    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }
}

fn seq(slot: &[u8]) -> u64 {
    word(slot, 1) & SEQ
}
