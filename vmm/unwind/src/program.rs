//! A program's stack, by the unwind tables of its files, and by frame pointers where there are none.

use std::ops::Range;
use std::sync::Arc;

use barscope_trace::definition::Cut;
use framehop::x86_64::{CacheX86_64, UnwindRegsX86_64, UnwinderX86_64};
use framehop::{Error, ExplicitModuleSectionInfo, Module, Unwinder as _};
use serde::{Deserialize, Serialize};

use crate::hex;

/// A part of a file, at the address that the file says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Section {
    /// Its place.
    pub range: Range<u64>,
    /// What it holds.
    #[serde(with = "hex")]
    pub data: Arc<[u8]>,
}

/// What a file says of leaving its code.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tables {
    /// Where the file's parts are, as it says.
    pub range: Range<u64>,
    /// `.eh_frame`.
    pub frames: Section,
    /// `.eh_frame_hdr`.
    pub index: Option<Section>,
}

/// The unwind tables of what an address space holds.
pub struct Program {
    unwinder: UnwinderX86_64<Arc<[u8]>>,
    cache: CacheX86_64,
}

impl Default for Program {
    /// None.
    fn default() -> Self {
        Self { unwinder: UnwinderX86_64::new(), cache: CacheX86_64::new() }
    }
}

impl Program {
    /// Adds the tables of a file, whose parts are `bias` above where it says.
    pub fn add(&mut self, tables: &Tables, bias: u64) {
        let Tables { range, frames, index } = tables;
        let start = range.start.wrapping_add(bias);
        let place = start..range.end.wrapping_add(bias);
        // They count from the file's start in 32 bits.
        if place.is_empty() || range.end - range.start > u32::MAX.into() {
            return;
        }
        let info = ExplicitModuleSectionInfo {
            base_svma: range.start,
            eh_frame_svma: Some(frames.range.clone()),
            eh_frame: Some(Arc::clone(&frames.data)),
            eh_frame_hdr_svma: index.as_ref().map(|index| index.range.clone()),
            eh_frame_hdr: index.as_ref().map(|index| Arc::clone(&index.data)),
            ..Default::default()
        };
        self.unwinder.add_module(Module::new(String::new(), place, start, info));
    }

    /// Calls `each` with the return addresses from code at `ip` outwards, as long as that wants more; `read` gives words of the stack.
    /// Why it ended early, if it did.
    pub(crate) fn follow(
        &mut self,
        (ip, sp, bp): (u64, u64, u64),
        read: &mut dyn FnMut(u64) -> Option<u64>,
        each: &mut dyn FnMut(u64) -> Result<(), Cut>,
    ) -> Option<Cut> {
        let mut read = |address| read(address).ok_or(());
        let registers = UnwindRegsX86_64::new(ip, sp, bp);
        let mut frames = self.unwinder.iter_frames(ip, registers, &mut self.cache, &mut read);
        // The code itself.
        frames.next().ok();
        loop {
            match frames.next() {
                Ok(Some(frame)) => {
                    if let Err(cut) = each(frame.address()) {
                        return Some(cut);
                    }
                }
                Ok(None) => return None,
                Err(Error::CouldNotReadStack(_)) => return Some(Cut::NotMapped),
                Err(_) => return Some(Cut::NoTable),
            }
        }
    }
}

#[cfg(test)]
mod tests;
