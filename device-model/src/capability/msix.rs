//! MSI-X: a table of messages and an array of pending bits, both in a BAR.
//!
//! PCI Local Bus 3.0, section 6.8.2. Table and array take aligned accesses of 4 and 8 bytes.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::Layout;
use super::messages::Messages;
use crate::access_size::AccessSize;
use crate::address::{BarIndex, Region, Space};
use crate::bad_header::BadHeader;
use crate::bar::BarSpec;
use crate::config::ConfigSpace;
use crate::config::registers::register;
use crate::interrupt_set::InterruptSet;
use crate::refused::Refused;
use crate::register::{Access, Field, Register, RegisterMap};
use crate::vector::VectorIndex;

const LENGTH: usize = 12;
/// Registers, as offsets in the capability.
const CONTROL: usize = 0x02;
const TABLE: usize = 0x04;
const PENDING: usize = 0x08;

const CONTROL_FUNCTION_MASK: u16 = 1 << 14;
const CONTROL_ENABLE: u16 = 1 << 15;
const MOST_VECTORS: u16 = 2048;

/// A table entry: address low and high, data, control, 32 bits each.
const ENTRY_SIZE: u64 = 16;
const ADDRESS_LOW: usize = 0;
const ADDRESS_HIGH: usize = 1;
const DATA: usize = 2;
const VECTOR_CONTROL: usize = 3;
const VECTOR_MASK: u32 = 1 << 0;
/// What software can write of an entry.
const WRITABLE: [u32; 4] = [!0b11, u32::MAX, u32::MAX, VECTOR_MASK];
/// Every vector is masked after reset.
const RESET: [u32; 4] = [0, 0, 0, VECTOR_MASK];
const ENTRY_NAMES: [&str; 4] = ["ADDRESS_LOW", "ADDRESS_HIGH", "DATA", "CONTROL"];
const VECTOR_CONTROL_FIELDS: &[Field] = &[Field::bit("MASK", 0, "the vector is masked")];

const CONTROL_FIELDS: &[Field] = &[
    Field::new("LAST", 0, 11, "number of the last vector"),
    Field::bit("FUNCTION_MASK", 14, "all vectors are masked"),
    Field::bit("ENABLE", 15, "interrupts leave as messages"),
];
const PLACE_FIELDS: &[Field] = &[Field::new("BAR", 0, 3, ""), Field::new("OFFSET", 3, 29, "in quadwords")];

static REGISTERS: [Register; 4] = [
    register("MSIX", 0, 2, Access::ReadOnly, &[], "MSI-X: identifier, next capability"),
    register("MSIX_CONTROL", 2, 2, Access::ReadWrite, CONTROL_FIELDS, ""),
    register("MSIX_TABLE", 4, 4, Access::ReadOnly, PLACE_FIELDS, "where the table is"),
    register("MSIX_PENDING", 8, 4, Access::ReadOnly, PLACE_FIELDS, "where the pending bits are"),
];

/// Whether a register of this name is an entry of an MSI-X table, or pending bits: so those of [`MsixSpec`] are called in
/// the BARs that they lie in.
pub fn is_msix_register(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("MSIX") else { return false };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    match rest.split_once('_') {
        Some(("", pending)) => pending.strip_prefix("PENDING").is_some_and(digits),
        Some((vector, word)) => digits(vector) && ENTRY_NAMES.contains(&word),
        None => false,
    }
}

/// The MSI-X capability of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MsixSpec {
    /// Vectors, 1 to 2048.
    pub vectors: u16,
    /// Place of the table.
    pub table: MsixPlace,
    /// Place of the pending bits.
    pub pending: MsixPlace,
}

/// A place in a memory BAR for a part of MSI-X.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MsixPlace {
    /// The BAR.
    pub bar: BarIndex,
    /// Offset in that BAR: a multiple of 8.
    pub offset: u32,
}

impl MsixPlace {
    /// The offset as the register holds it.
    const fn register(self) -> u32 {
        self.offset | self.bar.get() as u32
    }

    const fn region(self) -> Region {
        Region::Bar(self.bar)
    }
}

impl MsixSpec {
    /// Table and pending bits at offsets in one BAR.
    pub const fn new(vectors: u16, bar: BarIndex, table: u32, pending: u32) -> Self {
        let (table, pending) = (MsixPlace { bar, offset: table }, MsixPlace { bar, offset: pending });
        Self { vectors, table, pending }
    }

    /// The offsets of the table's bytes.
    pub const fn table_range(&self) -> Range<u64> {
        let start = self.table.offset as u64;
        start..start + self.vectors as u64 * ENTRY_SIZE
    }

    /// The offsets of the pending bits' bytes, in whole quadwords.
    pub const fn pending_range(&self) -> Range<u64> {
        let start = self.pending.offset as u64;
        start..start + self.vectors.div_ceil(64) as u64 * 8
    }

