//! Whether a KVM can run Linux. One that runs ring 0 by emulating each instruction may know too few of
//! them; it is found out in milliseconds by an instruction that Linux's memory allocator uses.

use kvm_bindings::KVM_MAX_CPUID_ENTRIES;
use kvm_ioctls::{Kvm, VcpuExit};
use vm_memory::{Bytes, GuestAddress};

use crate::boot::{self, BootProtocol};
use crate::host::HostError;
use crate::layout;
use crate::memory::GuestMemory;

/// `cmpxchg16b [rsi]`, then `hlt`: RSI is where boot parameters would be.
const CODE: [u8; 5] = [0x48, 0x0f, 0xc7, 0x0e, 0xf4];
/// Enough for page tables and the code after them.
const MEMORY: u64 = 2 * layout::HIGH_MEMORY;

/// Whether the instruction runs in ring 0.
///
/// # Errors
/// [`HostError`] if KVM refuses to make a machine.
pub fn runs_linux(kvm: &Kvm) -> Result<bool, HostError> {
    let failed = HostError::ioctl;
    let memory = GuestMemory::new(MEMORY)?;
    let written = memory.regions().write_slice(&CODE, GuestAddress(layout::HIGH_MEMORY));
    if written.is_err() || boot::write_first_tables(&memory).is_err() {
        return Ok(true);
    }
    let vm = kvm.create_vm().map_err(|source| failed("KVM_CREATE_VM", source))?;
    memory.register(&vm)?;
    let mut vcpu = vm.create_vcpu(0).map_err(|source| failed("KVM_CREATE_VCPU", source))?;
    let cpuid = kvm
        .get_supported_cpuid(KVM_MAX_CPUID_ENTRIES)
        .map_err(|source| failed("KVM_GET_SUPPORTED_CPUID", source))?;
    vcpu.set_cpuid2(&cpuid).map_err(|source| failed("KVM_SET_CPUID2", source))?;
    let mut general = vcpu.get_regs().map_err(|source| failed("KVM_GET_REGS", source))?;
    let mut system = vcpu.get_sregs().map_err(|source| failed("KVM_GET_SREGS", source))?;
    BootProtocol::Linux { entry: layout::HIGH_MEMORY }.start(&mut general, &mut system);
    vcpu.set_sregs(&system).map_err(|source| failed("KVM_SET_SREGS", source))?;
    vcpu.set_regs(&general).map_err(|source| failed("KVM_SET_REGS", source))?;
    // Whatever else it stops for is no reason to refuse.
    Ok(!matches!(vcpu.run(), Ok(VcpuExit::InternalError)))
}
