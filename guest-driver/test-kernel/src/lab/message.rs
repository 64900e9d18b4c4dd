//! The device's interrupt as a message (MSI; PCI Local Bus 3.0, section 6.8.1).

use crate::apic;
use crate::pci::Function;

const CAPABILITY: u8 = 0x05;

/// Of the capability's first dword, whose upper half is Message Control.
const ENABLE: u32 = 1 << 16;
/// How many vectors are enabled, as a power of two.
const MULTIPLE_MESSAGE_ENABLE: u32 = 7 << (16 + 4);
const ADDRESS_64_BIT: u32 = 1 << (16 + 7);

/// Offsets from the capability.
const ADDRESS_LOW: u16 = 0x04;
const ADDRESS_HIGH: u16 = 0x08;
const DATA_IF_32_BIT: u16 = 0x08;
const DATA_IF_64_BIT: u16 = 0x0c;

/// An enabled message; disabled when dropped.
pub struct Message<'a> {
    function: &'a Function,
    capability: u16,
}

impl<'a> Message<'a> {
    /// Has `function` send `vector` to processor 0. `None` if it has no such capability.
    #[inline(never)]
    pub fn enable(function: &'a Function, vector: u8) -> Option<Self> {
        let capability = function.capability(CAPABILITY)?;
        let control = function.read(capability);
        function.write(capability + ADDRESS_LOW, apic::BASE as u32);
        let data = if control & ADDRESS_64_BIT != 0 {
            function.write(capability + ADDRESS_HIGH, (apic::BASE >> 32) as u32);
            DATA_IF_64_BIT
        } else {
            DATA_IF_32_BIT
        };
        function.write(capability + data, u32::from(vector));
        function.write(capability, control & !MULTIPLE_MESSAGE_ENABLE | ENABLE);
        Some(Self { function, capability })
    }
}

impl Drop for Message<'_> {
    fn drop(&mut self) {
        let control = self.function.read(self.capability);
        self.function.write(self.capability, control & !ENABLE);
    }
}
