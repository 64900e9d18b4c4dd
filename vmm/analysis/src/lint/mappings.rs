//! The kernel's mappings of devices, as the guest announces them.

use std::ops::Range;

use barscope_trace::event::EventKind;

use crate::view::View;

/// So many mappings are followed.
const MOST: usize = 1024;

/// The kernel's mappings, by physical address.
#[derive(Default)]
pub(super) struct KernelMappings {
    live: Vec<Range<u64>>,
    /// There may be others.
    unknown: bool,
}

/// What became of one.
pub(super) enum Remapped {
    Made(Range<u64>),
    /// It is undone; only said where all others are known.
    Undone(Range<u64>),
}

impl KernelMappings {
    /// Takes a record; the mapping that it makes or undoes.
    pub(super) fn event(&mut self, view: &View) -> Option<Remapped> {
        let undone = match view.kind {
            EventKind::Map { .. } => false,
            EventKind::Unmap { .. } => true,
            _ => return None,
        };
        let mapping =
            view.mapping().filter(|mapping| mapping.address_space.is_none() && mapping.announced)?;
        let range = mapping.physical_address..mapping.physical_address.saturating_add(mapping.length);
        if undone {
            let at = self.live.iter().position(|known| *known == range)?;
            self.live.swap_remove(at);
            return (!self.unknown).then_some(Remapped::Undone(range));
        }
        if self.live.len() < MOST {
            self.live.push(range.clone());
        } else {
            self.unknown = true;
        }
        Some(Remapped::Made(range))
    }

    /// Whether any of these addresses is mapped.
    pub(super) fn reach(&self, range: &Range<u64>) -> bool {
        self.live.iter().any(|known| overlap(known, range))
    }

    /// Records are missing: mappings may have been made that nobody told of.
    pub(super) fn lose(&mut self) {
        self.unknown = true;
    }
}

/// Whether two ranges have an address in common.
pub(super) fn overlap(one: &Range<u64>, other: &Range<u64>) -> bool {
    one.start < other.end && other.start < one.end
}
