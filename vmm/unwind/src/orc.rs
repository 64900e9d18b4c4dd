//! ORC, a Linux kernel's own unwind tables: `Documentation/arch/x86/orc-unwinder.rst` and `asm/orc_types.h` there.
//!
//! A table is two arrays, in ascending order of code: how far from itself the code of each entry begins, in 4 bytes each,
//! and the entries, in 6 bytes each. What those mean has changed: the kernel's type information says which.

use barscope_x86::PhysicalMemory;
use serde::{Deserialize, Serialize};

use crate::btf::Btf;
use crate::space::Space;

/// Size of an entry, and of the place of its code, in bytes.
const ENTRY: u64 = 6;
const PLACE: u64 = 4;
/// More entries than any table has.
const MOST: u64 = 1 << 24;

/// How to leave code of a kernel's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where the caller's stack pointer comes from, and what is added to it.
    pub sp: (Base, i64),
    /// The same of its frame pointer.
    pub bp: (Base, i64),
    /// What is there.
    pub kind: Kind,
    /// The caller is at an instruction that it hasn't executed yet.
    pub signal: bool,
}

/// What an address on the stack is counted from: `ORC_REG_..`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    Undefined,
    PreviousSp,
    Dx,
    Di,
    Bp,
    Sp,
    R10,
    R13,
    BpIndirect,
    SpIndirect,
}

/// What lies below the caller's stack: `ORC_TYPE_..`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nobody knows.
    Undefined,
    /// Nothing: there is no caller.
    End,
    /// A return address.
    Call,
    /// All registers of what was interrupted: `struct pt_regs`.
    Registers,
    /// The part of them that the processor saves.
    Partial,
}

/// Where the parts of an entry are: the first bit of each, and the number of bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    sp_offset: (u64, u32),
    bp_offset: (u64, u32),
    sp: (u64, u32),
    bp: (u64, u32),
    kind: (u64, u32),
    signal: Option<(u64, u32)>,
    /// Before 6.4 a bit says that there is no caller; kinds begin with a call there.
    end: Option<(u64, u32)>,
}

impl Layout {
    /// As the kernel's types say; `None` if it isn't one of those that are known.
    pub fn new(btf: &Btf<'_>) -> Option<Self> {
        let field = |name, whole: u32| {
            let member = btf.member("orc_entry", &[name])?;
            let bits = member.bits.unwrap_or(whole);
            (member.first_bit + u64::from(bits) <= ENTRY * 8).then_some((member.first_bit, bits))
        };
        let layout = Self {
            sp_offset: field("sp_offset", 16)?,
            bp_offset: field("bp_offset", 16)?,
            sp: field("sp_reg", 0)?,
            bp: field("bp_reg", 0)?,
            kind: field("type", 0)?,
            signal: field("signal", 0),
            end: field("end", 0),
        };
        let kinds = (layout.kind.1, layout.end.is_some(), layout.signal.is_some());
        let is_known = matches!(kinds, (2, true, _) | (3, false, true));
        let has_widths =
            layout.sp.1 == 4 && layout.bp.1 == 4 && layout.sp_offset.1 == 16 && layout.bp_offset.1 == 16;
        (u64::from(btf.size("orc_entry")?) == ENTRY && is_known && has_widths).then_some(layout)
    }

    fn decode(&self, entry: u64) -> Option<Entry> {
        let field = |(first, bits): (u64, u32)| entry >> first & ((1 << bits) - 1);
        let offset = |place| i64::from(field(place) as u16 as i16);
        let kind = match (self.end.map(field), field(self.kind)) {
            (Some(1), _) | (None, 1) => Kind::End,
            (Some(_), 0) | (None, 2) => Kind::Call,
            (Some(_), 1) | (None, 3) => Kind::Registers,
            (Some(_), 2) | (None, 4) => Kind::Partial,
            (None, 0) => Kind::Undefined,
            _ => return None,
        };
        let signal =
            self.signal.map_or(matches!(kind, Kind::Registers | Kind::Partial), |place| field(place) != 0);
        let (sp, bp) = (base(field(self.sp))?, base(field(self.bp))?);
        Some(Entry { sp: (sp, offset(self.sp_offset)), bp: (bp, offset(self.bp_offset)), kind, signal })
    }
}

fn base(number: u64) -> Option<Base> {
    Some(match number {
        0 => Base::Undefined,
        1 => Base::PreviousSp,
        2 => Base::Dx,
        3 => Base::Di,
        4 => Base::Bp,
        5 => Base::Sp,
        6 => Base::R10,
        7 => Base::R13,
        8 => Base::BpIndirect,
        9 => Base::SpIndirect,
        _ => return None,
    })
}

/// A table in guest memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Addresses of both arrays.
    places: u64,
    entries: u64,
    count: u64,
}

impl Table {
    /// The table of these arrays.
    pub fn new(places: u64, entries: u64, count: u64) -> Self {
        Self { places, entries, count: count.min(MOST) }
    }

    /// The table of arrays that begin and end there; `None` if they don't fit each other.
    pub fn between(places: (u64, u64), entries: (u64, u64)) -> Option<Self> {
        let count = places.1.checked_sub(places.0)? / PLACE;
        let is_one = entries.1.checked_sub(entries.0)? == count * ENTRY && count <= MOST;
        is_one.then_some(Self { places: places.0, entries: entries.0, count })
    }

    /// The entry for the code at `ip`; `None` if the table has none.
    pub fn find<M: PhysicalMemory>(&self, space: &Space<'_, M>, layout: &Layout, ip: u64) -> Option<Entry> {
        let (mut from, mut to) = (0, self.count);
        while from < to {
            let middle = from.midpoint(to);
            if self.start(space, middle)? <= ip { from = middle + 1 } else { to = middle }
        }
        let entry = self.entries.wrapping_add(from.checked_sub(1)? * ENTRY);
        layout.decode(space.number(entry, ENTRY as usize)?)
    }

    /// Where the code of an entry begins.
    fn start<M: PhysicalMemory>(&self, space: &Space<'_, M>, index: u64) -> Option<u64> {
        let at = self.places.wrapping_add(index * PLACE);
        let distance = space.number(at, PLACE as usize)? as u32 as i32;
        Some(at.wrapping_add_signed(distance.into()))
    }
}

#[cfg(test)]
pub(crate) mod tests;
