//! PCI functions as pure state machines: configuration space, BARs, capabilities, registers, interrupts,
//! DMA, timers.
//!
//! A [`PciDevice`] is what someone writes to model hardware. A [`PciFunction`] puts configuration space
//! around it and is what a dispatcher calls, with a [`Cycle`] that lends guest memory and collects what
//! came of the access as [`Occurrence`]s. Nothing here knows of virtual machines, threads or files: a
//! [`Fixture`] drives a device in a unit test. A new device is a file in [`devices`] and a line there.
#![forbid(unsafe_code)]

mod access_size;
pub mod address;
pub mod backing;
pub mod bar;
mod bytes;
mod capability;
pub mod catalog;
mod config;
pub mod config_access;
pub mod context;
pub mod device;
pub mod devices;
pub mod dma;
pub mod document;
pub mod effect;
pub mod fixture;
pub mod function;
pub mod header;
mod hex;
pub mod host_bridge;
pub mod interrupt;
pub mod memory;
pub mod option;
#[cfg(test)]
mod probe;
pub mod register;
mod rom;
pub mod state;
mod timer;

pub use access_size::{AccessSize, low_bytes};
pub use address::{BadBarIndex, BadBdf, BarIndex, Bdf, Region, Space};
pub use backing::Backing;
pub use bar::BarSpec;
pub use bytes::read_bytes;
pub use capability::msi::MsiSpec;
pub use capability::msix::MsixSpec;
pub use config::registers::header_registers;
pub use config_access::{ConfigAddress, ecam_target};
pub use context::{Context, Cycle};
pub use device::{PciDevice, Refused};
pub use dma::{DmaError, DmaMemory};
pub use effect::{Decode, Effect, InterruptLoss, Occurrence};
pub use fixture::Fixture;
pub use function::PciFunction;
pub use header::ConfigHeader;
pub use hex::Hex;
pub use host_bridge::HostBridge;
pub use interrupt::{InterruptPin, VectorIndex};
pub use memory::{DeviceMemory, Storage};
pub use option::{BadOption, OptionSpec, Options};
pub use register::{Access, BadField, BadMap, Field, Register, RegisterMap};
pub use state::{BadState, State};
