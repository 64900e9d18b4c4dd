#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod access_size;
pub mod address;
pub mod backing;
pub mod bar;
mod bytes;
mod capability;
mod config;
pub mod config_access;
pub mod context;
pub mod device;
pub mod dma;
pub mod effect;
pub mod fixture;
pub mod function;
pub mod header;
mod hex;
pub mod host_bridge;
pub mod interrupt;
pub mod memory;
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
pub use register::{Access, BadField, BadMap, Field, Register, RegisterMap};
pub use state::{BadState, State};
