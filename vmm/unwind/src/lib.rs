#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod btf;
mod capture;
mod entries;
#[cfg(test)]
mod fixture;
mod hex;
mod kernel;
mod modules;
mod orc;
mod program;
mod recent;
mod space;
mod stack;
mod task;

use std::ops::Range;

pub use btf::{Btf, BtfError, Member};
pub use capture::{Capture, Captured, Recording};
pub use kernel::Kernel;
pub use program::{Program, Section, Tables};
pub use recent::Recent;
pub use space::Space;
pub use stack::{Followed, Unwinder};
pub use task::{Task, Tasks};

/// A guest kernel's symbols, as `/proc/kallsyms` has them.
pub trait Symbols {
    /// The address of the symbol of this name.
    fn address(&self, name: &str) -> Option<u64> {
        self.addresses(name).first().copied()
    }

    /// The addresses of all symbols of this name.
    fn addresses(&self, name: &str) -> Vec<u64>;

    /// Calls `each` with place and name of each function.
    fn each_function(&self, each: &mut dyn FnMut(Range<u64>, &str));
}

/// What the guest's kernel doesn't say, so that something can't be told of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untold {
    /// A symbol.
    #[error("the guest's kernel has no symbol {0}")]
    Symbol(&'static str),
    /// A member of a structure.
    #[error("the type information of the guest's kernel has no {0}")]
    Member(&'static str),
    /// Its type information isn't readable.
    #[error("the type information of the guest's kernel can't be read: {0}")]
    Btf(#[from] BtfError),
    /// Its unwind tables are of no known layout.
    #[error("the unwind tables of the guest's kernel (ORC) are of an unknown layout")]
    Layout,
    /// Its type information isn't in memory.
    #[error("the type information of the guest's kernel isn't where it says")]
    Unmapped,
}
