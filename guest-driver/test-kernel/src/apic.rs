//! Interrupt controllers: the PICs masked, the local APIC on (Intel SDM volume 3, chapter 11).

use common::mmio;

use crate::paging::{Fixed, map_fixed};
use crate::port;

/// Physical address of the local APIC's registers; also where MSIs for processor 0 go.
pub const BASE: u64 = 0xfee0_0000;

/// The vector of interrupts that went away before they were taken.
pub const SPURIOUS_VECTOR: u8 = 0x3f;

const ID: u64 = 0x20;
const EOI: u64 = 0xb0;
const SPURIOUS: u64 = 0xf0;
const SPURIOUS_ENABLE: u32 = 1 << 8;
const COMMAND_LOW: u64 = 0x300;
const COMMAND_HIGH: u64 = 0x310;
/// Delivery modes, each with the level asserted.
const INIT: u32 = 5 << 8 | 1 << 14;
const START_UP: u32 = 6 << 8 | 1 << 14;
const PIC_MASKS: [u16; 2] = [0x21, 0xa1];

/// The local APIC that is on.
#[derive(Clone, Copy)]
pub struct LocalApic(u64);

impl LocalApic {
    /// Masks the PICs and enables the local APIC.
    pub fn enable() -> Self {
        for mask in PIC_MASKS {
            port::write8(mask, 0xff);
        }
        let base = map_fixed(Fixed::LocalApic, BASE);
        // SAFETY: just mapped; the register is 32 bits wide.
        unsafe { mmio::write32(base + SPURIOUS, SPURIOUS_ENABLE | u32::from(SPURIOUS_VECTOR)) };
        Self(base)
    }

    /// Its ID.
    pub fn id(self) -> u8 {
        // SAFETY: `enable` has mapped it, for good; the register is 32 bits wide.
        unsafe { (mmio::read32(self.0 + ID) >> 24) as u8 }
    }

    /// Has the processor with the local APIC `id` begin at physical address `page`, below 1 MiB, in real
    /// mode. Without the pauses that hardware wants between the two messages: KVM needs none.
    pub fn start(self, id: u8, page: u64) {
        for command in [INIT, START_UP | (page >> 12) as u32] {
            // SAFETY: as for `id`.
            unsafe {
                mmio::write32(self.0 + COMMAND_HIGH, u32::from(id) << 24);
                mmio::write32(self.0 + COMMAND_LOW, command);
            }
        }
    }

    /// Ends the handling of the interrupt that is in service.
    pub fn end_of_interrupt(self) {
        // SAFETY: `enable` has mapped it, for good; the register is 32 bits wide.
        unsafe { mmio::write32(self.0 + EOI, 0) };
    }
}
