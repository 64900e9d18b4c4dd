//! MMIO traces: events, what they refer to, the file, its writer and its readers.
//!
//! A trace is a file that vCPU threads write records into while the guest runs ([`Writer`]). It is
//! read back event by event by [`Stream`], whole as [`Content`], or by [`Tail`] while it grows.
//! What records mean is for others to say: nothing here disassembles, reads debug information or knows KVM.

mod capability;
pub mod definition;
mod definitions;
pub mod event;
mod format;
pub mod harmless;
mod mapping;
mod reader;
pub mod rewrite;
pub mod units;
mod writer;

pub use capability::{Capabilities, Capability, Knowledge};
pub use definition::Definition;
pub use definitions::Definitions;
pub use event::{Event, EventKind, Id};
pub use format::{Clock, End};
pub use reader::{Content, Damage, DamageKind, Feed, Piece, ReadError, Stream, Tail};
pub use writer::{Lane, WriteError, WriteOptions, Writer};
