//! MMIO traces.
pub mod definition;
pub mod event;