    fn is_table(&self, region: Region, offset: u64) -> bool {
        region == self.table.region() && self.table_range().contains(&offset)
    }

    fn is_pending(&self, region: Region, offset: u64) -> bool {
        region == self.pending.region() && self.pending_range().contains(&offset)
    }

    /// Its registers: those of the table, and those of the pending bits, each in ascending order of offset.
    pub(crate) fn register_maps(&self) -> [RegisterMap; 2] {
        let entries = (0..self.vectors).flat_map(|vector| {
            (0..4).map(move |word| {
                let offset = u64::from(self.table.offset) + u64::from(vector) * ENTRY_SIZE + word as u64 * 4;
                let mut register =
                    Register::new32("", offset, Access::ReadWrite, "").reset_to(RESET[word].into());
                register.name = format!("MSIX{vector}_{}", ENTRY_NAMES[word]).into();
                if word == VECTOR_CONTROL { register.with_fields(VECTOR_CONTROL_FIELDS) } else { register }
            })
        });
        let is_one = self.vectors <= 64;
        let pending = self.pending_range().step_by(8).enumerate().map(|(index, offset)| {
            let mut register = Register::new64("MSIX_PENDING", offset, Access::ReadOnly, "a bit a vector");
            if !is_one {
                register.name = format!("MSIX_PENDING{index}").into();
            }
            register.volatile = true;
            register
        });
        [
            RegisterMap { region: self.table.region(), registers: entries.collect::<Vec<_>>().into() },
            RegisterMap { region: self.pending.region(), registers: pending.collect::<Vec<_>>().into() },
        ]
    }

    fn check_place(place: MsixPlace, end: u64, bars: &[BarSpec]) -> Result<(), BadHeader> {
        let is_memory = |bar: &&BarSpec| bar.index == place.bar && bar.space == Space::Memory;
        let size = bars.iter().find(is_memory).ok_or(BadHeader::MsixBar(place.bar))?.size;
        if !place.offset.is_multiple_of(8) {
            return Err(BadHeader::MsixAlignment(place.offset));
        }
        if end > size {
            return Err(BadHeader::MsixEnd { bar: place.bar, end, size });
        }
        Ok(())
    }
}

impl fmt::Display for MsixSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (MsixPlace { bar, offset }, pending) = (self.table, self.pending);
        write!(f, "MSI-X ({} vectors; table at {bar}+{offset:#x}, pending bits at ", self.vectors)?;
        if pending.bar != bar {
            write!(f, "{}", pending.bar)?;
        }
        write!(f, "+{:#x})", pending.offset)
    }
}

impl Layout for MsixSpec {
    fn id(&self) -> u16 {
        0x11
    }

    fn name(&self) -> &'static str {
        "MSI-X"
    }

    fn length(&self) -> usize {
        LENGTH
    }

    fn check(&self, bars: &[BarSpec]) -> Result<(), BadHeader> {
        let holds = (1..=MOST_VECTORS).contains(&self.vectors);
        BadHeader::unless(holds, "MSI-X's number of vectors", self.vectors, "1 to 2048 vectors")?;
        let (table, pending) = (self.table_range(), self.pending_range());
        Self::check_place(self.table, table.end, bars)?;
        Self::check_place(self.pending, pending.end, bars)?;
        let apart = table.end <= pending.start || pending.end <= table.start;
        if self.table.bar == self.pending.bar && !apart {
            return Err(BadHeader::MsixOverlap(self.table.bar));
        }
        Ok(())
    }

    fn define(&self, config: &mut ConfigSpace, offset: usize) {
        config.define(offset + CONTROL, &(self.vectors - 1).to_le_bytes());
        config.make_writable(offset + CONTROL, &(CONTROL_FUNCTION_MASK | CONTROL_ENABLE).to_le_bytes());
        config.define(offset + TABLE, &self.table.register().to_le_bytes());
        config.define(offset + PENDING, &self.pending.register().to_le_bytes());
    }

    fn registers(&self) -> Vec<Register> {
        REGISTERS.to_vec()
    }
}

/// What MSI-X remembers outside configuration space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MsixState {
    table: Vec<[u32; 4]>,
    pending: InterruptSet,
}

/// The capability, at an offset, with its table.
pub(crate) struct Msix {
    offset: usize,
    spec: MsixSpec,
    table: Vec<[u32; 4]>,
    /// Vectors whose entries say that they are masked.
    masked: InterruptSet,
    pending: InterruptSet,
}

impl Msix {
    pub(super) fn new(spec: MsixSpec, offset: usize) -> Self {
        let vectors = usize::from(spec.vectors);
        let masked = InterruptSet::below(vectors);
        Self { offset, spec, table: vec![RESET; vectors], masked, pending: InterruptSet::EMPTY }
    }

