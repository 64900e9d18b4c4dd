//! The device's memory, BAR 2.

use common::mmio;

use super::memory_bar;
use crate::check::{Failure, holds};
use crate::ioremap::{IoMemory, ioremap_as};
use crate::paging::Caching;
use crate::pci::Function;

/// Maps `size` bytes from the beginning of the memory.
pub fn map_memory(function: &Function, size: u64, caching: Caching) -> Result<IoMemory, Failure> {
    function.enable();
    let bar = memory_bar(function)?;
    holds((4..=bar.size).contains(&size), "BAR 2 does not have that size")?;
    ioremap_as(caching, bar.address, size, "lab::map_memory").ok_or(Failure::Reason("no room for ioremap"))
}

/// Writes `value` to the beginning of `memory`, which [`map_memory`] gave, and reads that back.
#[inline(never)]
pub fn exchange_first(memory: &IoMemory, value: u32) -> u32 {
    // SAFETY: it is mapped, and has at least 4 bytes.
    unsafe {
        mmio::write32(memory.address(), value);
        mmio::read32(memory.address())
    }
}
