//! What everything is compared with: a loop of KVM_RUN that answers exits and does nothing else.
//!
//! It shares no code with our machine, so that what makes that slow can't make this slow too.

use std::thread;
use std::time::{Duration, Instant};

use kvm_bindings::{kvm_regs, kvm_segment, kvm_userspace_memory_region};
use kvm_ioctls::{Kvm, VcpuExit, VcpuFd, VmFd};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

use crate::Error;
use crate::image::{CONFIG_DATA, MARK};
use crate::raw_guest::{self, ENTRY};

/// Bytes of guest memory, as our machine has them.
const MEMORY: usize = 32 << 20;
/// Where Intel's processors keep three pages for KVM.
const KVM_TSS: usize = 0xfffb_d000;

/// Time between a guest's marks.
///
/// # Errors
/// If the host can't run it, or it does something else than its loop.
pub fn time(image: &[u8], id: u32) -> Result<Duration, Error> {
    let code = raw_guest::code_of(image)?;
    // A thread of its own, as our machine has for its vCPU.
    let body = move || Machine::new(&code)?.run(id);
    thread::spawn(body).join().unwrap_or_else(|_| Err(ended("its thread panicked")))
}

fn ended(what: impl Into<String>) -> Error {
    Error::Guest { machine: "the bare loop", what: what.into() }
}

/// A machine with one vCPU. Its fields are dropped in this order.
struct Machine {
    vcpu: VcpuFd,
    _vm: VmFd,
    _memory: GuestMemoryMmap,
}

impl Machine {
    fn new(code: &[u8]) -> Result<Self, Error> {
        let no_memory = |source| Error::Memory(Box::new(source));
        let kvm = Kvm::new()?;
        let memory = GuestMemoryMmap::<()>::from_ranges(&[(GuestAddress(0), MEMORY)])
            .map_err(|source| Error::Memory(Box::new(source)))?;
        let vm = kvm.create_vm()?;
        vm.set_tss_address(KVM_TSS)?;
        vm.create_irq_chip()?;
        let slot = kvm_userspace_memory_region {
            slot: 0,
            guest_phys_addr: 0,
            memory_size: MEMORY as u64,
            userspace_addr: memory.get_host_address(GuestAddress(0)).map_err(no_memory)? as u64,
            flags: 0,
        };
        // SAFETY: the memory outlives the VM: fields are dropped in their order.
        unsafe { vm.set_user_memory_region(slot) }?;
        memory.write_slice(code, GuestAddress(ENTRY)).map_err(no_memory)?;
        let vcpu = vm.create_vcpu(0)?;
        vcpu.set_cpuid2(&kvm.get_supported_cpuid(kvm_bindings::KVM_MAX_CPUID_ENTRIES)?)?;
        start_in_protected_mode(&vcpu)?;
        Ok(Self { vcpu, _vm: vm, _memory: memory })
    }

    /// Runs from the first instruction to the second mark. A function with this `id` is everywhere.
    fn run(mut self, id: u32) -> Result<Duration, Error> {
        let mut began = None;
        let mut register = [0; 8];
        loop {
            match self.vcpu.run()? {
                VcpuExit::MmioRead(_, data) => data.copy_from_slice(&register[..data.len()]),
                VcpuExit::MmioWrite(_, data) => register[..data.len()].copy_from_slice(data),
                VcpuExit::IoIn(CONFIG_DATA, data) => data.copy_from_slice(&id.to_le_bytes()[..data.len()]),
                VcpuExit::IoOut(MARK, _) => match began {
                    None => began = Some(Instant::now()),
                    Some(began) => return Ok(began.elapsed()),
                },
                VcpuExit::IoOut(..) => {}
                other => return Err(ended(format!("unexpected exit {other:?}"))),
            }
        }
    }
}

fn start_in_protected_mode(vcpu: &VcpuFd) -> Result<(), Error> {
    let mut system = vcpu.get_sregs()?;
    let flat = |selector, type_| kvm_segment {
        limit: 0xffff_ffff,
        selector,
        type_,
        present: 1,
        db: 1,
        s: 1,
        g: 1,
        ..Default::default()
    };
    system.cs = flat(8, 0xb);
    for segment in [&mut system.ds, &mut system.es, &mut system.fs, &mut system.gs, &mut system.ss] {
        *segment = flat(0x10, 3);
    }
    system.cr0 = 1;
    vcpu.set_sregs(&system)?;
    vcpu.set_regs(&kvm_regs { rip: ENTRY, rflags: 2, ..Default::default() })?;
    Ok(())
}
