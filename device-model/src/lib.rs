//! PCI functions as pure state machines.
#![forbid(unsafe_code)]
pub mod address;
pub mod register;
pub use address::{BadBdf, Bdf, Region, Space};
pub use device::{Refused};
pub use register::{Access, Field, Register, RegisterMap};
