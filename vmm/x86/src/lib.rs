//! What an x86 processor did, told from its registers and from guest memory: page walks, memory types, instructions.
//!
//! A [`Locator`] finds the instruction that made an exit, with the [`PageWalk`] that led to the device; [`MemoryTypes`]
//! says what PAT and MTRRs make of a page; [`Instances`] tells which accesses one executed instruction made. Nothing
//! here knows KVM or threads: registers are plain numbers, and memory is a [`PhysicalMemory`].
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
