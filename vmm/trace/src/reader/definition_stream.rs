//! The stream of definitions, put together from its blocks.

use std::collections::VecDeque;

use super::block::Block;
use crate::definition::Definition;
use crate::definitions::Definitions;
use crate::format::HEADER_BYTES;
use crate::harmless::harmless_json;

const WORD: usize = size_of::<u64>();

/// How far the stream was read.
pub(super) struct DefinitionStream {
    /// Blocks that were found and not read to their end.
    pub(super) blocks: VecDeque<Block>,
    /// The place of the first of them among the blocks of the stream.
    pub(super) place: u64,
    /// Bytes read of the first of them.
    pub(super) read: usize,
    /// Bytes that are no whole record yet.
    pub(super) bytes: Vec<u8>,
    /// Where in the file they end.
    pub(super) end: u64,
    /// Something is missing: what follows has unknown ids.
    pub(super) broken: bool,
}

impl Default for DefinitionStream {
    fn default() -> Self {
        Self {
            blocks: VecDeque::new(),
            place: 0,
            read: 0,
            bytes: Vec::new(),
            end: HEADER_BYTES,
            broken: false,
        }
    }
}

impl DefinitionStream {
    /// Takes note of the next block.
    pub(super) fn found(&mut self, block: Block) {
        self.blocks.push_back(block);
    }

    /// Trusts nothing that comes.
    pub(super) fn give_up(&mut self) {
        self.broken = true;
        self.blocks.clear();
        self.bytes = Vec::new();
    }

    /// Takes the whole records off the bytes; `false` if one makes no sense.
    pub(super) fn decode(&mut self, definitions: &mut Definitions) -> bool {
        let mut at = 0;
        while let Some((json, blob, length)) = record(&self.bytes[at..]) {
            let Ok(definition) = serde_json::from_slice::<Definition>(&harmless_json(json)) else {
                return false;
            };
            definitions.push(definition, blob.to_vec());
            at += length;
        }
        self.bytes.drain(..at);
        true
    }
}

/// The JSON text, the blob and the total length of the first record, if all of it is there.
fn record(stream: &[u8]) -> Option<(&[u8], &[u8], usize)> {
    let lengths = u64::from_le_bytes(*stream.first_chunk()?);
    let (json, blob) = (lengths as u32 as usize, (lengths >> 32) as usize);
    let blob_at = WORD + json.next_multiple_of(WORD);
    let end = blob_at + blob.next_multiple_of(WORD);
    (stream.len() >= end).then(|| (&stream[WORD..WORD + json], &stream[blob_at..blob_at + blob], end))
}
