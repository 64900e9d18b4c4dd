//! Reading a trace back: event by event ([`Stream`]), whole ([`Content`]), or while it
//! grows ([`Tail`]; [`Feed`] as bytes).

mod block;
mod damage;
mod definition_stream;
mod definitions;
mod feed;
mod info;
mod opened;
mod scan;
mod slots;
mod source;
mod sparse;
mod stream;
mod tail;
mod whole;

use std::io;
use std::path::PathBuf;

pub(crate) use opened::open_source;

pub use damage::{Damage, DamageKind};
pub use feed::{Feed, Piece};
pub use info::TraceInfo;
pub use stream::Stream;
pub use tail::Tail;
pub use whole::Content;

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
    /// A folder, a device or a pipe: traces are read here and there.
    #[error("{} is no regular file: a trace can't be read from it", path.display())]
    NoFile {
        /// What it is called.
        path: PathBuf,
    },
    /// It is compressed, and there is no room for what it unpacks to.
    #[error("cannot unpack the trace {}; set TMPDIR to a folder with more room", path.display())]
    Unpack {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It is compressed, and unpacks to more than any trace should be.
    #[error("the trace {} unpacks to more than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is unpacked.
        limit: u64,
    },
    /// It doesn't begin as traces do.
    #[error("{} is no barscope trace", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A layout of another version.
    #[error(
        "the trace {} has format version {version}, this program reads version {supported}; record it again with \
         this program, or read it with the barscope that wrote it",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u64,
        /// The version of this program.
        supported: u64,
    },
}

#[cfg(test)]
mod tests;
