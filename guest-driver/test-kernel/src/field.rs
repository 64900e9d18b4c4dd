//! Little-endian fields of tables in memory: firmware's, and the program's ELF headers.

/// The 16 bits at `offset`.
pub fn u16_at(table: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*table.get(offset..)?.first_chunk()?))
}

/// The 32 bits at `offset`.
pub fn u32_at(table: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*table.get(offset..)?.first_chunk()?))
}

/// The 64 bits at `offset`.
pub fn u64_at(table: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*table.get(offset..)?.first_chunk()?))
}
