//! What the test kernel and its ring-3 program share: the system calls between them, the requests
//! that both may make of the bench, and plain device accesses.

#![no_std]

pub mod bench;
pub mod memory;
pub mod mmio;
pub mod system_call;
