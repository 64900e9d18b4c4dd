//! A device that does what a test of the dispatcher writes into its registers.

use std::borrow::Cow;

use barscope_device::{
    Access, AccessSize, Backing, BarIndex, BarSpec, ConfigHeader, Context, DeviceMemory, InterruptPin,
    InterruptSet, MsiSpec, PciDevice, Refused, Region, Register, RegisterMap,
};
use serde_json::Value;

/// BAR0, 4 KiB of memory: holds a value.
pub const VALUE: u64 = 0x00;
/// Which interrupt causes are pending.
pub const CAUSES: u64 = 0x08;
/// A write transfers VALUE to that address, 8 bytes, and then adds one to VALUE.
pub const DMA: u64 = 0x10;
/// A write sets timer 0 to that delay; when it comes due, VALUE becomes how late it is, and cause 0 is pending.
pub const TIMER: u64 = 0x18;
/// How BAR2 and BAR4 are served: 0 trapped, 1 otherwise.
pub const FLIP: u64 = 0x20;
/// A write is refused.
pub const READ_ONLY: u64 = 0x28;

static MAPS: [RegisterMap; 2] = [
    RegisterMap {
        region: Region::BAR0,
        registers: Cow::Borrowed(&[
            Register::new64("VALUE", VALUE, Access::ReadWrite, ""),
            Register::new64("CAUSES", CAUSES, Access::ReadWrite, ""),
        ]),
    },
    RegisterMap {
        region: Region::BAR4,
        registers: Cow::Borrowed(&[
            Register::new32("BELL0", 0x00, Access::WriteOnly, ""),
            Register::new32("BELL1", 0x20, Access::WriteOnly, ""),
        ]),
    },
];

/// The device: BAR0 registers, BAR1 16 ports that hold VALUE, too, BAR2 16 KiB of plain memory, BAR4 doorbells.
pub struct Puppet {
    value: u64,
    causes: u32,
    flipped: bool,
    bells: Backing,
    pin: InterruptPin,
    memory: DeviceMemory,
}

impl Puppet {
    /// Its doorbells are served this way once FLIP says so.
    pub fn with_bells(bells: Backing) -> Self {
        let memory = DeviceMemory::new(0x4000);
        Self { value: 0, causes: 0, flipped: false, bells, pin: InterruptPin::A, memory }
    }

    /// It interrupts by this pin.
    pub fn with_pin(pin: InterruptPin) -> Self {
        Self { pin, ..Self::with_bells(Backing::Trapped) }
    }
}

impl PciDevice for Puppet {
    fn name(&self) -> &str {
        "puppet"
    }

    fn header(&self) -> ConfigHeader {
        ConfigHeader {
            vendor: 0x1234,
            device: 0xabcd,
            bars: vec![
                BarSpec::memory32(BarIndex::BAR0, 0x1000),
                BarSpec::io(BarIndex::BAR1, 16),
                BarSpec::memory64(BarIndex::BAR2, 0x4000),
                BarSpec::memory32(BarIndex::BAR4, 0x1000),
            ],
            interrupt_pin: Some(self.pin),
            capabilities: vec![MsiSpec::new(1).into()],
            ..ConfigHeader::default()
        }
    }

    fn register_maps(&self) -> &[RegisterMap] {
        &MAPS
    }

    fn read(
        &mut self,
        _: &mut Context<'_>,
        region: Region,
        offset: u64,
        size: AccessSize,
    ) -> Result<u64, Refused> {
        match region {
            Region::BAR2 => self.memory.read(offset, size),
            _ if offset < 8 => Ok(self.value >> (8 * offset)),
            _ => Err(Refused::Reserved),
        }
    }

    fn write(
        &mut self,
        context: &mut Context<'_>,
        region: Region,
        offset: u64,
        size: AccessSize,
        value: u64,
    ) -> Result<(), Refused> {
        match (region, offset) {
            (Region::BAR2, _) => return self.memory.write(offset, size, value),
            (Region::BAR1 | Region::BAR4, _) | (_, VALUE) => self.value = value,
            (_, CAUSES) => self.causes = value as u32,
            (_, DMA) => {
                // The outcome is among the effects, which is what the tests look at.
                let _ = context.dma_write(value, &self.value.to_le_bytes());
                self.value += 1;
            }
            (_, TIMER) => context.set_timer(0, value),
            (_, FLIP) => self.flipped = value != 0,
            (_, READ_ONLY) => return Err(Refused::ReadOnly),
            _ => return Err(Refused::Reserved),
        }
        Ok(())
    }

    fn timer(&mut self, context: &mut Context<'_>, _: u8) {
        self.value = context.late();
        self.causes = 1;
    }

    fn interrupts(&self, pending: &mut InterruptSet) {
        pending.insert_mask(self.causes.into());
    }

    fn backing(&self, region: Region) -> Backing {
        match region {
            Region::BAR2 if self.flipped => Backing::Direct,
            Region::BAR4 if self.flipped => self.bells,
            _ => Backing::Trapped,
        }
    }

    fn memory(&mut self, region: Region) -> Option<&mut DeviceMemory> {
        (region == Region::BAR2).then_some(&mut self.memory)
    }

    fn doorbell(&mut self, _: &mut Context<'_>, _: Region, offset: u64, count: u64) {
        self.value = offset << 8 | count;
    }

    fn peek(&self, region: Region, offset: u64) -> Option<u64> {
        match (region, offset) {
            (Region::BAR0, VALUE) => Some(self.value),
            (Region::BAR0, CAUSES) => Some(self.causes.into()),
            _ => None,
        }
    }

    fn reset(&mut self) {
        *self = Self::with_bells(self.bells);
    }

    fn save(&self) -> Value {
        Value::Null
    }

    fn restore(&mut self, _: Value) -> Result<(), barscope_device::BadState> {
        Ok(())
    }
}
