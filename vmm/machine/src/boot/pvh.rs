//! Xen's PVH protocol: start info, memory map, command line, and the first vCPU's state.
//! <https://xenbits.xen.org/docs/unstable/misc/pvh.html>

use kvm_bindings::{kvm_regs, kvm_segment, kvm_sregs};
use linux_loader::configurator::pvh::PvhBootConfigurator;
use linux_loader::configurator::{BootConfigurator, BootParams};
use linux_loader::loader::elf::start_info::{hvm_memmap_table_entry, hvm_modlist_entry, hvm_start_info};
use vm_memory::GuestAddress;

use super::BootError;
use crate::layout;
use crate::memory::GuestMemory;

const START_MAGIC: u32 = 0x336e_c578;
const MEMORY: u32 = 1;
const RESERVED: u32 = 2;

/// Writes the start info and what it points at, the command line aside.
pub(super) fn write(
    memory: &GuestMemory,
    (initramfs, initramfs_size): (u64, u64),
    rsdp: u64,
) -> Result<(), BootError> {
    let entry = |addr, end, type_| hvm_memmap_table_entry { addr, size: end - addr, type_, reserved: 0 };
    let map = [
        entry(0, layout::LEGACY_HOLE, MEMORY),
        entry(layout::LEGACY_HOLE, layout::HIGH_MEMORY, RESERVED),
        entry(layout::HIGH_MEMORY, memory.size(), MEMORY),
        entry(layout::ECAM_BASE, layout::ECAM_BASE + layout::ECAM_SIZE, RESERVED),
    ];
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
    const CR0_PE: u64 = 1;
    const CODE: u8 = 0xb;
    const DATA: u8 = 0x3;
    const BUSY_TSS: u8 = 0xb;

    *general = kvm_regs { rip: entry, rbx: layout::PVH_START_INFO, rflags: 2, ..Default::default() };
    let flat = |selector, type_| kvm_segment {
        base: 0,
        limit: 0xffff_ffff,
        selector,
        type_,
        present: 1,
        db: 1,
        s: 1,
        g: 1,
        ..Default::default()
    };
    system.cs = flat(0x8, CODE);
    for segment in [&mut system.ds, &mut system.es, &mut system.fs, &mut system.gs, &mut system.ss] {
        *segment = flat(0x10, DATA);
    }
    system.tr =
        kvm_segment { limit: 0x67, selector: 0x18, type_: BUSY_TSS, present: 1, ..Default::default() };
    system.cr0 = CR0_PE;
    system.cr3 = 0;
    system.cr4 = 0;
    system.efer = 0;
}
