//! The header page: what there is of everything, and what it means.
//!
//! | words | content |
//! |---|---|
//! | 0 | magic `BARSCOPE` |
//! | 1 | version |
//! | 2 | clock: 1 virtual, 2 host |
//! | 3 | status: 1 running, 2 finished, 3 interrupted, 4 failed |
//! | 4 | sequence numbers handed out |
//! | 5 | number of definitions |
//! | 6 | number of blocks |
//! | 7 | seal: checksum of the page with 0 in this word, with bit 32 set |
//! | 8 | length of the reason in bytes |
//! | 16-271 | kinds of records: 64 entries of 4 words, unused ones 0: word 0 code (byte 0) and size in slots (byte 1), words 1 to 3 a name padded with zeros |
//! | 272-367 | capabilities: 24 entries of 4 words, unused ones 0: words 0 to 2 a name padded with zeros, word 3 how the trace comes to tell it: 1 it doesn't, 2 inferred, 3 announced, 4 announced in part |
//! | 368-495 | reason of the end in UTF-8 |
//!
//! Words 4 to 8 and the reason are stored at the end; the seal comes before the status. While the status is
//! *running*, readers take the other words as they are. A reader leaves out capabilities and skips records whose
//! names and codes it doesn't know: what a later program adds needs no new version.

use super::{Clock, End, HEADER_BYTES, MAGIC, SEALED, VERSION, slot};
use crate::capability::{Capabilities, Capability, Knowledge};
use crate::event::KINDS;
use crate::harmless::harmless;

pub(crate) const STATUS: usize = 3;
pub(crate) const EVENTS: usize = 4;
pub(crate) const DEFINITIONS: usize = 5;
pub(crate) const BLOCKS: usize = 6;
pub(crate) const SEAL: usize = 7;
pub(crate) const REASON_LENGTH: usize = 8;
const KINDS_AT: usize = 16;
const KINDS_MAX: usize = 64;
const CAPABILITIES: usize = 272;
const CAPABILITIES_MAX: usize = 24;
/// Words of an entry of either table.
const ENTRY_WORDS: usize = 4;
/// Words of a name.
const NAME_WORDS: usize = 3;
pub(crate) const REASON: usize = 368;
/// The longest reason in bytes; more is cut off.
pub(crate) const REASON_MAX: usize = 1024;

/// Words of the page.
pub(crate) const WORDS: usize = HEADER_BYTES as usize / WORD;
const WORD: usize = size_of::<u64>();

/// Status of a trace that is being written, or whose writer was killed.
pub(crate) const RUNNING: u64 = 1;

/// The page of a trace that begins.
pub(crate) fn new(clock: Clock) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    words[..=STATUS].copy_from_slice(&[MAGIC, VERSION, clock.code(), RUNNING]);
    for (at, kind) in slot::kinds().enumerate() {
        let entry = &mut words[KINDS_AT + at * ENTRY_WORDS..][..ENTRY_WORDS];
        entry[0] = u64::from(kind.code) | u64::from(kind.slots()) << 8;
        entry[1..].copy_from_slice(&name_words(kind.name));
    }
    for capability in Capability::ALL {
        let at = knowledge_word(capability);
        words[at - NAME_WORDS..at].copy_from_slice(&name_words(capability.name()));
        words[at] = capability.at_first().code();
    }
    words
}

/// The word that says how a trace comes to tell a capability, in a page that [`new`] made.
pub(crate) const fn knowledge_word(capability: Capability) -> usize {
    CAPABILITIES + capability as usize * ENTRY_WORDS + NAME_WORDS
}

fn name_words(name: &str) -> [u64; NAME_WORDS] {
    let mut bytes = [0; NAME_WORDS * WORD];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    std::array::from_fn(|at| word(&bytes, at))
}

/// The seal of a page.
pub(crate) fn seal(page: &[u8]) -> u64 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&page[..SEAL * WORD]);
    hasher.update(&[0; WORD]);
    hasher.update(&page[(SEAL + 1) * WORD..]);
    u64::from(hasher.finalize()) | SEALED
}

/// What a header page says.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) clock: Clock,
    pub(crate) kinds: Kinds,
    pub(crate) capabilities: Capabilities,
    pub(crate) state: State,
}

/// How far the page tells what there has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The trace is being written, or its writer was killed.
    Running,
    /// The trace has ended.
    Ended(Whole),
    /// Nobody knows: the page isn't as it was written.
    Damaged,
}

/// What there has to be of a trace that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) end: End,
    /// Sequence numbers that were handed out.
    pub(crate) events: u64,
    pub(crate) definitions: u64,
    pub(crate) blocks: u64,
}

impl Header {
    /// Reads a page of this version.
    pub(crate) fn parse(page: &[u8]) -> Self {
        let clock = Clock::from_code(word(page, 2));
        let state = if clock.is_some() { state(page) } else { State::Damaged };
        Self {
            clock: clock.unwrap_or(Clock::Host),
            kinds: Kinds::parse(page, state == State::Damaged),
            capabilities: capabilities(page),
            state,
        }
    }
}

