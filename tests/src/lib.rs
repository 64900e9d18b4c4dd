//! The bench.
pub mod raw_guest;
