//! How a kernel gets into guest memory and how its first vCPU starts.
//!
//! A file says itself by which protocol it is booted. Of several, the first of these counts: Linux's own (a bzImage),
//! multiboot 1, PVH, as in QEMU; then multiboot 2, which QEMU doesn't know.

mod acpi;
mod linux;
mod memory_map;
mod multiboot;
mod protected_mode;
mod pvh;

use std::io::Cursor;
use std::ops::RangeInclusive;

use kvm_bindings::{kvm_regs, kvm_sregs};
use linux_loader::loader::elf::{Elf, Error as ElfError, PvhBootCapability};
use linux_loader::loader::{Error as LoaderError, KernelLoader};
use object::{Object, ObjectSegment};
use vm_memory::{Bytes, GuestAddress};

pub use self::linux::write_tables as write_first_tables;
pub use self::multiboot::{Entry as MultibootEntry, Error as MultibootError};
use crate::layout;
use crate::memory::GuestMemory;

/// How an ELF file of class 32 starts.
const ELF_32_BIT: &[u8] = b"\x7fELF\x01";

/// A file can't be booted.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The file is no kernel of any kind that is known.
    #[error(
        "no kernel: {reason}; barscope boots Linux bzImages (vmlinuz), multiboot kernels (1 and 2), and 64-bit ELF \
         files with a PVH entry note, like vmlinux"
    )]
    NoKernel {
        /// What is wrong with it.
        reason: String,
    },
    /// An ELF file without a PVH note.
    #[error(
        "an ELF file without a multiboot header and without a PVH entry note (XEN_ELFNOTE_PHYS32_ENTRY); Linux has \
         the note with CONFIG_PVH=y"
    )]
    NoPvhNote,
    /// It doesn't fit into guest memory.
    #[error("the kernel doesn't fit into {mib} MiB of guest memory; try a larger --memory")]
    TooLarge {
        /// Guest memory in MiB.
        mib: u64,
    },
    /// A multiboot kernel that asks for what can't be.
    #[error(transparent)]
    Multiboot(#[from] MultibootError),
    /// More than one module, or a text with it, for a protocol that has one initramfs.
    #[error(
        "this kernel takes one --initrd, without arguments: several modules, and texts with them, are for multiboot \
         kernels"
    )]
    Modules,
    /// The initramfs, or a module, doesn't fit beside the kernel.
    #[error(
        "an initramfs of {size_mib} MiB doesn't fit beside the kernel into {mib} MiB of guest memory; try a \
         larger --memory"
    )]
    InitramfsTooLarge {
        /// Its size in MiB.
        size_mib: u64,
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

/// What a guest is booted from.
#[derive(Clone, Copy)]
pub struct Payload<'a> {
    /// The kernel's file.
    pub kernel: &'a [u8],
    /// What it is called.
    pub name: &'a str,
    /// What is loaded beside it: one first file system, or a multiboot kernel's modules.
    pub modules: &'a [BootModule],
    /// Its command line.
    pub command_line: &'a str,
}

impl<'a> Payload<'a> {
    /// The only module, for a protocol that has no others.
    fn initramfs(&self) -> Result<Option<&'a [u8]>, BootError> {
        match self.modules {
            [] => Ok(None),
            [BootModule { content, text }] if !text.contains(' ') => Ok(Some(content)),
            _ => Err(BootError::Modules),
        }
    }
}

/// A file that is loaded beside a kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootModule {
    /// What is loaded.
    pub content: Vec<u8>,
    /// What a multiboot kernel is told about it: the file's name, and arguments after a space.
    pub text: String,
}

/// What firmware tells a guest of the machine, beyond what never changes.
pub struct Hardware {
    /// Number of vCPUs.
    pub cpus: u8,
    /// The window for 64-bit BARs.
    pub above_4_gib: RangeInclusive<u64>,
}

