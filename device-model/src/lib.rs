//! PCI functions as pure state machines: configuration space, BARs, registers, interrupts, DMA, timers.
//!
//! A [`PciDevice`] is what someone writes to model hardware. A [`PciFunction`] puts configuration space
//! around it and is what a dispatcher calls, with a [`Cycle`] that lends guest memory and collects what
//! came of the access as [`Occurrence`]s. Nothing here knows of virtual machines, threads or files: a
//! [`Fixture`] drives a device in a unit test. A new device is a file in [`devices`] and a line there.
#![forbid(unsafe_code)]

pub mod address;
pub mod bar;
mod bytes;
pub mod catalog;
mod config;
pub mod config_access;
pub mod context;
pub mod device;
pub mod devices;
pub mod dma;
pub mod effect;
pub mod fixture;
pub mod function;
pub mod header;
pub mod host_bridge;
pub mod memory;
mod msi;
#[cfg(test)]
mod probe;
pub mod register;
mod timer;

pub use address::{BadBdf, Bdf, Region, Space};
pub use bar::BarSpec;
pub use config_access::{ConfigAddress, ecam_target};
pub use context::{Context, Cycle};
pub use device::{PciDevice, Refused};
pub use dma::{DmaError, DmaMemory};
pub use effect::{Decode, Effect, Occurrence};
pub use fixture::Fixture;
pub use function::PciFunction;
pub use header::ConfigHeader;
pub use host_bridge::HostBridge;
pub use memory::DeviceMemory;
pub use register::{Access, Field, Register, RegisterMap};
