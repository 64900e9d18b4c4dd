//! MMIO traces: what they hold, the file, the reader, what the records mean, printing and assertions.
//!
//! A trace is a file that vCPU threads write records into while the guest runs ([`Writer`]). It is
//! read back event by event by [`Stream`], whole by [`Trace`], or by [`Tail`] while it grows.
//! Nothing here needs KVM: a trace tells everything by itself.

pub mod assert;
mod bus_address;
mod capability;
mod completeness;
pub mod coverage;
pub mod definition;
mod definitions;
pub mod event;
pub mod expectation;
pub mod explain;
pub mod filter;
mod format;
pub mod harmless;
mod interrupts;
mod mapping;
pub mod maps;
pub mod print;
mod reader;
pub mod rewrite;
#[cfg(test)]
mod sample;
pub mod stats;
pub mod symbols;
pub mod view;
mod writer;

pub use bus_address::BusAddress;
pub use capability::{Capabilities, Capability, Knowledge};
pub use completeness::Completeness;
pub use definition::Definition;
pub use definitions::Definitions;
pub use event::{Event, EventKind, Id};
pub use format::{Clock, End};
pub use reader::{Damage, DamageKind, Feed, Piece, ReadError, Stream, Tail, Trace};
pub use writer::{Lane, WriteError, WriteOptions, Writer};