fn state(page: &[u8]) -> State {
    if word(page, STATUS) == RUNNING {
        return if word(page, SEAL) == 0 { State::Running } else { State::Damaged };
    }
    if word(page, SEAL) != seal(page) {
        return State::Damaged;
    }
    let length = usize::try_from(word(page, REASON_LENGTH)).map_or(REASON_MAX, |it| it.min(REASON_MAX));
    let reason = String::from_utf8_lossy(&page[REASON * WORD..][..length]);
    let Some(end) = End::from_code(word(page, STATUS), harmless(&reason).into_owned()) else {
        return State::Damaged;
    };
    State::Ended(Whole {
        end,
        events: word(page, EVENTS),
        definitions: word(page, DEFINITIONS),
        blocks: word(page, BLOCKS),
    })
}

/// Entries of a table that are in use.
fn entries(page: &[u8], table: usize, most: usize) -> impl Iterator<Item = &[u8]> {
    let bytes = &page[table * WORD..][..most * ENTRY_WORDS * WORD];
    bytes.chunks_exact(ENTRY_WORDS * WORD).filter(|entry| word(entry, 0) != 0)
}

fn capabilities(page: &[u8]) -> Capabilities {
    let mut known = Capabilities::default();
    for entry in entries(page, CAPABILITIES, CAPABILITIES_MAX) {
        let (name, code) = entry.split_at(NAME_WORDS * WORD);
        let name = std::str::from_utf8(name).ok().map(|name| name.trim_end_matches('\0'));
        let found = name.and_then(Capability::named).zip(Knowledge::from_code(word(code, 0)));
        if let Some((capability, knowledge)) = found {
            known.set(capability, knowledge);
        }
    }
    known
}

/// The kinds of records that a trace lists, by code.
#[derive(Clone, Debug)]
pub(crate) struct Kinds {
    /// Size of a record in slots, 0 for a kind that isn't listed.
    slots: [u8; 256],
    /// Those that this program can decode.
    known: [bool; 256],
}

impl Kinds {
    /// Reads the table of a page. Of one that is damaged, only what this program doesn't know itself is taken.
    fn parse(page: &[u8], damaged: bool) -> Self {
        let mut kinds = Self { slots: [0; 256], known: [false; 256] };
        for entry in entries(page, KINDS_AT, KINDS_MAX) {
            kinds.slots[usize::from(entry[0])] = entry[1];
        }
        for own in KINDS {
            let at = usize::from(own.code);
            if damaged {
                kinds.slots[at] = own.slots();
            }
            // One that has grown since begins as it always did.
            kinds.known[at] = kinds.slots[at] >= own.slots();
        }
        kinds
    }

    /// The size in slots of the record that begins with this word; 0 if its kind isn't listed.
    pub(crate) fn slots(&self, head: u64) -> usize {
        self.slots[usize::from(head as u8)].into()
    }

    /// Whether this program can decode the record that begins with this word.
    pub(crate) fn know(&self, head: u64) -> bool {
        self.known[usize::from(head as u8)]
    }
}

/// The word at `index`, of bytes that hold at least as many.
pub(crate) fn word(bytes: &[u8], index: usize) -> u64 {
    bytes[index * WORD..].first_chunk().map_or(0, |word| u64::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(words: &[u64; WORDS]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    #[test]
    fn all_names_and_tables_have_room() {
        assert!(KINDS.len() <= KINDS_MAX && Capability::ALL.len() <= CAPABILITIES_MAX);
        let names = KINDS.iter().map(|kind| kind.name);
        for name in names.chain(Capability::ALL.map(Capability::name)) {
            assert!((1..=NAME_WORDS * WORD).contains(&name.len()), "{name}");
        }
        const {
            assert!(CAPABILITIES + CAPABILITIES_MAX * ENTRY_WORDS <= REASON);
            assert!(REASON * WORD + REASON_MAX <= 4096);
        }
    }

    #[test]
    fn a_new_page_lists_every_kind_and_every_capability_as_it_is_at_first() {
        let header = Header::parse(&page(&new(Clock::Virtual)));
        assert_eq!((header.clock, header.state), (Clock::Virtual, State::Running));
        assert!(KINDS.iter().all(|kind| header.kinds.know(kind.code.into())));
        assert_eq!((header.kinds.slots(1), header.kinds.slots(2), header.kinds.slots(200)), (2, 1, 0));
        assert_eq!(header.capabilities, Capabilities::default());
    }

    #[test]
    fn capabilities_are_found_by_name_wherever_they_stand_and_others_are_left_out() {
        let mut words = new(Clock::Host);
        words[CAPABILITIES..][..4].copy_from_slice(&[u64::from_le_bytes(*b"telepath"), 0, 0, 3]);
        words[CAPABILITIES + 80..][..3].copy_from_slice(&name_words("handlers"));
        words[CAPABILITIES + 83] = 2;
        let found = Header::parse(&page(&words)).capabilities;
        assert_eq!(found.of(Capability::Handlers), Knowledge::Inferred);
        assert!(Capability::ALL[1..].iter().all(|of| found.of(*of) == of.at_first()));
    }

    #[test]
    fn a_kind_that_has_grown_is_still_known_and_one_that_shrank_is_not() {
        let mut words = new(Clock::Host);
        words[KINDS_AT] = 1 | 3 << 8;
        assert!(Header::parse(&page(&words)).kinds.know(1));
        words[KINDS_AT] = 1 | 1 << 8;
        assert!(!Header::parse(&page(&words)).kinds.know(1));
    }
}
