//! What everything is compared with: a loop of KVM_RUN that answers exits and does nothing else.
//!
//! It shares no code with our machine but the opening of `/dev/kvm`, so that what makes that slow can't make this slow too.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use barscope_vmm::open_kvm;
use kvm_bindings::{kvm_regs, kvm_segment, kvm_userspace_memory_region};
use kvm_ioctls::{SyncReg, VcpuExit, VcpuFd, VmFd};
use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

use crate::Error;
use crate::clock::Stamp;
use crate::image::{CONFIG_DATA, MARK};
use crate::raw_guest::{self, ENTRY};

/// Bytes of guest memory, as our machine has them.
const MEMORY: usize = 32 << 20;
/// Where Intel's processors keep three pages for KVM.
const KVM_TSS: usize = 0xfffb_d000;

/// How long a guest may take.
const LIMIT: Duration = Duration::from_secs(60);

/// Whether KVM leaves a vCPU's registers in the page that it shares, which whoever traces has to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registers {
    /// It does so at each exit.
    Shared,
    /// It keeps them.
    Kept,
}

/// Time between the marks of a guest, for each of its vCPUs. A function with this `id` is everywhere.
///
/// # Errors
/// If the host can't run it, or it does something else than its loop.
pub fn times(image: &[u8], id: u32, cpus: u8, registers: Registers) -> Result<Vec<Duration>, Error> {
    let code = raw_guest::code_of(image)?;
    let (sender, times) = channel();
    for mut vcpu in Vcpu::all(&code, cpus)? {
        if registers == Registers::Shared {
            vcpu.fd.set_sync_valid_reg(SyncReg::Register);
            vcpu.fd.set_sync_valid_reg(SyncReg::SystemRegister);
        }
        let sender = sender.clone();
        // A thread of its own, as our machine has for each vCPU. One that never ends holds up nobody.
        thread::spawn(move || sender.send(vcpu.run(id)));
    }
    let one = |_| times.recv_timeout(LIMIT).unwrap_or_else(|_| Err(ended("it takes too long")));
    (0..cpus).map(one).collect()
}

/// Runs a guest to its first access.
///
/// # Errors
/// As [`times`].
pub fn run_to_access(image: &[u8], id: u32) -> Result<(), Error> {
    let vcpu = Vcpu::all(&raw_guest::code_of(image)?, 1)?.pop();
    let mut vcpu = vcpu.ok_or_else(|| ended("it has no vCPU"))?;
    while vcpu.answer(id)? != Answered::Access {}
    Ok(())
}

fn ended(what: impl Into<String>) -> Error {
    Error::Guest { machine: "the bare loop", what: what.into() }
}

/// A vCPU with its machine. Fields are dropped in this order.
struct Vcpu {
    fd: VcpuFd,
    /// What was written last.
    register: [u8; 8],
    _machine: Arc<(VmFd, GuestMemoryMmap)>,
}

impl Vcpu {
    /// Those of a new machine.
    fn all(code: &[u8], cpus: u8) -> Result<Vec<Self>, Error> {
        let no_memory = |source| Error::Memory(Box::new(source));
        let kvm = open_kvm(None)?;
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
        // SAFETY: the memory outlives the VM: vCPUs, which keep the VM alive, are dropped before both.
        unsafe { vm.set_user_memory_region(slot) }?;
        memory.write_slice(code, GuestAddress(ENTRY)).map_err(no_memory)?;
        let cpuid = kvm.get_supported_cpuid(kvm_bindings::KVM_MAX_CPUID_ENTRIES)?;
        let machine = Arc::new((vm, memory));
        let vcpu = |index: u8| {
            let fd = machine.0.create_vcpu(index.into())?;
            fd.set_cpuid2(&cpuid)?;
            if index == 0 {
                start_in_protected_mode(&fd)?;
            }
            Ok(Self { fd, register: [0; 8], _machine: Arc::clone(&machine) })
        };
        (0..cpus).map(vcpu).collect()
    }

    /// Runs from the first instruction to the second mark.
    fn run(mut self, id: u32) -> Result<Duration, Error> {
        let mut began = None;
        loop {
            if self.answer(id)? == Answered::Mark {
                let now = Stamp::now();
                match began {
                    None => began = Some(now),
                    Some(began) => return Ok(now.since(began)),
                }
            }
        }
    }

    /// Runs to the next exit and answers it.
    #[inline(always)]
    fn answer(&mut self, id: u32) -> Result<Answered, Error> {
        let exit = match self.fd.run() {
            // So a second vCPU comes back once it is woken.
            Err(error) if [libc::EAGAIN, libc::EINTR].contains(&error.errno()) => return Ok(Answered::Other),
            exit => exit?,
        };
        match exit {
            VcpuExit::MmioRead(_, data) => data.copy_from_slice(&self.register[..data.len()]),
            VcpuExit::MmioWrite(_, data) => self.register[..data.len()].copy_from_slice(data),
            VcpuExit::IoIn(CONFIG_DATA, data) => {
                data.copy_from_slice(&id.to_le_bytes()[..data.len()]);
                return Ok(Answered::Other);
            }
            VcpuExit::IoOut(MARK, _) => return Ok(Answered::Mark),
            VcpuExit::IoOut(..) => return Ok(Answered::Other),
            other => return Err(ended(format!("unexpected exit {other:?}"))),
        }
        Ok(Answered::Access)
    }
}

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answered {
    Access,
    Mark,
    Other,
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
