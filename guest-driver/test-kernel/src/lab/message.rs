//! The device's interrupts as messages (MSI; PCI Local Bus 3.0, section 6.8.1).

use crate::apic;
use crate::pci::Function;

const CAPABILITY: u8 = 0x05;

/// Of the capability's first dword, whose upper half is Message Control.
const ENABLE: u32 = 1 << 16;
/// How many vectors it can have, as a power of two.
const MULTIPLE_MESSAGE_CAPABLE: u32 = 7;
const CAPABLE_SHIFT: u32 = 16 + 1;
/// How many vectors are enabled, as a power of two.
const MULTIPLE_MESSAGE_ENABLE: u32 = 7 << (16 + 4);
const MULTIPLE_MESSAGE_SHIFT: u32 = 16 + 4;
const ADDRESS_64_BIT: u32 = 1 << (16 + 7);
const MASKING: u32 = 1 << (16 + 8);

/// Offsets from the capability.
const ADDRESS_LOW: u16 = 0x04;
const ADDRESS_HIGH: u16 = 0x08;
const DATA_IF_32_BIT: u16 = 0x08;
const DATA_IF_64_BIT: u16 = 0x0c;
/// Offsets from the data: mask bits and pending bits.
const MASK: u16 = 0x04;
const PENDING: u16 = 0x08;

/// What messages a function has.
#[derive(Clone, Copy)]
pub struct Available {
    /// How many, as a power of two.
    pub log2: u32,
    /// Whether each can be masked.
    pub masking: bool,
}

/// Enabled messages; disabled when dropped.
pub struct Messages<'a> {
    function: &'a Function,
    capability: u16,
    data: u16,
}

impl<'a> Messages<'a> {
    /// What messages `function` has.
    pub fn available(function: &Function) -> Option<Available> {
        let control = function.read(function.capability(CAPABILITY)?);
        let log2 = control >> CAPABLE_SHIFT & MULTIPLE_MESSAGE_CAPABLE;
        Some(Available { log2, masking: control & MASKING != 0 })
    }

    /// Has `function` send `vector` to processor 0, and those after it: `1 << log2` in all, of which
    /// `vector` is a multiple. `None` if it has no such capability.
    #[inline(never)]
    pub fn enable(function: &'a Function, vector: u8, log2: u32) -> Option<Self> {
        let capability = function.capability(CAPABILITY)?;
        let control = function.read(capability);
        function.write(capability + ADDRESS_LOW, apic::BASE as u32);
        let data = if control & ADDRESS_64_BIT != 0 {
            function.write(capability + ADDRESS_HIGH, (apic::BASE >> 32) as u32);
            capability + DATA_IF_64_BIT
        } else {
            capability + DATA_IF_32_BIT
        };
        function.write(data, u32::from(vector));
        let count = log2 << MULTIPLE_MESSAGE_SHIFT;
        function.write(capability, control & !MULTIPLE_MESSAGE_ENABLE | count | ENABLE);
        Some(Self { function, capability, data })
    }

    /// Holds back the messages whose bits are ones; lets the others through.
    #[inline(never)]
    pub fn mask(&self, bits: u32) {
        self.function.write(self.data + MASK, bits);
    }

    /// The messages that are held back.
    #[inline(never)]
    pub fn pending(&self) -> u32 {
        self.function.read(self.data + PENDING)
    }
}

impl Drop for Messages<'_> {
    fn drop(&mut self) {
        let control = self.function.read(self.capability);
        self.function.write(self.capability, control & !ENABLE);
    }
}
