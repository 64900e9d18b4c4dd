//! Xen's PVH protocol: start info, memory map, command line, and the first vCPU's state.
//! <https://xenbits.xen.org/docs/unstable/misc/pvh.html>

use kvm_bindings::{kvm_regs, kvm_sregs};
use linux_loader::configurator::pvh::PvhBootConfigurator;
use linux_loader::configurator::{BootConfigurator, BootParams};
use linux_loader::loader::elf::start_info::{hvm_memmap_table_entry, hvm_modlist_entry, hvm_start_info};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, elf};
use vm_memory::GuestAddress;

use super::{BootError, memory_map, protected_mode};
use crate::layout;
use crate::memory::GuestMemory;

const START_MAGIC: u32 = 0x336e_c578;

/// XEN_ELFNOTE_PHYS32_ENTRY.
const ENTRY_NOTE: u32 = 18;

/// Whether a file is a 64-bit ELF file with the note that says where its entry is.
pub(super) fn has_note(kernel: &[u8]) -> bool {
    let Ok(header) = elf::FileHeader64::<Endianness>::parse(kernel) else { return false };
    let Ok(endian) = header.endian() else { return false };
    header.program_headers(endian, kernel).unwrap_or_default().iter().any(|program| {
        let Ok(Some(mut notes)) = program.notes(endian, kernel) else { return false };
        std::iter::from_fn(|| notes.next().ok().flatten())
            .any(|note| note.name() == b"Xen" && note.n_type(endian).0 == ENTRY_NOTE)
    })
}

/// Writes the start info and what it points at, the command line aside.
pub(super) fn write(
    memory: &GuestMemory,
    (initramfs, initramfs_size): (u64, u64),
    rsdp: u64,
) -> Result<(), BootError> {
    let map = memory_map::of(memory.size()).map(|range| hvm_memmap_table_entry {
        addr: range.start,
        size: range.size(),
        type_: range.kind(),
        reserved: 0,
    });
    let module = hvm_modlist_entry { paddr: initramfs, size: initramfs_size, cmdline_paddr: 0, reserved: 0 };
    let modules = if initramfs_size == 0 { 0 } else { 1 };
    let start_info = hvm_start_info {
        magic: START_MAGIC,
        version: 1,
        nr_modules: modules,
        modlist_paddr: if modules == 0 { 0 } else { layout::PVH_MODULES },
        cmdline_paddr: layout::COMMAND_LINE,
        rsdp_paddr: rsdp,
        memmap_paddr: layout::PVH_MEMORY_MAP,
        memmap_entries: map.len() as u32,
        ..Default::default()
    };
    let mut parameters = BootParams::new::<hvm_start_info>(&start_info, GuestAddress(layout::PVH_START_INFO));
    parameters.set_sections(&map, GuestAddress(layout::PVH_MEMORY_MAP));
    if modules != 0 {
        parameters.set_modules(&[module], GuestAddress(layout::PVH_MODULES));
    }
    PvhBootConfigurator::write_bootparams(&parameters, memory.regions())
        .map_err(|_| BootError::Structure { what: "the PVH start info" })
}

/// 32-bit protected mode without paging, flat segments, start info in EBX.
pub(super) fn start(entry: u64, general: &mut kvm_regs, system: &mut kvm_sregs) {
    protected_mode::enter(entry, general, system);
    general.rbx = layout::PVH_START_INFO;
}
