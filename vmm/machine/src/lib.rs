//! The machine: guest memory, KVM, vCPUs, and the way of an access to a device and into a trace.
//!
//! [`machine::start`] puts one together from a [`machine::Config`]; the [`Running`] that it gives says why it
//! [`Stop`]ped.

mod backing;
mod boot;
mod budget;
mod capable;
mod clock;
mod console;
pub mod debian;
mod dispatch;
mod firmware;
mod guest_abi;
mod host;
pub mod host_file;
mod images;
mod initramfs;
mod interned;
mod kernel_module;
mod kernel_symbols;
pub mod layout;
mod libraries;
mod lines;
pub mod linux;
pub mod machine;
mod memory;
mod modules;
pub mod nested;
mod routes;
mod running;
pub mod session;
mod shared;
mod stop;
mod threads;
mod vcpu;

pub use boot::BootError;
#[doc(hidden)]
pub use guest_abi::fuzz;
pub use host::HostError;
pub use machine::{Config, MachineError};
pub use running::{Running, Stopper, TraceFile};
pub use stop::{Place, Stop, signal_name};
pub use threads::Relay;
