#![doc = include_str!("../README.md")]

mod bus_address;
mod capability;
pub mod definition;
mod definitions;
pub mod event;
mod format;
pub mod harmless;
mod mapping;
pub mod pack;
mod reader;
pub mod rewrite;
pub mod units;
mod writer;

pub use bus_address::BusAddress;
pub use capability::{Capabilities, Capability, Knowledge};
pub use definition::Definition;
pub use definitions::Definitions;
pub use event::{Event, EventKind, Id};
pub use format::{Clock, End};
pub use reader::{Content, Damage, DamageKind, Feed, Piece, ReadError, Stream, Tail, TraceInfo};
pub use writer::{Lane, WriteError, WriteOptions, Writer};