/// How a kernel expects to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootProtocol {
    /// Xen's PVH: 32-bit protected mode without paging, start info in EBX.
    Pvh {
        /// Physical address of the entry.
        entry: u64,
    },
    /// Linux's own, for a bzImage: long mode, boot parameters in RSI.
    Linux {
        /// Physical address of the entry.
        entry: u64,
    },
    /// Multiboot, 1 or 2: 32-bit protected mode without paging, a magic number in EAX, information in EBX.
    Multiboot(MultibootEntry),
}

/// Loads a kernel and everything that it expects to find at its start.
///
/// # Errors
/// [`BootError`], with what is wrong with the file.
pub fn load(
    memory: &GuestMemory,
    payload: &Payload<'_>,
    hardware: &Hardware,
) -> Result<BootProtocol, BootError> {
    if payload.command_line.len() as u64 >= layout::COMMAND_LINE_MAX {
        return Err(BootError::CommandLine { length: payload.command_line.len() });
    }
    let rsdp = acpi::write(memory, hardware)?;
    if linux::is_bzimage(payload.kernel) {
        return linux::load(memory, payload, rsdp);
    }
    if let Some(header) = multiboot::Header::of_version_1(payload.kernel) {
        return multiboot::load(memory, payload, header, rsdp);
    }
    if !pvh::has_note(payload.kernel)
        && let Some(header) = multiboot::Header::of_version_2(payload.kernel)
    {
        return multiboot::load(memory, payload, header, rsdp);
    }
    let (entry, kernel_end) = load_elf(memory, payload.kernel)?;
    let initramfs = load_initramfs(memory, payload.initramfs()?, kernel_end, memory.size())?;
    pvh::write(memory, initramfs, rsdp)?;
    write_command_line(memory, payload.command_line)?;
    Ok(BootProtocol::Pvh { entry })
}

/// Loads an ELF file; its PVH entry and the end of its last segment.
fn load_elf(memory: &GuestMemory, kernel: &[u8]) -> Result<(u64, u64), BootError> {
    let no_kernel = |reason: &str| BootError::NoKernel { reason: reason.to_owned() };
    let too_large = BootError::TooLarge { mib: memory.size() >> 20 };
    if kernel.starts_with(ELF_32_BIT) {
        return Err(no_kernel("it is a 32-bit ELF file without a multiboot header"));
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
            return Err(no_kernel("it starts neither like an ELF file nor like a bzImage"));
        }
        Err(other) => return Err(no_kernel(&other.to_string())),
    };
    match loaded.pvh_boot_cap {
        PvhBootCapability::PvhEntryPresent(GuestAddress(entry)) => Ok((entry, loaded.kernel_end)),
        _ => Err(BootError::NoPvhNote),
    }
}

/// Puts the initramfs as high as it may lie, below `limit`; its address and size, both 0 for none. What a
/// kernel takes for itself ends at `kernel_end`.
fn load_initramfs(
    memory: &GuestMemory,
    initramfs: Option<&[u8]>,
    kernel_end: u64,
    limit: u64,
) -> Result<(u64, u64), BootError> {
    let Some(bytes) = initramfs else { return Ok((0, 0)) };
    let size = bytes.len() as u64;
    let too_large = BootError::InitramfsTooLarge { size_mib: size >> 20, mib: memory.size() >> 20 };
    let place = limit.min(memory.size()).checked_sub(size).map(|address| address & !0xfff);
    let address = match place {
        Some(address) if address >= kernel_end => address,
        _ => return Err(too_large),
    };
    memory.regions().write_slice(bytes, GuestAddress(address)).map_err(|_| too_large)?;
    Ok((address, size))
}

/// Writes the command line and its NUL.
fn write_command_line(memory: &GuestMemory, command_line: &str) -> Result<(), BootError> {
    let mut text = command_line.as_bytes().to_vec();
    text.push(0);
    memory
        .regions()
        .write_slice(&text, GuestAddress(layout::COMMAND_LINE))
        .map_err(|_| BootError::Structure { what: "the command line" })
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
            BootProtocol::Linux { entry } => linux::start(entry, general, system),
            BootProtocol::Multiboot(entry) => entry.start(general, system),
        }
    }
}

#[cfg(test)]
mod tests;
