//! How a kernel gets into guest memory and how its first vCPU starts.

mod acpi;
mod pvh;

use std::io::Cursor;

use kvm_bindings::kvm_regs;
use kvm_bindings::kvm_sregs;
use linux_loader::loader::elf::{Elf, Error as ElfError, PvhBootCapability};
use linux_loader::loader::{Error as LoaderError, KernelLoader};
use object::{Object, ObjectSegment};
use vm_memory::GuestAddress;

use crate::layout;
use crate::memory::GuestMemory;

/// How an ELF file of class 32 starts.
const ELF_32_BIT: &[u8] = b"\x7fELF\x01";

/// A file can't be booted.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The file is no 64-bit ELF kernel.
    #[error("no kernel: {reason}; barscope boots 64-bit ELF files with a PVH entry note, like vmlinux")]
    NoKernel {
        /// What is wrong with it.
        reason: String,
    },
    /// An ELF file without a PVH note.
    #[error(
        "an ELF file without a PVH entry note (XEN_ELFNOTE_PHYS32_ENTRY); Linux has it with CONFIG_PVH=y"
    )]
    NoPvhNote,
    /// It doesn't fit into guest memory.
    #[error("the kernel doesn't fit into {mib} MiB of guest memory; try a larger --memory")]
    TooLarge {
        /// Guest memory in MiB.
        mib: u64,
    },
    /// The command line is too long.
    #[error("a command line of {length} bytes is longer than {}", layout::COMMAND_LINE_MAX - 1)]
    CommandLine {
        /// Its length in bytes.
        length: usize,
    },
    /// A boot structure can't be written.
    #[error("{what} can't be written to guest memory")]
    Structure {
        /// Which.
        what: &'static str,
    },
}

/// How a kernel expects to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootProtocol {
    /// Xen's PVH: 32-bit protected mode without paging, start info in EBX.
    Pvh {
        /// Physical address of the entry.
        entry: u64,
    },
}

/// Loads the ELF file `kernel` and everything that it expects to find at its start.
///
/// # Errors
/// [`BootError`], with what is wrong with the file.
pub fn load(
    memory: &GuestMemory,
    kernel: &[u8],
    command_line: &str,
    cpus: u8,
) -> Result<BootProtocol, BootError> {
    let no_kernel = |reason: &str| BootError::NoKernel { reason: reason.to_owned() };
    let too_large = BootError::TooLarge { mib: memory.size() >> 20 };
    if kernel.starts_with(ELF_32_BIT) {
        return Err(no_kernel("it is a 32-bit ELF file"));
    }
    let result = Elf::load(memory.regions(), None, &mut Cursor::new(kernel), None);
    let loaded = match result {
        Ok(loaded) if loaded.kernel_end > memory.size() => return Err(too_large),
        Ok(loaded) => loaded,
        Err(LoaderError::Elf(ElfError::ReadKernelImage)) if is_cut_short(kernel) => {
            return Err(no_kernel("it ends before its last segment does"));
        }
        Err(LoaderError::Elf(ElfError::ReadKernelImage) | LoaderError::MemoryOverflow) => {
            return Err(too_large);
        }
        Err(LoaderError::Elf(ElfError::ReadElfHeader | ElfError::InvalidElfMagicNumber)) => {
            return Err(no_kernel("it doesn't start like an ELF file"));
        }
        Err(other) => return Err(no_kernel(&other.to_string())),
    };
    let PvhBootCapability::PvhEntryPresent(GuestAddress(entry)) = loaded.pvh_boot_cap else {
        return Err(BootError::NoPvhNote);
    };
    let rsdp = acpi::write(memory, cpus)?;
    pvh::write(memory, command_line, rsdp)?;
    Ok(BootProtocol::Pvh { entry })
}

/// Whether a segment's bytes are not all in the file. The loader gives the same error for that and for a
/// segment outside memory.
fn is_cut_short(kernel: &[u8]) -> bool {
    object::File::parse(kernel).is_ok_and(|file| file.segments().any(|segment| segment.data().is_err()))
}

impl BootProtocol {
    /// Sets the registers of the first vCPU for its first instruction.
    pub fn start(self, general: &mut kvm_regs, system: &mut kvm_sregs) {
        match self {
            BootProtocol::Pvh { entry } => pvh::start(entry, general, system),
        }
    }
}

#[cfg(test)]
mod tests;
