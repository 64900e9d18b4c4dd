//! What KVM holds of a vCPU: it stays when the trace and all that records in it are replaced.

use std::ops::RangeInclusive;

use barscope_x86::MemoryTypes;
use kvm_bindings::{Msrs, kvm_msr_entry};
use kvm_ioctls::{Cap, Kvm, VcpuFd, VmFd};

use super::cpuid::Processor;
use super::setup;
use crate::boot::BootProtocol;
use crate::host::HostError;

/// IA32_TIME_STAMP_COUNTER.
const MSR_TSC: u32 = 0x10;

/// A vCPU as KVM has it, and its MTRRs and PAT, of which KVM says nothing with an exit.
pub struct Core {
    pub(super) index: u8,
    pub(super) fd: VcpuFd,
    pub(super) memory_types: MemoryTypes,
}

impl Core {
    /// Creates the vCPU that is this processor, whose MTRRs make these ranges uncacheable.
    ///
    /// # Errors
    /// [`HostError::Ioctl`] if KVM refuses.
    pub fn new(
        kvm: &Kvm,
        vm: &VmFd,
        processor: Processor<'_>,
        uncacheable: &[RangeInclusive<u64>],
    ) -> Result<Self, HostError> {
        let index = processor.index;
        let mut fd =
            vm.create_vcpu(index.into()).map_err(|source| HostError::ioctl("KVM_CREATE_VCPU", source))?;
        // Where Linux has measured the host's counter anew since KVM was loaded (`tsc: Refined`), KVM (Linux 6.1) asks itself for
        // the old rate, can't have it without TSC scaling, and multiplies the counter with 0 from then on: timers of the guest
        // would be set for twice the time that it has run. 0 stands for the rate that the host has (KVM API, 4.55).
        fd.set_tsc_khz(0).map_err(|source| HostError::ioctl("KVM_SET_TSC_KHZ", source))?;
        let memory_types = setup::prepare(kvm, &mut fd, processor, uncacheable)?;
        if kvm.check_extension(Cap::CoalescedMmio) {
            fd.map_coalesced_mmio_ring()
                .map_err(|source| HostError::ioctl("mmap of the coalesced ring", source))?;
        }
        Ok(Self { index, fd, memory_types })
    }

    /// Sets its registers for the first instruction.
    ///
    /// # Errors
    /// [`HostError::Ioctl`] if KVM refuses.
    pub fn start_at(&mut self, protocol: BootProtocol) -> Result<(), HostError> {
        let failed = HostError::ioctl;
        let mut general = self.fd.get_regs().map_err(|source| failed("KVM_GET_REGS", source))?;
        let mut system = self.fd.get_sregs().map_err(|source| failed("KVM_GET_SREGS", source))?;
        protocol.start(&mut general, &mut system);
        self.fd.set_sregs(&system).map_err(|source| failed("KVM_SET_SREGS", source))?;
        self.fd.set_regs(&general).map_err(|source| failed("KVM_SET_REGS", source))
    }

    /// Its number.
    pub fn index(&self) -> u8 {
        self.index
    }

    /// Its time-stamp counter.
    ///
    /// # Errors
    /// [`HostError::Ioctl`] if KVM refuses.
    pub fn tsc(&self) -> Result<u64, HostError> {
        let failed = |errno| HostError::ioctl("KVM_GET_MSRS", kvm_ioctls::Error::new(errno));
        let entry = kvm_msr_entry { index: MSR_TSC, ..Default::default() };
        let mut msrs = Msrs::from_entries(&[entry]).map_err(|_| failed(libc::ENOMEM))?;
        match self.fd.get_msrs(&mut msrs) {
            Ok(1) => Ok(msrs.as_slice()[0].data),
            Ok(_) => Err(failed(libc::EINVAL)),
            Err(source) => Err(HostError::ioctl("KVM_GET_MSRS", source)),
        }
    }

    /// Sets it.
    ///
    /// # Errors
    /// [`HostError::Ioctl`] if KVM refuses.
    pub fn set_tsc(&self, value: u64) -> Result<(), HostError> {
        setup::write_msr(&self.fd, MSR_TSC, value)
    }
}
