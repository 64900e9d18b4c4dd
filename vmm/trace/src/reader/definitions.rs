//! The stream of definitions, put together from its blocks.

use std::collections::VecDeque;
use std::io;

use super::scan::{Block, CONTENT_BYTES, Found, Scanner, content_offset};
use crate::definition::Definition;
use crate::definitions::Definitions;
use crate::format::HEADER_BYTES;
use crate::harmless::harmless_json;

const WORD: usize = size_of::<u64>();

/// How far the stream was read.
pub(super) struct DefinitionStream {
    /// Blocks that were found and not read to their end.
    blocks: VecDeque<Block>,
    /// The place of the first of them among the blocks of the stream.
    place: u64,
    /// Bytes read of the first of them.
    read: usize,
    /// Bytes that are no whole record yet.
    bytes: Vec<u8>,
    /// Where in the file they end.
    end: u64,
    /// Something is missing: what follows has unknown ids.
    broken: bool,
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
    fn decode(&mut self, definitions: &mut Definitions) -> bool {
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

impl Scanner {
    /// Takes the definitions that came since the last call. Called after events were read, it takes all that they
    /// refer to, since their writer defined it first.
    pub(super) fn definitions(&mut self, definitions: &mut Definitions) -> io::Result<()> {
        while !self.stream.broken
            && let Some(&block) = self.stream.blocks.front()
        {
            if block.first != self.stream.place {
                self.note_definitions(block.offset());
                break;
            }
            if !self.has_more(block)? {
                break;
            }
            let Some((block, bytes)) = self.used(block, 0, Vec::new())? else { break };
            let Some(new) = bytes.get(self.stream.read..) else {
                self.note_definitions(block.offset());
                break;
            };
            let stream = &mut self.stream;
            stream.bytes.extend_from_slice(new);
            stream.read = bytes.len();
            stream.end = content_offset(block.index, bytes.len());
            if bytes.len() < CONTENT_BYTES {
                // The stream goes on in the next block only once this one is full.
                self.check_unused()?;
                break;
            }
            stream.blocks.pop_front();
            stream.place += 1;
            stream.read = 0;
        }
        let end = self.stream.end;
        if !self.stream.broken && !self.stream.decode(definitions) {
            self.note_definitions(end);
        }
        if let Some(whole) = self.whole()
            && definitions.count() != whole.definitions
        {
            self.note_definitions(end);
        }
        Ok(())
    }

    /// Looks at the blocks that the stream hasn't reached at the end of the trace: they hold nothing, if that is what
    /// they are.
    fn check_unused(&mut self) -> io::Result<()> {
        if self.whole().is_none() {
            return Ok(());
        }
        for block in self.stream.blocks.split_off(1) {
            let used = self.used(block, 0, Vec::new())?;
            if used.is_some_and(|(_, bytes)| !bytes.is_empty()) {
                self.note_definitions(block.offset());
            }
        }
        Ok(())
    }

    /// Whether there may be anything in a block that wasn't read yet.
    fn has_more(&self, block: Block) -> io::Result<bool> {
        if self.stream.read == 0 {
            return Ok(true);
        }
        Ok(match self.block_at(block.index)? {
            Found::Block(now) => now.closed() || now.used != self.stream.read,
            _ => true,
        })
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
