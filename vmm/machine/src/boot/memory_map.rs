//! The memory map that every boot protocol gives, each in a form of its own.

use crate::layout;

/// A range of physical addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// Its first address.
    pub(super) start: u64,
    /// The address after its last.
    pub(super) end: u64,
    /// Whether it is memory for the kernel; reserved otherwise.
    pub(super) usable: bool,
}

impl Range {
    pub(super) const fn size(&self) -> u64 {
        self.end - self.start
    }

    /// The kind of range in E820's numbers (ACPI 6.5, section 15), which all protocols have: memory or reserved.
    pub(super) const fn kind(&self) -> u32 {
        if self.usable { 1 } else { 2 }
    }
}

/// The ranges of a machine with `memory_size` bytes of memory, in ascending order. The legacy hole holds firmware's tables; ECAM
/// is reserved here and by ACPI.
pub(super) const fn of(memory_size: u64) -> [Range; 4] {
    [
        Range { start: 0, end: layout::LEGACY_HOLE, usable: true },
        Range { start: layout::LEGACY_HOLE, end: layout::HIGH_MEMORY, usable: false },
        Range { start: layout::HIGH_MEMORY, end: memory_size, usable: true },
        Range { start: layout::ECAM_BASE, end: layout::ECAM_BASE + layout::ECAM_SIZE, usable: false },
    ]
}
