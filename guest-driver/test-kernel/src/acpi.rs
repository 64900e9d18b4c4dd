//! ACPI, as far as it leads to the enhanced configuration access and to other processors: RSDP, XSDT or
//! RSDT, MCFG, MADT.

use crate::field::{u32_at, u64_at};
use crate::paging::direct_bytes;

/// Size of the header that every table has (ACPI 6.5, section 5.2.6).
const HEADER_SIZE: usize = 36;
/// A table that is longer is not worth its checksum.
const LENGTH_MAX: u32 = 0x1000;
/// Offset of the first allocation in the MCFG (PCI Firmware Specification 3.2, table 4-2).
const MCFG_FIRST_ALLOCATION: usize = HEADER_SIZE + 8;

/// Offset of the DSDT's 64-bit address in the FADT (ACPI 6.5, section 5.2.9).
const FADT_DSDT: usize = 140;
/// How a QWord address space descriptor of memory begins (ACPI 6.5, section 6.4.3.5.1): tag, length, kind.
const QWORD_MEMORY: [u8; 4] = [0x8a, 0x2b, 0, 0];
/// Where its first and last address lie.
const QWORD_FIRST: usize = 14;
const QWORD_LAST: usize = 22;

/// Offset of the first structure in the MADT (ACPI 6.5, section 5.2.12).
const MADT_FIRST_STRUCTURE: usize = HEADER_SIZE + 8;
/// A structure that stands for a processor, and its flag for one that can be used.
const MADT_LOCAL_APIC: u8 = 0;
const MADT_ENABLED: u32 = 1 << 0;

/// The list of all tables.
#[derive(Clone, Copy)]
pub struct Tables {
    /// Their addresses, after each other.
    addresses: &'static [u8],
    /// Size of an address: 8 in an XSDT, 4 in an RSDT.
    size: usize,
}

impl Tables {
    /// Follows the RSDP at physical address `rsdp`.
    pub fn find(rsdp: u64) -> Option<Self> {
        let pointers = direct_bytes(rsdp, 36)?;
        let (signature, rest) = pointers.split_first_chunk::<8>()?;
        if signature != b"RSD PTR " {
            return None;
        }
        // Revision 0 has no XSDT.
        let has_xsdt = *rest.get(7)? >= 2;
        let root = if has_xsdt { u64_at(pointers, 24)? } else { u64::from(u32_at(pointers, 16)?) };
        let addresses = table(root, if has_xsdt { b"XSDT" } else { b"RSDT" })?.get(HEADER_SIZE..)?;
        Some(Self { addresses, size: if has_xsdt { 8 } else { 4 } })
    }

    fn addresses(self) -> impl Iterator<Item = u64> {
        let entries = self.addresses.chunks_exact(self.size);
        entries.filter_map(|bytes| u64_at(bytes, 0).or_else(|| u32_at(bytes, 0).map(u64::from)))
    }

    fn named(self, signature: &[u8; 4]) -> Option<&'static [u8]> {
        self.addresses().find_map(|address| table(address, signature))
    }

    /// The host bridge's window above 4 GiB: its first address, and its end. It is the one of its resources that is
    /// memory with 64-bit addresses. Nothing here interprets AML, and a sum over all of it would take long: the
    /// descriptor is looked for by its first bytes.
    pub fn window_above_4_gib(self) -> Option<(u64, u64)> {
        let fadt = self.addresses().find_map(|address| unchecked(address, b"FACP"))?;
        let mut rest = unchecked(u64_at(fadt, FADT_DSDT)?, b"DSDT")?.get(HEADER_SIZE..)?;
        loop {
            let at = rest.iter().position(|&byte| byte == QWORD_MEMORY[0])?;
            rest = rest.get(at..)?;
            if rest.starts_with(&QWORD_MEMORY) {
                let last = u64_at(rest, QWORD_LAST)?;
                return Some((u64_at(rest, QWORD_FIRST)?, last.checked_add(1)?));
            }
            rest = rest.get(1..)?;
        }
    }

    /// Physical address of bus 0's configuration space in memory.
    pub fn ecam(self) -> Option<u64> {
        u64_at(self.named(b"MCFG")?, MCFG_FIRST_ALLOCATION)
    }

    /// The local APIC of the first usable processor that `wanted` says yes to, by its ID.
    pub fn local_apic(self, wanted: impl Fn(u8) -> bool) -> Option<u8> {
        let mut rest = self.named(b"APIC")?;
        rest = rest.get(MADT_FIRST_STRUCTURE..)?;
        loop {
            let length = usize::from(*rest.get(1)?);
            let structure = rest.get(..length)?;
            if let [MADT_LOCAL_APIC, _, _, id, ..] = *structure
                && u32_at(structure, 4)? & MADT_ENABLED != 0
                && wanted(id)
            {
                return Some(id);
            }
            // A length of 0 would never end.
            rest = rest.get(length.max(2)..)?;
        }
    }
}

/// The table at `address`, if it is a `signature`; whether its checksum is right is not looked at.
fn unchecked(address: u64, signature: &[u8; 4]) -> Option<&'static [u8]> {
    let header = direct_bytes(address, HEADER_SIZE as u64)?;
    if header.first_chunk::<4>()? != signature {
        return None;
    }
    direct_bytes(address, u64::from(u32_at(header, 4).filter(|length| *length <= LENGTH_MAX)?))
}

/// The table at `address`, if it is a `signature` and its checksum is right.
fn table(address: u64, signature: &[u8; 4]) -> Option<&'static [u8]> {
    let table = unchecked(address, signature)?;
    let sum = table.iter().fold(0u8, |sum, &byte| sum.wrapping_add(byte));
    (sum == 0).then_some(table)
}
