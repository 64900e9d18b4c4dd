//! What the boot loader tells: the start info of Xen's "x86/HVM direct boot ABI" (PVH).

use crate::field::{u32_at, u64_at};
use crate::paging::direct_bytes;

const MAGIC: u32 = 0x336e_c578;
const SIZE: u64 = 56;
const MEMORY_MAP_ENTRY_SIZE: u64 = 24;
const MEMORY_MAP_TYPE_RAM: u32 = 1;
const COMMAND_LINE_MAX: u64 = 4096;
/// The kernel is loaded here; the frames come from the memory after it.
const LOADED_AT: u64 = 0x10_0000;

/// What the kernel uses of it.
pub struct BootInfo {
    /// The command line.
    pub command_line: &'static [u8],
    /// Physical address of ACPI's RSDP, or 0.
    pub rsdp: u64,
    /// End of the memory that the kernel was loaded into.
    pub memory_end: u64,
}

impl BootInfo {
    /// Reads the start info at physical address `start_info`; `None` if it is none.
    pub fn read(start_info: u64) -> Option<Self> {
        let info = direct_bytes(start_info, SIZE)?;
        if u32_at(info, 0)? != MAGIC {
            return None;
        }
        let map_length = u64::from(u32_at(info, 48)?) * MEMORY_MAP_ENTRY_SIZE;
        let memory_map = direct_bytes(u64_at(info, 40)?, map_length)?;
        Some(Self {
            command_line: command_line(u64_at(info, 24)?).unwrap_or(&[]),
            rsdp: u64_at(info, 32)?,
            memory_end: memory_end(memory_map)?,
        })
    }
}

/// What follows `prefix` in the first word of the command line that begins with it.
pub fn argument<'a>(command_line: &'a [u8], prefix: &str) -> Option<&'a [u8]> {
    command_line.split(|&byte| byte == b' ').find_map(|word| word.strip_prefix(prefix.as_bytes()))
}

fn command_line(address: u64) -> Option<&'static [u8]> {
    if address == 0 {
        return None;
    }
    let line = direct_bytes(address, COMMAND_LINE_MAX)?;
    let length = line.iter().position(|&byte| byte == 0)?;
    line.get(..length)
}

fn memory_end(memory_map: &[u8]) -> Option<u64> {
    memory_map.chunks_exact(MEMORY_MAP_ENTRY_SIZE as usize).find_map(|entry| {
        let start = u64_at(entry, 0)?;
        let end = start.checked_add(u64_at(entry, 8)?)?;
        let is_ram = u32_at(entry, 16)? == MEMORY_MAP_TYPE_RAM;
        (is_ram && (start..end).contains(&LOADED_AT)).then_some(end)
    })
}
