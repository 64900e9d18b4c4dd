//! A vCPU before its first instruction: CPUID, memory types, traps, shared registers.

use std::ops::RangeInclusive;

use barscope_x86::MemoryTypes;
use barscope_x86::memory_type::{MSR_MTRR_DEF_TYPE, MSR_MTRR_PHYSBASE0, MSR_PAT, VARIABLE_RANGES};
use kvm_bindings::{
    CpuId, KVM_CAP_EXIT_ON_EMULATION_FAILURE, KVM_CAP_X86_USER_SPACE_MSR, KVM_MSR_EXIT_REASON_FILTER, Msrs,
    kvm_enable_cap, kvm_msr_entry, kvm_xcrs,
};
use kvm_ioctls::{Kvm, MsrFilterDefaultAction, MsrFilterRange, MsrFilterRangeFlags, SyncReg, VcpuFd, VmFd};

use super::cpuid::{self, Processor};
use crate::host::HostError;

/// Makes the VM stop for what a trace needs to know: instructions that KVM can't emulate, and writes to
/// the registers that make up memory types.
///
/// # Errors
/// [`HostError::Ioctl`] if KVM refuses.
pub fn trap(vm: &VmFd) -> Result<(), HostError> {
    for (cap, argument) in [
        (KVM_CAP_EXIT_ON_EMULATION_FAILURE, 1),
        (KVM_CAP_X86_USER_SPACE_MSR, u64::from(KVM_MSR_EXIT_REASON_FILTER)),
    ] {
        let enable = kvm_enable_cap { cap, args: [argument, 0, 0, 0], ..Default::default() };
        vm.enable_cap(&enable).map_err(|source| HostError::ioctl("KVM_ENABLE_CAP", source))?;
    }
    let write_only = |base, count, bitmap| MsrFilterRange {
        flags: MsrFilterRangeFlags::WRITE,
        base,
        msr_count: count,
        bitmap,
    };
    let filter = [
        write_only(MSR_MTRR_PHYSBASE0, 2 * VARIABLE_RANGES, &[0, 0]),
        write_only(MSR_PAT, 1, &[0]),
        write_only(MSR_MTRR_DEF_TYPE, 1, &[0]),
    ];
    vm.set_msr_filter(MsrFilterDefaultAction::ALLOW, &filter)
        .map_err(|source| HostError::ioctl("KVM_X86_SET_MSR_FILTER", source))
}

/// Gives the vCPU the host's features, but those that it is kept from, and the MTRRs as firmware leaves them, with these ranges uncacheable, and has KVM leave its registers in
/// the shared page at each exit. The MTRRs that it has then.
///
/// # Errors
/// [`HostError::Ioctl`] if KVM refuses.
pub fn prepare(
    kvm: &Kvm,
    fd: &mut VcpuFd,
    processor: Processor<'_>,
    uncacheable: &[RangeInclusive<u64>],
) -> Result<MemoryTypes, HostError> {
    let cpuid = cpuid::for_vcpu(kvm, processor)?;
    fd.set_cpuid2(&cpuid).map_err(|source| HostError::ioctl("KVM_SET_CPUID2", source))?;
    switch_on_vectors(fd, &cpuid);
    let memory_types = MemoryTypes::at_boot(cpuid::address_bits(&cpuid), uncacheable);
    for (msr, value) in memory_types.range_registers() {
        write_msr(fd, msr, value)?;
    }
    fd.set_sync_valid_reg(SyncReg::Register);
    fd.set_sync_valid_reg(SyncReg::SystemRegister);
    Ok(memory_types)
}

/// Enables SSE and AVX state in XCR0, as firmware may, if there are any. A guest does so again; but an
/// emulated processor may not tell KVM of that, whose CPUID then has the wrong size of that state.
fn switch_on_vectors(fd: &VcpuFd, cpuid: &CpuId) {
    const STATES: u32 = 0x7;
    let offered = cpuid.as_slice().iter().find(|entry| entry.function == 0xd && entry.index == 0);
    let Some(offered) = offered.filter(|entry| entry.eax & STATES != 0) else { return };
    let mut registers = kvm_xcrs { nr_xcrs: 1, ..Default::default() };
    registers.xcrs[0].value = u64::from(offered.eax & STATES);
    // A KVM that refuses leaves the guest to do it alone.
    if let Err(error) = fd.set_xcrs(&registers) {
        log::debug!("KVM_SET_XCRS failed: {error}");
    }
}

/// Writes a model-specific register on the guest's behalf.
///
/// # Errors
/// [`HostError::Ioctl`] if KVM refuses.
pub fn write_msr(fd: &VcpuFd, index: u32, data: u64) -> Result<(), HostError> {
    let failed = |errno| HostError::ioctl("KVM_SET_MSRS", kvm_ioctls::Error::new(errno));
    let msrs = Msrs::from_entries(&[kvm_msr_entry { index, data, ..Default::default() }])
        .map_err(|_| failed(libc::ENOMEM))?;
    match fd.set_msrs(&msrs) {
        Ok(1) => Ok(()),
        Ok(_) => Err(failed(libc::EINVAL)),
        Err(source) => Err(HostError::ioctl("KVM_SET_MSRS", source)),
    }
}
