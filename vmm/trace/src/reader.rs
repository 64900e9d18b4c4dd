//! Reading a trace back: event by event ([`Stream`]), whole ([`Trace`]), or while it
//! grows ([`Tail`]).

mod packed;
mod scan;
mod slots;
mod stream;
mod tail;
mod whole;

use std::fmt;
use std::io;
use std::path::PathBuf;

pub use stream::Stream;
pub use tail::Tail;
pub use whole::Trace;

/// Why a file can't be read as a trace.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system doesn't let it be read.
    #[error("cannot read the trace {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It doesn't begin as traces do.
    #[error("{} is no barscope trace", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A layout of another version.
    #[error("the trace {} has version {version}, this program reads version {supported}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u64,
        /// The version of this program.
        supported: u64,
    },
    /// The header page holds what no writer puts there.
    #[error("the header of the trace {} is damaged", path.display())]
    Header {
        /// The file.
        path: PathBuf,
    },
}

/// A part of the file that can't be trusted. What it held is missing from the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where it is in the file, in bytes; for a definition, before which byte.
    pub offset: u64,
    /// What is wrong there.
    pub kind: DamageKind,
}

/// What is wrong with a part of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamageKind {
    /// The checksum of a block doesn't fit its content.
    Checksum,
    /// A block's header makes no sense.
    Block,
    /// A slot holds no event.
    Slot,
    /// The file ends within a block.
    Truncated,
    /// A definition can't be decoded. All later ones are missing as well, for want of their ids.
    Definition,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            DamageKind::Checksum => "wrong checksum of the block",
            DamageKind::Block => "unknown kind of block",
            DamageKind::Slot => "unknown kind of event",
            DamageKind::Truncated => "the file was cut off",
            DamageKind::Definition => "broken definition, later ones are lost",
        };
        write!(f, "{what} at byte {:#x}", self.offset)
    }
}

#[cfg(test)]
mod tests;
