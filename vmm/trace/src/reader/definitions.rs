//! Takes the stream of definitions in, block by block.

use std::io;

use super::block::{Block, CONTENT_BYTES, Found, content_offset};
use super::scan::Scanner;
use crate::definitions::Definitions;

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
