//! What the host has to give: `/dev/kvm` and the capabilities that the bench needs of it.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use kvm_ioctls::{Cap, Kvm, VmFd};

/// The host can't run the bench.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// There is no `/dev/kvm`.
    #[error(
        "/dev/kvm: not found; load kvm_intel or kvm_amd (modprobe), or switch on virtualisation in the firmware; \
         in a container or virtual machine, pass the device through"
    )]
    NoKvm,
    /// `/dev/kvm` may not be opened.
    #[error(
        "/dev/kvm: permission denied; add yourself to group kvm (usermod -aG kvm $USER), then log in again"
    )]
    Permission,
    /// `/dev/kvm` can't be opened for another reason.
    #[error("/dev/kvm: {source}")]
    Open {
        /// What the system said.
        source: io::Error,
    },
    /// KVM lacks something.
    #[error("this KVM has no {capability}, which barscope needs; a kernel from Linux 5.10 on has it")]
    Missing {
        /// The capability's name in KVM's API.
        capability: &'static str,
    },
    /// KVM can't run Linux.
    #[error(
        "this KVM emulates ring 0 in software, and too few of its instructions to run Linux; add --nested to \
         run it in an emulated processor"
    )]
    NoLinux,
    /// A KVM ioctl failed.
    #[error("{ioctl} failed: {source}")]
    Ioctl {
        /// Its name.
        ioctl: &'static str,
        /// The errno.
        source: io::Error,
    },
    /// Not enough memory for the guest.
    #[error("no {mib} MiB of memory for the guest; try a smaller --memory")]
    Memory {
        /// Guest memory in MiB.
        mib: u64,
        /// What the system said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// No room for another thread.
    #[error(
        "can't start the thread {name}; end other programs, or raise the limit of processes (ulimit -u) or of memory (ulimit -v)"
    )]
    Thread {
        /// Its name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// A timer or an event descriptor can't be had.
    #[error("{what}: {source}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The file of a trace can't be made or written.
    #[error(transparent)]
    Trace(#[from] barscope_trace::WriteError),
}

impl HostError {
    /// A failed KVM ioctl.
    pub fn ioctl(ioctl: &'static str, source: kvm_ioctls::Error) -> Self {
        Self::Ioctl { ioctl, source: source.into() }
    }

    /// A failed system call.
    pub fn system(what: &'static str, source: io::Error) -> Self {
        Self::System { what, source }
    }
}

/// The capabilities without which an access can't be traced as promised.
const NEEDED: [(Cap, &str); 5] = [
    (Cap::Irqchip, "KVM_CAP_IRQCHIP"),
    (Cap::SignalMsi, "KVM_CAP_SIGNAL_MSI"),
    (Cap::SyncRegs, "KVM_CAP_SYNC_REGS"),
    (Cap::UserMemory, "KVM_CAP_USER_MEMORY"),
    (Cap::ImmediateExit, "KVM_CAP_IMMEDIATE_EXIT"),
];

/// Opens `/dev/kvm`, or the file that `path` names instead.
///
/// # Errors
/// [`HostError`], with what to do about it.
pub fn open_kvm(path: Option<&PathBuf>) -> Result<Kvm, HostError> {
    let kvm = match path {
        None => Kvm::new(),
        Some(path) => {
            let path =
                std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).map_err(|_| HostError::NoKvm)?;
            Kvm::new_with_path(path)
        }
    };
    let kvm = kvm.map_err(|error| not_opened(error.into()))?;
    for (capability, name) in NEEDED {
        if !kvm.check_extension(capability) {
            return Err(HostError::Missing { capability: name });
        }
    }
    Ok(kvm)
}

fn not_opened(source: io::Error) -> HostError {
    match source.raw_os_error() {
        Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => HostError::NoKvm,
        Some(libc::EACCES | libc::EPERM) => HostError::Permission,
        _ => HostError::Open { source },
    }
}

/// Creates a VM, without memory and interrupt controllers so far.
///
/// # Errors
/// [`HostError::Ioctl`] if KVM refuses.
pub fn create_vm(kvm: &Kvm) -> Result<VmFd, HostError> {
    let vm = kvm.create_vm().map_err(|source| HostError::ioctl("KVM_CREATE_VM", source))?;
    let tss = crate::layout::KVM_TSS as usize;
    vm.set_tss_address(tss).map_err(|source| HostError::ioctl("KVM_SET_TSS_ADDR", source))?;
    Ok(vm)
}

/// Gives a VM KVM's interrupt controllers, before its vCPUs.
///
/// # Errors
/// [`HostError::Ioctl`] if KVM refuses.
pub fn create_irq_chip(vm: &VmFd) -> Result<(), HostError> {
    vm.create_irq_chip().map_err(|source| HostError::ioctl("KVM_CREATE_IRQCHIP", source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_kvm_from_being_opened_comes_with_what_to_do() {
        let text = |errno| not_opened(io::Error::from_raw_os_error(errno)).to_string();

        assert!(text(libc::EACCES).contains("permission denied; add yourself to group kvm"));
        for errno in [libc::ENOENT, libc::ENODEV, libc::ENXIO] {
            assert!(text(errno).contains("not found; load kvm_intel or kvm_amd"));
        }
        assert_eq!(text(libc::EBUSY), "/dev/kvm: Device or resource busy (os error 16)");
    }
}