    /// Whether software has enabled it.
    pub(crate) fn enabled(&self, config: &ConfigSpace) -> bool {
        config.u16(self.offset + CONTROL) & CONTROL_ENABLE != 0
    }

    /// Whether an access at `offset` of `region` is for it and not for the device.
    pub(crate) fn claims(&self, region: Region, offset: u64) -> bool {
        self.spec.is_table(region, offset) || self.spec.is_pending(region, offset)
    }

    /// Reads `size` bytes at `offset` of a region, which it claims.
    ///
    /// # Errors
    /// [`Refused::Width`] unless 4 or 8 bytes, [`Refused::Alignment`] unless aligned to that.
    pub(crate) fn read(&self, region: Region, offset: u64, size: AccessSize) -> Result<u64, Refused> {
        check_access(offset, size)?;
        if self.spec.is_pending(region, offset) {
            let first = offset - u64::from(self.spec.pending.offset);
            return Ok(self.pending.word(first as usize / 8) >> (first % 8 * 8) & size.mask());
        }
        let (entry, word) = self.place(offset);
        let low = u64::from(self.table[entry][word]);
        let high = if size == AccessSize::Qword { u64::from(self.table[entry][word + 1]) } else { 0 };
        Ok(high << 32 | low)
    }

    /// Writes `size` bytes at `offset` of a region, which it claims.
    ///
    /// # Errors
    /// As for [`Msix::read`]; [`Refused::ReadOnly`] for the pending bits.
    pub(crate) fn write(
        &mut self,
        region: Region,
        offset: u64,
        size: AccessSize,
        value: u64,
    ) -> Result<(), Refused> {
        check_access(offset, size)?;
        if self.spec.is_pending(region, offset) {
            return Err(Refused::ReadOnly);
        }
        let (entry, word) = self.place(offset);
        self.table[entry][word] = value as u32 & WRITABLE[word];
        if size == AccessSize::Qword {
            self.table[entry][word + 1] = (value >> 32) as u32 & WRITABLE[word + 1];
        }
        self.note_mask(entry);
        Ok(())
    }

    /// Masks every vector and forgets what is pending.
    pub(crate) fn reset(&mut self) {
        self.table.fill(RESET);
        self.masked = InterruptSet::below(self.table.len());
        self.pending.clear();
    }

    /// The table and the pending bits, to be saved.
    pub(crate) fn state(&self) -> MsixState {
        MsixState { table: self.table.clone(), pending: self.pending.clone() }
    }

    /// Takes back what [`Msix::state`] gave. `false` if that is of another size.
    pub(crate) fn restore(&mut self, state: MsixState) -> bool {
        let beyond = state.pending.difference(&InterruptSet::below(self.table.len()));
        let fits = state.table.len() == self.table.len() && beyond.is_empty();
        if fits {
            for (entry, words) in state.table.into_iter().enumerate() {
                self.table[entry] = std::array::from_fn(|word| words[word] & WRITABLE[word]);
                self.note_mask(entry);
            }
            self.pending = state.pending;
        }
        fits
    }

    fn note_mask(&mut self, entry: usize) {
        let vector = VectorIndex::new(entry as u16).expect("a table has 2048 entries at most");
        if self.table[entry][VECTOR_CONTROL] & VECTOR_MASK != 0 {
            self.masked.insert(vector);
        } else {
            self.masked.remove(vector);
        }
    }

    /// The entry at `offset` of the BAR, and the word in it.
    fn place(&self, offset: u64) -> (usize, usize) {
        let offset = offset - u64::from(self.spec.table.offset);
        ((offset / ENTRY_SIZE) as usize, (offset % ENTRY_SIZE / 4) as usize)
    }
}

fn check_access(offset: u64, size: AccessSize) -> Result<(), Refused> {
    match size {
        AccessSize::Byte | AccessSize::Word => Err(Refused::Width),
        _ if offset.is_multiple_of(size.bytes()) => Ok(()),
        _ => Err(Refused::Alignment),
    }
}

impl Messages for Msix {
    fn vectors(&self, _: &ConfigSpace) -> u16 {
        self.spec.vectors
    }

    fn masked(&self, config: &ConfigSpace) -> InterruptSet {
        if config.u16(self.offset + CONTROL) & CONTROL_FUNCTION_MASK != 0 {
            return InterruptSet::below(self.table.len());
        }
        self.masked.clone()
    }

    fn pending(&self, _: &ConfigSpace) -> InterruptSet {
        self.pending.clone()
    }

    fn set_pending(&mut self, _: &mut ConfigSpace, pending: InterruptSet) {
        self.pending = pending;
    }

    fn message(&self, _: &ConfigSpace, vector: VectorIndex) -> (u64, u32) {
        let entry = &self.table[usize::from(vector.get())];
        (u64::from(entry[ADDRESS_HIGH]) << 32 | u64::from(entry[ADDRESS_LOW]), entry[DATA])
    }
}

#[cfg(test)]
mod tests;
