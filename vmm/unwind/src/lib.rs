#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod btf;
#[cfg(test)]
mod fixture;
mod kernel;
mod space;
mod task;

pub use btf::{Btf, BtfError, Member};
pub use kernel::Kernel;
pub use space::Space;
pub use task::{Task, Tasks};

/// A guest kernel's symbols, as `/proc/kallsyms` has them.
pub trait Symbols {
    /// The address of the symbol of this name.
    fn address(&self, name: &str) -> Option<u64>;
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
    /// Its type information isn't in memory.
    #[error("the type information of the guest's kernel isn't where it says")]
    Unmapped,
}
