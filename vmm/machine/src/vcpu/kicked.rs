//! A vCPU that was taken out of the guest, and whether it could go on by itself.

use std::sync::Arc;

use kvm_bindings::{KVM_MP_STATE_HALTED, KVM_MP_STATE_INIT_RECEIVED, KVM_MP_STATE_UNINITIALIZED};

use super::{Vcpu, place};
use crate::host::HostError;
use crate::observer::Observer;
use crate::stop::Stop;

impl<O: Observer> Vcpu<O> {
    /// A signal took it out of the guest. One that is halted with interrupts off, or waits for INIT and
    /// SIPI, needs another vCPU to wake it: when all of them do, the guest is at its end.
    pub(super) fn kicked(&mut self) -> Result<Option<Stop>, HostError> {
        self.fd.set_kvm_immediate_exit(0);
        // Otherwise the next exit brings it, at a point that equal runs have in common.
        if !std::mem::take(&mut self.active) {
            self.drain()?;
        }
        let (shared, index) = (Arc::clone(&self.shared), self.index);
        shared.sleepers.note(index, self.sleeps()?);
        if !shared.sleepers.come(index, || self.sleeps())? {
            return Ok(None);
        }
        let mut registers = self.registers();
        if self.halted()? {
            // RIP is past the `hlt`, which is one byte long.
            registers.rip = registers.rip.wrapping_sub(1);
        } else if index != 0 {
            // Another one has more to say.
            return Ok(None);
        }
        Ok(Some(Stop::Halted(place(index, &self.shared, &registers))))
    }

    /// Whether nothing but another vCPU can wake it.
    fn sleeps(&self) -> Result<bool, HostError> {
        let events =
            self.fd.get_vcpu_events().map_err(|source| HostError::ioctl("KVM_GET_VCPU_EVENTS", source))?;
        if events.nmi.pending != 0 || events.nmi.injected != 0 || events.smi.pending != 0 {
            return Ok(false);
        }
        Ok(match self.state()? {
            KVM_MP_STATE_HALTED => !self.registers().interrupts_enabled(),
            KVM_MP_STATE_UNINITIALIZED | KVM_MP_STATE_INIT_RECEIVED => true,
            _ => false,
        })
    }

    fn halted(&self) -> Result<bool, HostError> {
        Ok(self.state()? == KVM_MP_STATE_HALTED)
    }

    fn state(&self) -> Result<u32, HostError> {
        let state = self.fd.get_mp_state().map_err(|source| HostError::ioctl("KVM_GET_MP_STATE", source))?;
        Ok(state.mp_state)
    }
}
