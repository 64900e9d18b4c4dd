//! Traces understood: records resolved, filtered, held against assertions, explained, counted and printed.
//!
//! A [`view::Viewer`] says what a record means; [`filter`] selects records, [`assert`] judges them by
//! [`expectation`] files or from Rust; [`explain`], [`maps`], [`stats`], [`coverage`] and [`print`] answer questions.
//! Nothing here needs KVM: a trace tells everything by itself.

pub mod assert;
pub mod check;
mod completeness;
pub mod coverage;
pub mod expectation;
pub mod explain;
pub mod filter;
mod interrupts;
pub mod maps;
pub mod print;
#[cfg(test)]
mod sample;
mod serial;
pub mod stats;
mod style;
pub mod symbols;
mod table;
mod trace;
pub mod view;
pub mod watch;
mod words;

pub use completeness::Completeness;
pub use trace::Trace;
