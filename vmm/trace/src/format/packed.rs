//! The layout of a packed trace; a trace in it has that of [`super`], block by block.

mod columns;
mod frame;
mod varint;

pub(crate) use frame::{CONTENT_MAX, Frame, HEAD_BYTES, MAGIC, Of, START, VERSION};
