//! Linux's own boot protocol, 64-bit: a bzImage, its boot parameters, and the first vCPU's state.
//! <https://docs.kernel.org/arch/x86/boot.html>

use std::io::Cursor;

use kvm_bindings::{kvm_regs, kvm_segment, kvm_sregs};
use linux_loader::configurator::linux::LinuxBootConfigurator;
use linux_loader::configurator::{BootConfigurator, BootParams};
use linux_loader::loader::bootparam::{boot_e820_entry, boot_params};
use linux_loader::loader::{BzImage, KernelLoader};
use vm_memory::{Bytes, GuestAddress};

use super::{BootError, BootProtocol, Payload, load_initramfs, memory_map, write_command_line};
use crate::layout;
use crate::memory::GuestMemory;

/// Where a bzImage says what it is, and what.
const MAGIC_AT: usize = 0x202;
const MAGIC: &[u8] = b"HdrS";
/// The 64-bit entry, from where the protected-mode part is loaded.
const ENTRY_64: u64 = 0x200;
/// `xloadflags`: there is a 64-bit entry.
const XLF_KERNEL_64: u16 = 1 << 0;
/// `type_of_loader` of loaders without a number.
const OTHER_LOADER: u8 = 0xff;

/// Selectors that the protocol asks for.
const CODE_SELECTOR: u16 = 0x10;
const DATA_SELECTOR: u16 = 0x18;
/// Flat 64-bit code and flat data.
const GDT: [u64; 4] = [0, 0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff];

const PRESENT_WRITABLE: u64 = 0x3;
const LARGE: u64 = 1 << 7;
const LARGE_PAGE: u64 = 1 << 21;
const PAGE: u64 = 0x1000;
/// Gigabytes that are mapped to themselves: a page directory each.
const MAPPED_GIB: u64 = 4;

/// Whether a file starts like a bzImage.
pub(super) fn is_bzimage(kernel: &[u8]) -> bool {
    kernel.get(MAGIC_AT..MAGIC_AT + MAGIC.len()) == Some(MAGIC)
}

/// Loads a bzImage, its initramfs, and everything that it expects to find at its start.
pub(super) fn load(
    memory: &GuestMemory,
    payload: &Payload<'_>,
    rsdp: u64,
) -> Result<BootProtocol, BootError> {
    let too_large = BootError::TooLarge { mib: memory.size() >> 20 };
    let no_kernel = |reason: &str| BootError::NoKernel { reason: reason.to_owned() };
    let loaded = BzImage::load(memory.regions(), None, &mut Cursor::new(payload.kernel), None);
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(_) if payload.kernel.len() as u64 + layout::HIGH_MEMORY > memory.size() => return Err(too_large),
        Err(error) => return Err(no_kernel(&error.to_string())),
    };
    let mut header = loaded.setup_header.ok_or_else(|| no_kernel("it has no setup header"))?;
    if header.xloadflags & XLF_KERNEL_64 == 0 {
        return Err(no_kernel("it has no 64-bit entry"));
    }
    // It unpacks itself to where it prefers to be, or higher.
    let kernel_end = header.pref_address.saturating_add(header.init_size.into()).max(loaded.kernel_end);
    if kernel_end > memory.size() {
        return Err(too_large);
    }
    let limit = u64::from(header.initrd_addr_max) + 1;
    let (initramfs, initramfs_size) = load_initramfs(memory, payload.initramfs()?, kernel_end, limit)?;
    write_command_line(memory, payload.command_line)?;

    header.type_of_loader = OTHER_LOADER;
    header.cmd_line_ptr = layout::COMMAND_LINE as u32;
    header.ramdisk_image = initramfs as u32;
    header.ramdisk_size = initramfs_size as u32;
    let mut parameters = boot_params { hdr: header, acpi_rsdp_addr: rsdp, ..Default::default() };
    let map = memory_map::of(memory.size()).map(|range| boot_e820_entry {
        addr: range.start,
        size: range.size(),
        r#type: range.kind(),
    });
    parameters.e820_entries = map.len() as u8;
    parameters.e820_table[..map.len()].copy_from_slice(&map);
    let parameters = BootParams::new::<boot_params>(&parameters, GuestAddress(layout::ZERO_PAGE));
    LinuxBootConfigurator::write_bootparams(&parameters, memory.regions())
        .map_err(|_| BootError::Structure { what: "the boot parameters" })?;
    write_tables(memory).map_err(|_| BootError::Structure { what: "the first page tables" })?;
    Ok(BootProtocol::Linux { entry: loaded.kernel_load.0 + ENTRY_64 })
}

/// Segment descriptors, and page tables that map the first gigabytes to themselves.
///
/// # Errors
/// If guest memory ends before them.
pub fn write_tables(memory: &GuestMemory) -> Result<(), vm_memory::GuestMemoryError> {
    let write = |at: u64, entry: u64| memory.regions().write_obj(entry, GuestAddress(at));
    for (index, descriptor) in (0..).zip(GDT) {
        write(layout::BOOT_GDT + index * 8, descriptor)?;
    }
    let pointers = layout::BOOT_PAGE_TABLES + PAGE;
    let directories = pointers + PAGE;
    write(layout::BOOT_PAGE_TABLES, pointers | PRESENT_WRITABLE)?;
    for index in 0..MAPPED_GIB {
        write(pointers + index * 8, (directories + index * PAGE) | PRESENT_WRITABLE)?;
    }
    for index in 0..MAPPED_GIB * 512 {
        write(directories + index * 8, (index * LARGE_PAGE) | LARGE | PRESENT_WRITABLE)?;
    }
    Ok(())
}

/// Long mode with flat segments and interrupts off, boot parameters in RSI.
pub(super) fn start(entry: u64, general: &mut kvm_regs, system: &mut kvm_sregs) {
    const CR0_PE: u64 = 1 << 0;
    const CR0_PG: u64 = 1 << 31;
    const CR4_PAE: u64 = 1 << 5;
    const EFER_LME: u64 = 1 << 8;
    const EFER_LMA: u64 = 1 << 10;
    const CODE: u8 = 0xb;
    const DATA: u8 = 0x3;
    const BUSY_TSS: u8 = 0xb;

    *general = kvm_regs { rip: entry, rsi: layout::ZERO_PAGE, rflags: 2, ..Default::default() };
    let flat = |selector, type_, long: bool| kvm_segment {
        base: 0,
        limit: 0xffff_ffff,
        selector,
        type_,
        present: 1,
        db: u8::from(!long),
        l: u8::from(long),
        s: 1,
        g: 1,
        ..Default::default()
    };
    system.cs = flat(CODE_SELECTOR, CODE, true);
    for segment in [&mut system.ds, &mut system.es, &mut system.fs, &mut system.gs, &mut system.ss] {
        *segment = flat(DATA_SELECTOR, DATA, false);
    }
    system.tr =
        kvm_segment { limit: 0x67, selector: 0x20, type_: BUSY_TSS, present: 1, ..Default::default() };
    system.gdt.base = layout::BOOT_GDT;
    system.gdt.limit = (GDT.len() * 8 - 1) as u16;
    system.idt.limit = 0;
    system.cr0 = CR0_PE | CR0_PG;
    system.cr3 = layout::BOOT_PAGE_TABLES;
    system.cr4 = CR4_PAE;
    system.efer = EFER_LME | EFER_LMA;
}

#[cfg(test)]
mod tests;
