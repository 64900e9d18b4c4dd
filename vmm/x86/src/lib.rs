#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

#[cfg(test)]
mod fixture;
mod instance;
mod instruction;
mod memory;
pub mod memory_type;
mod registers;
mod walk;

pub use instance::Instances;
pub use instruction::{FunctionStarts, Located, Locator, MAX_LENGTH, MemoryExit, Operand, Reached};
pub use memory::PhysicalMemory;
pub use memory_type::{MemoryTypes, TypesOfPage};
pub use registers::{Paging, Registers, Segment};
pub use walk::{ACCESSED_DIRTY, PageWalk, read_virtual, walk};
