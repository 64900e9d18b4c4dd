//! A VM between two turns: what KVM holds of it, and its memory. What records its accesses is of one turn.

use std::sync::Arc;

use kvm_bindings::kvm_clock_data;
use kvm_ioctls::{Kvm, VmFd};
use vm_superio::serial::SerialState;

use crate::host::HostError;
use crate::memory::GuestMemory;
use crate::vcpu::Core;

/// A VM but for its processors.
#[derive(Clone)]
pub(crate) struct Board {
    pub(crate) kvm: Arc<Kvm>,
    pub(crate) fd: Arc<VmFd>,
    pub(crate) memory: GuestMemory,
    /// The registers of its serial port when a turn begins.
    pub(crate) serial: SerialState,
}

/// A VM whose guest has ended a turn: it can go on. Its processors stand still.
pub struct Vm {
    // KVM's processors go before guest memory does.
    pub(crate) cores: Vec<Core>,
    pub(crate) board: Board,
    pub(crate) clock: Clock,
}

/// The guest's time, which stands still with the processors: otherwise its kernel would find that it had hung.
pub(crate) struct Clock {
    kvm: kvm_clock_data,
    /// The time-stamp counter of the first processor.
    tsc: u64,
}

impl Clock {
    /// The time now.
    ///
    /// # Errors
    /// [`HostError::Ioctl`] if KVM refuses.
    pub(crate) fn get(fd: &VmFd, cores: &[Core]) -> Result<Self, HostError> {
        let kvm = fd.get_clock().map_err(|source| HostError::ioctl("KVM_GET_CLOCK", source))?;
        let tsc = cores.first().map_or(Ok(0), Core::tsc)?;
        Ok(Self { kvm, tsc })
    }

    /// Makes it the time now.
    ///
    /// # Errors
    /// [`HostError::Ioctl`] if KVM refuses.
    pub(crate) fn set(&self, fd: &VmFd, cores: &[Core]) -> Result<(), HostError> {
        cores.iter().try_for_each(|core| core.set_tsc(self.tsc))?;
        let clock = kvm_clock_data { clock: self.kvm.clock, ..Default::default() };
        fd.set_clock(&clock).map_err(|source| HostError::ioctl("KVM_SET_CLOCK", source))
    }
}
