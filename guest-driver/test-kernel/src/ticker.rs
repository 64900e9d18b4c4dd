//! The driver for the ticker function, 1234:1ab2, which interrupts by its pin.

mod registers;

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use common::mmio;

pub use registers::{PCI_ID, PERIOD_RESET};

use crate::check::Failure;
use crate::ioremap::{IoMemory, ioremap};
use crate::pci::Function;
use registers::{CONTROL, CONTROL_ENABLE, CONTROL_ONCE, PERIOD, STATUS, STATUS_TICK};

/// As short as it can be.
const SHORT_NS: u32 = 1_000;

static TICKS: AtomicU32 = AtomicU32::new(0);

/// The device with its registers mapped; they have their reset values again when it is dropped.
pub struct Ticker(IoMemory);

impl Ticker {
    /// Enables the function and maps its registers.
    pub fn attach(function: &Function) -> Result<Self, Failure> {
        function.enable();
        let bar = function.bar(0).ok_or(Failure::Reason("the ticker's BAR 0 has no address"))?;
        let registers = ioremap(bar.address, bar.size, "Ticker::attach");
        registers.map(Self).ok_or(Failure::Reason("no room for ioremap"))
    }

    /// Where the registers are mapped: what [`isr`] has to be called with.
    pub fn address(&self) -> u64 {
        self.0.address()
    }

    /// Has it tick once, soon.
    #[inline(never)]
    pub fn tick_once(&self) {
        // SAFETY: the registers are mapped.
        unsafe {
            mmio::write32(self.address() + PERIOD, SHORT_NS);
            mmio::write32(self.address() + CONTROL, CONTROL_ENABLE | CONTROL_ONCE);
        }
    }

    /// Whether a tick waits to be acknowledged.
    #[inline(never)]
    pub fn has_ticked(&self) -> bool {
        // SAFETY: the registers are mapped.
        unsafe { mmio::read32(self.address() + STATUS) & STATUS_TICK != 0 }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        stop(self.address());
    }
}

#[inline(never)]
fn stop(registers: u64) {
    // SAFETY: the registers are mapped.
    unsafe {
        mmio::write32(registers + CONTROL, 0);
        mmio::write32(registers + PERIOD, PERIOD_RESET);
    }
}

/// How many ticks [`isr`] has found since the last call.
pub fn ticks() -> u32 {
    let ticks = TICKS.load(Relaxed);
    TICKS.store(0, Relaxed);
    ticks
}

/// The interrupt handler: acknowledges a tick, if there is one. `registers` is where they are mapped.
#[inline(never)]
pub fn isr(registers: u64, _: u8) {
    // SAFETY: whoever requests the interrupt frees it before the registers are unmapped.
    unsafe {
        if mmio::read32(registers + STATUS) & STATUS_TICK != 0 {
            mmio::write32(registers + STATUS, STATUS_TICK);
            TICKS.store(TICKS.load(Relaxed) + 1, Relaxed);
        }
    }
}
