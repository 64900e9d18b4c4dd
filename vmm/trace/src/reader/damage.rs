//! What is wrong with a file.

use std::fmt;

/// How many parts are listed one by one. A file may be damaged in as many places as it has bytes.
const LISTED: usize = 1000;

/// A part of the file that can't be trusted. What it held is missing from the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where it is in the file, in bytes; for a definition, before which byte.
    pub offset: u64,
    /// What is wrong there.
    pub kind: DamageKind,
}

impl Damage {
    /// Whether definitions may be missing, so that nothing can be said of what events refer to.
    ///
    /// No other damage has to be looked at for that: where a damaged block may have held definitions, there is a
    /// [`DamageKind::Definition`] as well.
    pub fn concerns_definitions(&self) -> bool {
        matches!(self.kind, DamageKind::Header | DamageKind::Definition)
    }
}

/// What is wrong with a part of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamageKind {
    /// The header page isn't as it was written: how the trace ended and what belongs to it isn't known.
    Header,
    /// The checksum of a block doesn't fit its content, or a block of a trace that has ended has none.
    Checksum,
    /// A block's header makes no sense, or is that of another block.
    Block,
    /// A block is missing: it is empty, and those behind it aren't; or the trace has more blocks by its header.
    Missing,
    /// A slot holds no event.
    Slot,
    /// The file was cut off.
    Truncated,
    /// A definition is missing or can't be decoded. All later ones are missing as well, for want of their ids.
    Definition,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            DamageKind::Header => "the header was changed",
            DamageKind::Checksum => "wrong checksum of the block",
            DamageKind::Block => "unknown kind of block",
            DamageKind::Missing => "missing block",
            DamageKind::Slot => "unknown kind of event",
            DamageKind::Truncated => "the file was cut off",
            DamageKind::Definition => "broken definition, later ones are lost",
        };
        write!(f, "{what} at byte {:#x}", self.offset)
    }
}

/// All that was found so far.
#[derive(Clone, Debug, Default)]
pub(super) struct DamageList(Vec<Damage>);

impl DamageList {
    /// Notes damage once, however often it is met.
    pub(super) fn note(&mut self, offset: u64, kind: DamageKind) {
        let damage = Damage { offset, kind };
        let known = match kind {
            // One is as bad as many.
            DamageKind::Header | DamageKind::Definition | DamageKind::Truncated => {
                self.0.iter().any(|other| other.kind == kind)
            }
            _ => self.0.len() >= LISTED || self.0.contains(&damage),
        };
        if !known {
            self.0.push(damage);
        }
    }

    pub(super) fn list(&self) -> &[Damage] {
        &self.0
    }
}
