//! ACPI, as far as it leads to the enhanced configuration access: RSDP, XSDT or RSDT, MCFG.

use crate::field::{u32_at, u64_at};
use crate::paging::direct_bytes;

/// Size of the header that every table has (ACPI 6.5, section 5.2.6).
const HEADER_SIZE: usize = 36;
/// A table that is longer is not worth its checksum.
const LENGTH_MAX: u32 = 0x1000;
/// Offset of the first allocation in the MCFG (PCI Firmware Specification 3.2, table 4-2).
const MCFG_FIRST_ALLOCATION: usize = HEADER_SIZE + 8;

/// Physical address of bus 0's configuration space in memory, by the RSDP at `rsdp`.
pub fn ecam(rsdp: u64) -> Option<u64> {
    let pointers = direct_bytes(rsdp, 36)?;
    let (signature, rest) = pointers.split_first_chunk::<8>()?;
    if signature != b"RSD PTR " {
        return None;
    }
    // Revision 0 has no XSDT.
    let has_xsdt = *rest.get(7)? >= 2;
    let root = if has_xsdt { u64_at(pointers, 24)? } else { u64::from(u32_at(pointers, 16)?) };
    let tables = table(root, if has_xsdt { b"XSDT" } else { b"RSDT" })?.get(HEADER_SIZE..)?;
    let mcfg = if has_xsdt {
        tables.chunks_exact(8).find_map(|entry| table(u64_at(entry, 0)?, b"MCFG"))
    } else {
        tables.chunks_exact(4).find_map(|entry| table(u64::from(u32_at(entry, 0)?), b"MCFG"))
    };
    u64_at(mcfg?, MCFG_FIRST_ALLOCATION)
}

/// The table at `address`, if it is a `signature` and its checksum is right.
fn table(address: u64, signature: &[u8; 4]) -> Option<&'static [u8]> {
    let header = direct_bytes(address, HEADER_SIZE as u64)?;
    if header.first_chunk::<4>()? != signature {
        return None;
    }
    let length = u32_at(header, 4)?;
    if length > LENGTH_MAX {
        return None;
    }
    let table = direct_bytes(address, u64::from(length))?;
    let sum = table.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte));
    (sum == 0).then_some(table)
}
