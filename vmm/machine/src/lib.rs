#![doc = include_str!("../README.md")]

mod boot;
mod budget;
mod capable;
mod clock;
mod console;
pub mod debian;
pub mod dispatch;
mod firmware;
mod guest_abi;
mod guest_requests;
mod host;
pub mod host_file;
mod images;
mod initramfs;
mod interned;
mod irq_lines;
mod kernel_module;
mod kernel_symbols;
pub mod layout;
mod libraries;
pub mod linux;
mod lock;
pub mod machine;
mod memory;
mod modules;
pub mod nested;
pub mod perform;
mod placement;
pub mod platform;
mod routes;
mod running;
pub mod session;
mod shared;
mod stop;
mod threads;
mod untrapped;
mod vcpu;

pub use boot::BootError;
#[doc(hidden)]
pub use guest_abi::fuzz;
pub use host::HostError;
pub use machine::{Config, MachineError};
pub use placement::NoRoom;
pub use running::{Running, Stopper, TraceFile};
pub use stop::{Place, Stop, signal_name};
pub use threads::Relay;
