//! Guest memory, as page tables and code are read from it.

/// Guest physical memory.
pub trait PhysicalMemory {
    /// Fills `data` from guest physical `address`; `false` if any of it lies outside.
    fn read_physical(&self, address: u64, data: &mut [u8]) -> bool;

    /// The page-table entry at guest physical `address`, 8 bytes; `None` outside.
    fn read_entry(&self, address: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.read_physical(address, &mut bytes).then(|| u64::from_le_bytes(bytes))
    }
}
