//! What the test kernel and its ring-3 program share: the system calls between them, the requests
//! that both may make of the bench, and accesses to devices, plain ones and of every shape.

#![no_std]

pub mod bench;
pub mod memory;
pub mod mmio;
pub mod shapes;
pub mod system_call;
