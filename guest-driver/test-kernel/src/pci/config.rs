//! Both ways into configuration space: CONFIG_ADDRESS and CONFIG_DATA (PCI Local Bus 3.0, section
//! 3.2.2.3.2), and the enhanced access, memory-mapped (PCI Express Base 5.0, section 7.2.2).

use barscope_guest_abi::path;
use common::mmio;

use crate::paging::{Fixed, map_fixed};
use crate::text::Text;
use crate::{bench, port};

const CONFIG_ADDRESS: u16 = 0xcf8;
const CONFIG_DATA: u16 = 0xcfc;
const CONFIG_ENABLE: u32 = 1 << 31;

/// Size of one bus's part of the enhanced access.
const BUS_SIZE: u64 = 1 << 20;

/// A function on bus 0.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// 0 to 31.
    pub device: u8,
    /// 0 to 7.
    pub function: u8,
}

/// A way into configuration space, a dword at a time.
#[derive(Clone, Copy)]
pub enum Config {
    /// Through the two ports.
    Ports,
    /// Through memory, mapped at this virtual address.
    Enhanced(u64),
}

impl Config {
    /// The enhanced access at physical address `base`, which it maps.
    pub fn enhanced(base: u64) -> Self {
        let virtual_address = map_fixed(Fixed::Ecam, base);
        let call = Text::<64>::new().str("map_fixed(0x").hex(base, 1).str(", 0x100000)");
        bench::map(&bench::Mapping {
            path: path::IOREMAP,
            virtual_address,
            physical_address: base,
            length: BUS_SIZE,
            address_space: 0,
            on_fault: false,
            who: b"pci::enumerate",
            call: call.bytes(),
            file: b"",
            offset: 0,
        });
        Self::Enhanced(virtual_address)
    }

    /// The dword at `offset`, a multiple of 4 below 256.
    pub fn read(self, address: Address, offset: u16) -> u32 {
        match self {
            Config::Ports => {
                select(address, offset);
                port::read32(CONFIG_DATA)
            }
            // SAFETY: `enhanced` has mapped bus 0, for good, and `place` lies within it.
            Config::Enhanced(base) => unsafe { mmio::read32(base + place(address, offset)) },
        }
    }

    /// Writes the dword at `offset`, a multiple of 4 below 256.
    pub fn write(self, address: Address, offset: u16, value: u32) {
        match self {
            Config::Ports => {
                select(address, offset);
                port::write32(CONFIG_DATA, value);
            }
            // SAFETY: as for reads.
            Config::Enhanced(base) => unsafe { mmio::write32(base + place(address, offset), value) },
        }
    }
}

fn select(address: Address, offset: u16) {
    let function = u32::from(address.device & 31) << 11 | u32::from(address.function & 7) << 8;
    port::write32(CONFIG_ADDRESS, CONFIG_ENABLE | function | u32::from(offset & 0xfc));
}

fn place(address: Address, offset: u16) -> u64 {
    u64::from(address.device & 31) << 15 | u64::from(address.function & 7) << 12 | u64::from(offset & 0xffc)
}
