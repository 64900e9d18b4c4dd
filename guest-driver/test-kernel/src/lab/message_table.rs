//! The device's interrupts as messages in a table (MSI-X; PCI Local Bus 3.0, section 6.8.2).

use common::mmio;

use crate::apic;
use crate::ioremap::{IoMemory, ioremap};
use crate::pci::Function;

const CAPABILITY: u8 = 0x11;

/// Of the capability's first dword, whose upper half is Message Control.
const ENABLE: u32 = 1 << 31;
/// Offsets from the capability, of offsets in a BAR with that BAR's index.
const TABLE: u16 = 0x04;
const PENDING: u16 = 0x08;
const BAR_INDEX: u32 = 7;

/// An entry of the table: address low and high, data, control.
const ENTRY_SIZE: u64 = 16;
const MASKED: u32 = 1 << 0;

/// The enabled table, all of it masked; disabled when dropped.
pub struct MessageTable<'a> {
    function: &'a Function,
    capability: u16,
    bar: IoMemory,
    table: u64,
    pending: u64,
}

impl<'a> MessageTable<'a> {
    /// Whether `function` has a table.
    pub fn is_available(function: &Function) -> bool {
        function.capability(CAPABILITY).is_some()
    }

    /// Maps the table of `function` and enables it. `None` if it has no such capability, or lacks room.
    #[inline(never)]
    pub fn enable(function: &'a Function) -> Option<Self> {
        let capability = function.capability(CAPABILITY)?;
        let (table, pending) = (function.read(capability + TABLE), function.read(capability + PENDING));
        let bar = function.bar((table & BAR_INDEX) as usize)?;
        let bar = ioremap(bar.address, bar.size, "MessageTable::enable")?;
        function.write(capability, function.read(capability) | ENABLE);
        let offset = |register: u32| u64::from(register & !BAR_INDEX);
        Some(Self { function, capability, bar, table: offset(table), pending: offset(pending) })
    }

    /// Has the entry `index` send `vector` to processor 0.
    #[inline(never)]
    pub fn set(&self, index: u64, vector: u8) {
        self.write(index, 0, apic::BASE as u32);
        self.write(index, 4, (apic::BASE >> 32) as u32);
        self.write(index, 8, u32::from(vector));
    }

    /// Masks the entry `index`, or lets it send.
    #[inline(never)]
    pub fn mask(&self, index: u64, masked: bool) {
        self.write(index, 12, if masked { MASKED } else { 0 });
    }

    /// The first 32 entries that are held back.
    #[inline(never)]
    pub fn pending(&self) -> u32 {
        // SAFETY: the BAR is mapped, and has the pending bits.
        unsafe { mmio::read32(self.bar.address() + self.pending) }
    }

    #[inline(always)]
    fn write(&self, index: u64, offset: u64, value: u32) {
        // SAFETY: the BAR is mapped, and has the table; callers use entries that it has.
        unsafe { mmio::write32(self.bar.address() + self.table + index * ENTRY_SIZE + offset, value) };
    }
}

impl Drop for MessageTable<'_> {
    fn drop(&mut self) {
        let control = self.function.read(self.capability);
        self.function.write(self.capability, control & !ENABLE);
    }
}
