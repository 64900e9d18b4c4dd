#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod access_size;
pub mod address;
pub mod backing;
mod bad_header;
mod bar;
mod bytes;
mod capability;
pub mod catalog;
mod config;
pub mod config_access;
pub mod context;
pub mod description;
pub mod deviation;
pub mod device;
pub mod diagnostic;
pub mod dma;
pub mod effect;
mod extended;
pub mod fixture;
pub mod function;
pub mod header;
mod hex;
pub mod host_bridge;
mod interrupt;
mod interrupt_set;
mod masked_bytes;
pub mod memory;
pub mod option;
#[cfg(test)]
mod probe;
pub mod refused;
pub mod register;
mod rom;
pub mod state;
pub mod text;
mod timer;
mod type0;
mod vector;

pub use access_size::{AccessSize, low_bytes};
pub use address::{BadBarIndex, BadBdf, BarIndex, Bdf, Region, Space};
pub use backing::{Backing, Doorbell};
pub use bad_header::BadHeader;
pub use bar::BarSpec;
pub use bytes::read_bytes;
pub use capability::{
    AdvancedFeaturesSpec, Capability, ExpressKind, ExpressSpec, LinkSpec, MsiSpec, MsixPlace, MsixSpec,
    OtherSpec, Placed, PowerData, PowerSpec, SlotSpec, VendorSpec, is_msix_register,
};
pub use catalog::{BadPlace, Devices, Entry};
pub use config::registers::header_registers;
pub use config_access::{ConfigAddress, ecam_target};
pub use context::{BusContext, Context};
pub use description::{BadDescription, Description};
pub use deviation::{Deviation, Differs};
pub use device::PciDevice;
pub use diagnostic::{Diagnostic, Span};
pub use dma::{DmaError, DmaMemory};
pub use effect::{Decode, Effect, InterruptLoss, TimestampedEffect};
pub use extended::{
    AerSpec, AtsSpec, ExtendedCapability, OtherExtendedSpec, ResizableBar, ResizableBarSpec,
    SerialNumberSpec, SrIovSpec,
};
pub use fixture::Fixture;
pub use function::PciFunction;
pub use header::{CommandSpec, ConfigHeader, ConventionalSpec, Devsel, InterruptPin};
pub use hex::Hex;
pub use host_bridge::HostBridge;
pub use interrupt_set::InterruptSet;
pub use masked_bytes::{MaskedBytes, PrivateBytes};
pub use memory::{DeviceMemory, Storage};
pub use option::{BadOption, OptionSpec, Options};
pub use refused::Refused;
pub use register::{Access, BadField, BadMap, Field, Register, RegisterMap};
pub use state::{BadState, State};
pub use vector::VectorIndex;
