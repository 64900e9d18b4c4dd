//! The stream of definitions, over as many blocks as it takes.

use std::collections::VecDeque;

use super::WriteError;
use super::blocks::{Block, store_bytes};
use crate::definition::Definition;
use crate::event::Id;
use crate::format::{BLOCK_WORDS, SLOT_WORDS};

const WORD: usize = size_of::<u64>();
/// Words of a block that hold records.
const CONTENT_WORDS: usize = BLOCK_WORDS - SLOT_WORDS;

/// Where the stream stands.
#[derive(Debug, Default)]
pub(super) struct DefinitionStream {
    count: Id,
    /// Blocks that were taken for it.
    taken: u64,
    /// The block that is being filled, and those taken for what comes next.
    blocks: VecDeque<Block>,
    /// Words used of the first one.
    used: usize,
}

impl DefinitionStream {
    /// How many records there are.
    pub(super) fn count(&self) -> Id {
        self.count
    }

    /// Appends a record and returns its id; `take` gives the stream its block with this place among its blocks.
    ///
    /// The blocks are taken before anything is written: no record is left half written by a full disk.
    pub(super) fn push(
        &mut self,
        definition: &Definition,
        blob: &[u8],
        mut take: impl FnMut(u64) -> Result<Block, WriteError>,
    ) -> Result<Id, WriteError> {
        let json = serde_json::to_vec(definition).map_err(WriteError::Definition)?;
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| WriteError::TooLarge);
        let lengths = u64::from(length(&json)?) | u64::from(length(blob)?) << 32;
        let id = self.count.checked_add(1).ok_or(WriteError::TooLarge)?;

        let needed = 1 + json.len().div_ceil(WORD) + blob.len().div_ceil(WORD);
        while self.blocks.len() * CONTENT_WORDS - self.used < needed {
            self.blocks.push_back(take(self.taken)?);
            self.taken += 1;
        }
        self.append(&lengths.to_le_bytes());
        self.append(&json);
        self.append(blob);
        self.count = id;
        Ok(id)
    }

    fn append(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.used == CONTENT_WORDS {
                if let Some(full) = self.blocks.pop_front() {
                    full.close();
                }
                self.used = 0;
            }
            let Some(block) = self.blocks.front() else { return };
            let fit = bytes.len().min((CONTENT_WORDS - self.used) * WORD);
            let (now, later) = bytes.split_at(fit);
            store_bytes(&block.content()[self.used..], now);
            self.used += fit.div_ceil(WORD);
            block.set_used(self.used * WORD);
            bytes = later;
        }
    }
}
