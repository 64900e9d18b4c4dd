#![doc = include_str!("../README.md")]

pub mod assert;
pub mod check;
mod code;
mod completeness;
pub mod coverage;
pub mod diff;
mod digits;
pub mod expectation;
pub mod explain;
pub mod filter;
pub mod golden;
mod interrupts;
mod key;
pub mod legend;
pub mod lint;
pub mod maps;
pub mod print;
pub mod reports;
pub mod results;
#[cfg(test)]
mod sample;
mod schema;
mod serial;
pub mod spin;
pub mod stats;
mod style;
pub mod summary;
pub mod symbols;
pub mod system_call;
mod table;
mod trace;
pub mod unmodelled;
pub mod view;
pub mod watch;
mod words;

pub use completeness::Completeness;
pub use trace::Trace;
