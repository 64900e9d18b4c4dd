//! Multiboot, by which GRUB starts kernels, and QEMU's `-kernel` those of version 1: a header near the file's start says
//! what the kernel needs; EBX leads to what it is told, in 32-bit protected mode without paging.
//!
//! Multiboot Specification 0.6.96 and Multiboot2 Specification 2.0,
//! <https://www.gnu.org/software/grub/manual/>. What they leave open is as in QEMU for version 1 and as in GRUB for version
//! 2: the command line of version 1 begins with the kernel's name, a module's text with its file.

mod error;
mod image;
mod one;
mod room;
#[cfg(test)]
mod tests;
mod two;

use kvm_bindings::{kvm_regs, kvm_sregs};
use vm_memory::{Bytes, GuestAddress};

pub use self::error::Error;
use self::image::Image;
use self::room::Room;
use super::protected_mode::{self, DESCRIPTORS};
use super::{BootError, BootProtocol, Payload};
use crate::layout;
use crate::memory::GuestMemory;

/// What both versions call the loader.
const LOADER: &str = "barscope";
/// Modules begin at a page, asked for or not.
const PAGE: u64 = 4096;
/// KiB below the legacy hole, as both versions tell it.
const LOWER_KIB: u32 = (layout::LEGACY_HOLE >> 10) as u32;

/// A kernel's multiboot header.
#[derive(Clone, Copy)]
pub(super) enum Header {
    /// That of version 1, at this offset of the file.
    One(usize),
    /// That of version 2.
    Two(usize),
}

impl Header {
    /// The header of version 1, if the file has one.
    pub(super) fn of_version_1(kernel: &[u8]) -> Option<Self> {
        one::find(kernel).map(Self::One)
    }

    /// The header of version 2, if the file has one.
    pub(super) fn of_version_2(kernel: &[u8]) -> Option<Self> {
        two::find(kernel).map(Self::Two)
    }
}

/// How a kernel is entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Physical address of the first instruction.
    pub entry: u32,
    /// What EAX holds: which version this is.
    pub magic: u32,
    /// Physical address of what the kernel is told.
    pub information: u32,
    /// Physical address of segment descriptors.
    pub gdt: u32,
}

/// A module where it lies.
struct Placed<'a> {
    start: u32,
    end: u32,
    text: &'a str,
}

/// Loads a kernel and its modules, and writes what it is told. ACPI's tables, whose RSDP is at `rsdp`, are written.
pub(super) fn load(
    memory: &GuestMemory,
    payload: &Payload<'_>,
    header: Header,
    rsdp: u64,
) -> Result<BootProtocol, BootError> {
    let (image, request) = match header {
        Header::One(offset) => (one::image(payload.kernel, offset)?, None),
        Header::Two(offset) => {
            let (image, request) = two::image(payload.kernel, offset)?;
            (image, Some(request))
        }
    };
    let mut room = Room::new(memory.size());
    image.load(memory, &mut room)?;
    let modules = place(memory, payload, &image, &mut room)?;
    let gdt = take(&mut room, 8 * DESCRIPTORS.len(), 8)?;
    write(memory, gdt, DESCRIPTORS.map(u64::to_le_bytes).as_flattened())?;
    let (magic, information) = match request {
        None => {
            let size = one::information_size(payload, &modules);
            let base = take(&mut room, size, 8)?;
            let information = one::information(base, payload, &modules, memory.size());
            write(memory, base, &information)?;
            (one::STARTED, base)
        }
        Some(request) => {
            let mut descriptor = [0; 36];
            memory
                .regions()
                .read_slice(&mut descriptor, GuestAddress(rsdp))
                .map_err(|_| BootError::Structure { what: "the multiboot information" })?;
            let information = two::information(&request, payload, &modules, memory.size(), &descriptor);
            let base = take(&mut room, information.len(), 8)?;
            write(memory, base, &information)?;
            (two::STARTED, base)
        }
    };
    Ok(BootProtocol::Multiboot(Entry { entry: image.entry()?, magic, information, gdt }))
}

/// Puts modules one after the other behind the kernel.
fn place<'a>(
    memory: &GuestMemory,
    payload: &Payload<'a>,
    image: &Image<'_>,
    room: &mut Room,
) -> Result<Vec<Placed<'a>>, BootError> {
    let from = image.end().max(layout::HIGH_MEMORY);
    let place = |module: &'a super::BootModule| {
        let size = module.content.len() as u64;
        let no_room = || BootError::InitramfsTooLarge { size_mib: size >> 20, mib: memory.size() >> 20 };
        let start = room.take(size, PAGE, from).ok_or_else(no_room)?;
        memory.regions().write_slice(&module.content, GuestAddress(start)).map_err(|_| no_room())?;
        // Guest memory ends below 4 GiB.
        Ok(Placed { start: start as u32, end: (start + size) as u32, text: &module.text })
    };
    payload.modules.iter().map(place).collect()
}

/// Room for something that the kernel is told: below the legacy hole, but not in the first 64 KiB, where kernels start
/// other processors; above it if the kernel itself is there.
fn take(room: &mut Room, size: usize, align: u64) -> Result<u32, BootError> {
    let taken = room.take(size as u64, align, layout::BOOT_INFORMATION);
    taken.map(|address| address as u32).ok_or(BootError::Structure { what: "the multiboot information" })
}

fn write(memory: &GuestMemory, address: u32, bytes: &[u8]) -> Result<(), BootError> {
    let written = memory.regions().write_slice(bytes, GuestAddress(address.into()));
    written.map_err(|_| BootError::Structure { what: "the multiboot information" })
}

/// KiB from 1 MiB to the end of memory.
fn upper_kib(memory_size: u64) -> u32 {
    (memory_size.saturating_sub(layout::HIGH_MEMORY) >> 10) as u32
}

/// The command line of version 1.
fn with_name(payload: &Payload<'_>) -> String {
    format!("{} {}", payload.name, payload.command_line).trim_end().to_owned()
}

impl Entry {
    /// The machine's state, sections 3.2 (version 1) and 3.3 (version 2, i386).
    pub(super) fn start(self, general: &mut kvm_regs, system: &mut kvm_sregs) {
        protected_mode::enter(self.entry.into(), general, system);
        general.rax = self.magic.into();
        general.rbx = self.information.into();
        system.gdt.base = self.gdt.into();
        system.gdt.limit = (DESCRIPTORS.len() * 8 - 1) as u16;
        system.idt.limit = 0;
    }
}

/// The 32-bit word at `offset`.
fn word(file: &[u8], offset: usize) -> Option<u32> {
    let bytes = file.get(offset..offset.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}
